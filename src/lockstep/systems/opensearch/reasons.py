"""Why a cluster says no, in its own words, and the call that mends a block."""

from __future__ import annotations

import socket
from typing import Any, NamedTuple

import msgspec

from lockstep.systems.opensearch.wire import DECODER

BUSY = frozenset({429, 502, 503, 504})
"""What a cluster, or what stands before it, answers when it takes nothing now and may later."""


class Reason(NamedTuple):
    """Why the server says no: its name for it, its words down to the root, and the index it names, if any."""

    kind: str
    text: str
    of: str = ""

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
    return Reason(str(error.get("type") or ""), ": ".join(words), str(error.get("index") or ""))


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


def unreached_mend(error: BaseException) -> str:
    """What to do when no connection could be made, from what broke underneath."""
    causes: list[BaseException] = [error]
    while (inner := causes[-1].__cause__ or causes[-1].__context__) is not None and len(causes) < 9:
        causes.append(inner)
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "See that the host name is right and that this machine's name service answers."
    if any(sign in str(error) for sign in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")):
        return "What answers there speaks no TLS: write http:// instead of https://, or give its other port."
    return "See that the cluster runs and that its address and port are right."


def certificate_mend(said: str, title: str) -> str:
    """What to do about a certificate that is not trusted."""
    if "expired" in said or "not yet valid" in said:
        return "Renew the cluster's certificate, or set the clock of this machine right."
    if "mismatch" in said or "not valid for" in said:
        return "Use the host name that the certificate is for, or issue one for this name."
    return f"Give its authority's certificate: {title}(url, verify='/path/to/ca.pem')."
