"""The bulk request and its reply. Pure: no connection is needed to know what they say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from lockstep.errors import DataError, Refused, TargetReplaced, Unreachable
from lockstep.forms import keys
from lockstep.systems.opensearch import wire
from lockstep.systems.opensearch.reasons import BUSY, block_mend, reason_of
from lockstep.values import Change, Key, Outcome, Status

LONGEST_ID = 512  # bytes; one longer id makes the server refuse the whole request

APPLIED = Outcome(Status.APPLIED)
UNCHANGED = Outcome(Status.UNCHANGED)

_GONE = frozenset({"index_not_found_exception", "invalid_index_name_exception"})


class Item(msgspec.Struct, frozen=True):
    """One change as lines of a request, and its place in the batch."""

    place: int
    lines: bytes
    delete: bool


def id_of(key: Key) -> str:
    """The document id of a target key."""
    if key[:1] == b"\x30" and key.find(0) == len(key) - 1:  # one text without NUL, almost always
        return key[1:-1].decode("utf-8", "surrogatepass")
    return keys.text(key)


def key_of(found: str) -> Key:
    """The target key of a document id."""
    return keys.encode((found,))


def item(place: int, change: Change) -> Item:
    """The lines of one change. Raises DataError where the server could not take it."""
    found = id_of(change.key)
    if not found:
        raise DataError("the key is the empty text, which cannot be a document id", "Use another key.")
    try:
        shown = wire.text(found)
        size = len(shown) if len(shown) <= LONGEST_ID else len(found.encode())
    except UnicodeEncodeError as error:
        raise DataError(f"the key cannot be a document id: {error}", "Use another key.") from error
    if size > LONGEST_ID:
        raise DataError(
            f"the key has {size} bytes; a document id has at most {LONGEST_ID}", "Use a shorter key."
        )
    meta = change.meta
    if change.record is None:
        action = b'{"delete":{"_id":%b,"version":%d,"version_type":"external_gte"}}\n'
        return Item(place, action % (shown, meta.version), True)
    document = wire.encode(change.record, plain=change.plain)
    return Item(
        place,
        b'{"index":{"_id":%b,"version":%d,"version_type":"external_gte"}}\n'
        b'%b%b"_lockstep":{"id":%b,"mapping":%b,"key":"%b","high":%d,"low":%d,"sum":%d,"version":%d}}\n'
        % (
            shown,
            meta.version,
            document[:-1],
            b"," if len(document) > 2 else b"",
            shown,
            wire.text(meta.mapping),
            meta.key.hex().encode(),
            meta.fingerprint >> 32,
            meta.fingerprint & wire.LOW,
            meta.sum,
            meta.version,
        ),
        False,
    )


def requests(changes: Sequence[Change], outcomes: list[Outcome | None], largest: int) -> Iterator[list[Item]]:
    """Cuts changes into requests of at most `largest` bytes, in order; a larger document goes alone.

    What cannot be sent gets its outcome here. Lazy: one request at a time is in memory.
    """
    request: list[Item] = []
    size = 0
    for place, change in enumerate(changes):
        try:
            one = item(place, change)
        except DataError as error:
            outcomes[place] = Outcome(Status.REJECTED, str(error))
            continue
        if request and size + len(one.lines) > largest:
            yield request
            request, size = [], 0
        request.append(one)
        size += len(one.lines)
    if request:
        yield request


class Busy(NamedTuple):
    """Instead of an outcome: the cluster was too busy for this item, which is no fault of the item's."""

    reason: str


class _Answer(msgspec.Struct):
    status: int
    error: Any = None
    index: str = msgspec.field(default="", name="_index")


class _Reply(msgspec.Struct):
    errors: bool
    items: list[dict[str, _Answer]]


_decode = msgspec.json.Decoder(_Reply).decode


def outcomes_of(request: Sequence[Item], reply: bytes, index: str) -> list[Outcome | Busy] | None:
    """One outcome per item; None where this is no bulk reply to this request.

    Raises TargetReplaced, Refused or Unreachable where the trouble is the index itself and no single record.
    """
    if _all_written(request, reply, index):
        return [APPLIED] * len(request)
    try:
        answers = _decode(reply).items
    except msgspec.MsgspecError:
        return None
    if len(answers) != len(request):
        return None
    outcomes: list[Outcome | Busy] = []
    for sent, named in zip(request, answers, strict=True):
        answer = named.get("delete" if sent.delete else "index")
        if answer is None:
            return None
        if answer.error is None and 200 <= answer.status < 300:
            outcomes.append(APPLIED)
            if answer.index != index and answer.index:
                raise TargetReplaced(
                    f"the alias for writing to {index} led to {answer.index}, and some records are there now",
                    f"Somebody moved it. Point it back (POST /_aliases) and remove those records from "
                    f"{answer.index}, then `lockstep backfill MAPPING --trust-target`.",
                )
        else:
            outcomes.append(_outcome(sent.delete, answer, index))
    return outcomes


def _all_written(request: Sequence[Item], reply: bytes, index: str) -> bool:
    """Whether the reply says of every item that its document is in the index now, as nearly all do: then it
    is known byte for byte, and need not be taken apart. One that a cluster spells otherwise is."""
    if any(sent.delete for sent in request):
        return False
    for status in (201, 200):
        one = b'{"index":{"_index":%b,"status":%d}}' % (wire.text(index), status)
        if reply == b'{"errors":false,"items":[%b]}' % b",".join([one] * len(request)):
            return True
    return False


def _outcome(delete: bool, answer: _Answer, index: str) -> Outcome | Busy:
    status, why = answer.status, reason_of(answer.error)
    if status == 404 and delete and answer.error is None:
        return UNCHANGED  # and the server keeps the version, so an older write cannot resurrect
    if status == 409:
        return Outcome(Status.SUPERSEDED, str(why))
    if why.kind in _GONE:
        raise TargetReplaced(
            f"the index {index} is not there, or its alias for writing is not: {why}",
            "Bring it back, or build it anew: `lockstep backfill MAPPING --rebuild`.",
        )
    if "no write index" in why.text:
        raise TargetReplaced(
            f"the alias for writing to {index} leads to several indices: {why}",
            f"Remove it from all but {index}: POST /_aliases.",
        )
    if status == 429 and "block" in why.kind:  # the cluster lifts it by itself once there is space
        raise Unreachable(f"the index {index} takes no writes: {why}", _lift(why.text, index))
    if status in BUSY:
        return Busy(f"{status}: {why}")
    if status >= 500:
        return Outcome(Status.UNKNOWN, f"{status}: {why}")
    if status == 403 or "closed" in why.kind:
        if "block" in why.kind:
            mend = _lift(why.text, index)
        elif "closed" in why.kind:
            mend = f"Open it: POST /{index}/_open"
        else:
            mend = "Give the user the privileges that `lockstep check` lists."
        raise Refused(f"the index {index} takes no writes: {why}", mend)
    if 400 <= status < 500 and answer.error is not None:
        return Outcome(Status.REJECTED, str(why))
    return Outcome(Status.UNKNOWN, f"the cluster answered {status} to this change {why}".rstrip())


def _lift(text: str, index: str) -> str:
    return f"Lift the block: {block_mend(text, index)}"
