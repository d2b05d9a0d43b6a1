"""Why a cluster says no, in its own words, and the call that mends a block."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from lockstep.systems.opensearch.wire import DECODER


class Reason(NamedTuple):
    """Why the server says no: its name for it, and its words down to the root."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.text} ({self.kind})" if self.kind else self.text

    def __bool__(self) -> bool:
        return bool(self.kind or self.text)


def reason(answer: bytes) -> Reason:
    """The reason in an error answer; empty where it is not the server's own."""
    try:
        error = DECODER.decode(answer)["error"]
    except (msgspec.MsgspecError, KeyError, TypeError):
        return Reason("", answer[:200].decode(errors="replace"))
    return reason_of(error)


def reason_of(error: Any) -> Reason:
    """The reason in an error object: its own words, then those of what caused it, each once."""
    if not isinstance(error, dict):
        return Reason("", str(error))
    words: list[str] = []
    inner: Any = error
    while isinstance(inner, dict):
        word = str(inner.get("reason") or "")
        if word and not any(word in earlier for earlier in words):
            words.append(word)
        inner = inner.get("caused_by")
    return Reason(str(error.get("type") or ""), ": ".join(words))


def block_mend(text: str, index: str = "INDEX") -> str:
    """The call that lifts the block a message names."""
    for sign, setting in (
        ("read-only-allow-delete", "read_only_allow_delete"),
        ("/12/", "read_only_allow_delete"),
        ("/5/", "read_only"),
        ("/8/", "write"),
    ):
        if sign in text:
            first = "free disk space, then " if setting == "read_only_allow_delete" else ""
            return f'{first}PUT /{index}/_settings {{"index.blocks.{setting}": null}}'
    return f"see GET /{index}/_settings/index.blocks.* and GET /_cluster/settings"
