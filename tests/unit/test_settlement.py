"""A part of a first load is settled at once as it would be key by key; no other part is taken for one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from lockstep.declaration.mapping import Desired, Mapping
from lockstep.engine.deriving.derive import Derived
from lockstep.engine.hints.batch import Batch, Work
from lockstep.engine.writing import settlement as settling
from lockstep.engine.writing.apply import Sending, Sent
from lockstep.engine.writing.decide import Decision
from lockstep.engine.writing.inflight import Part
from lockstep.errors import DataError
from lockstep.forms import keys
from lockstep.state.rows import Failure, Owned, Row
from lockstep.values import (
    Change,
    Fingerprint,
    Key,
    Lane,
    Meta,
    Outcome,
    Status,
    Trust,
    Version,
    source_stream,
)

VERSION = Version(1 << 32 | 7)
KEYS = [keys.encode((number,)) for number in (1, 2, 3)]
MAPPING = cast(
    Mapping, SimpleNamespace(name="users", key_is_root_key=True, default_key=lambda key: b"t" + key)
)


def loaded() -> tuple[Part, Sent]:
    """Three keys that were not known, each written at its own key."""
    derived: dict[Key, Derived] = {}
    changes = []
    for number, key in enumerate(KEYS):
        one = Desired(Key(b"t" + key), Fingerprint(number - 1), {"n": number})
        derived[key] = Derived(key, object(), [one], 100 + number, None if number else 5.0, None)
        meta = Meta("users", key, one.fingerprint, 100 + number, VERSION)
        changes.append(Change(one.key, one.record, meta))
    works = {
        key: Work(trust, reason, None, 1.0)
        for key, trust, reason in zip(
            KEYS, (Trust.LEDGER, Trust.TARGET, Trust.LEDGER), ("backfill", "redrive", "change"), strict=True
        )
    }
    batch = Batch(works, {(source_stream("s"), Lane.BULK): {0: 9}}, Lane.BULK, 3, None)
    decisions = {key: Decision(one.desired, (), {}) for key, one in derived.items()}
    sending = Sending(list(KEYS), changes, {})
    part = Part(batch, True, VERSION, 2.0, {}, derived, {key: {} for key in KEYS}, decisions, sending)
    return part, Sent(sending, [Outcome(Status.APPLIED), Outcome(Status.UNCHANGED), Outcome(Status.APPLIED)])


def contents(settled: Any) -> list[Any]:
    """A settlement's fields, whether in lists or tuples."""
    return [list(one) if isinstance(one, list | tuple) else one for one in settled]


@pytest.mark.parametrize("last", [True, False])
def test_a_part_of_a_first_load_is_settled_at_once_as_it_is_key_by_key(
    monkeypatch: pytest.MonkeyPatch, last: bool
) -> None:
    part, sent = loaded()
    part = msgspec.structs.replace(part, last=last)
    at_once = settling.first_settlement(MAPPING, 4, part, sent)
    assert at_once is not None
    assert [row.key for row in at_once.rows] == list(at_once.came) == KEYS
    assert at_once.backfilled == 2
    monkeypatch.setattr(settling, "first_settlement", lambda *_: None)
    assert contents(at_once) == contents(settling.settlement(MAPPING, 4, part, sent))


def other_parts() -> dict[str, tuple[Mapping, Part, Sent]]:
    part, sent = loaded()
    first, *rest = KEYS
    replace = msgspec.structs.replace
    keyed = cast(Mapping, SimpleNamespace(name="users", key_is_root_key=False, default_key=None))
    own = Owned(Key(b"t" + first))
    failed = replace(part.derived[first], error=DataError("no", "mend"), desired=[])
    refusing = replace(sent.sending, refused={first: Failure(first, "claim", "", "")})
    fewer = replace(sent.sending, owners=rest, changes=sent.sending.changes[1:])
    twice = replace(sent.sending, owners=[first, first, KEYS[2]])  # two records of one, none of another
    outcomes = list(sent.outcomes)
    return {
        "named by the record": (keyed, part, sent),
        "one is known": (MAPPING, replace(part, rows={first: Row(first, 1)}), sent),
        "one may have a record": (MAPPING, replace(part, known={**part.known, first: {own.key: own}}), sent),
        "one waits for a claim": (MAPPING, part, replace(sent, sending=refusing)),
        "one failed": (
            MAPPING,
            replace(part, derived={**part.derived, first: failed}),
            Sent(fewer, outcomes[1:]),
        ),
        "one has two records": (MAPPING, part, replace(sent, sending=twice)),
        "nothing was sent": (MAPPING, part, Sent(Sending((), (), {}), ())),
        **{
            status.value: (MAPPING, part, replace(sent, outcomes=[Outcome(status, "why"), *outcomes[1:]]))
            for status in (Status.REJECTED, Status.SUPERSEDED, Status.UNKNOWN)
        },
        "the target holds another": (
            MAPPING,
            part,
            replace(sent, outcomes=[Outcome(Status.APPLIED, held={"n": 8}), *outcomes[1:]]),
        ),
    }


@pytest.mark.parametrize("name", other_parts())
def test_any_other_part_is_settled_key_by_key(name: str) -> None:
    mapping, part, sent = other_parts()[name]
    assert settling.first_settlement(mapping, 4, part, sent) is None
