"""What the law of `Writer` needs to know of a connector, and its small helpers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import ClassVar

import pytest

from lockstep.errors import DataError
from lockstep.forms.canonical import canonical, fingerprint
from lockstep.forms.keys import encode
from lockstep.ports import Target, Writer
from lockstep.testing.writer_values import AWKWARD_KEYS
from lockstep.values import (
    Change,
    Fingerprint,
    Held,
    Identity,
    Key,
    Meta,
    Outcome,
    Record,
    Status,
    Version,
    version,
)

DONE = (Status.APPLIED, Status.UNCHANGED)


class WriterHooks:
    """What a subclass says of its connector."""

    cannot_hold: ClassVar[frozenset[str]] = frozenset()
    """Kinds of `KINDS` this target may reject. It must not change them silently."""

    awkward_keys: ClassVar[tuple[str, ...]] = AWKWARD_KEYS
    generational: ClassVar[bool] = True
    """False where a target has one build only, so that every generation is the same one."""

    bulk: ClassVar[int] = 1000

    # hooks

    @pytest.fixture
    def target(self) -> Target:
        """A target nobody has created yet."""
        raise NotImplementedError("give a fixture `target`")

    def key(self, target: Target, number: int) -> Key:
        """The target key of the n-th record of the law; they must grow with n."""
        return target.key((f"k{number:05d}",))

    def record(self, number: int) -> Record:
        """A harmless record that comes back just as it is, another one for every number."""
        return {"text": f"record {number}", "integer": number}

    def bad_record(self) -> Record | None:
        """A record with a canonical form that this target will not take. None: it takes every one."""
        return None

    def plant(self, target: Target, key: Key, record: Record) -> bool:
        """Puts a record there past Lockstep, without metadata. False: cannot be done."""
        return False

    def drop(self, target: Target) -> bool:
        """Removes the target past Lockstep, marker and all. False: cannot be done."""
        return False

    def cut(self, target: Target) -> contextlib.AbstractContextManager[None] | None:
        """While open, the target does not answer. None: cannot be done."""
        return None

    def reopen(self, target: Target, writer: Writer) -> Writer:
        """Another writer of the same target, as a new process would have."""
        writer.close()
        return target.open(1)

    @pytest.fixture
    def writer(self, target: Target) -> Iterator[Writer]:
        writer = target.open(1)
        writer.create("law")
        yield writer
        writer.close()


def change(key: Key, record: Record | None, at: Version | None = None) -> Change:
    """A change of the law, with the metadata an engine would give it."""
    mark = fingerprint(key, canonical(record)) if record is not None and _has_form(record) else Fingerprint(0)
    return Change(key, record, Meta("law", encode(("source of", key)), mark, 11, at or version(1, 1)))


def write(writer: Writer, *changes: Change) -> list[Outcome]:
    """Writes changes that must be taken."""
    outcomes = writer.write(changes)
    assert len(outcomes) == len(changes), "one outcome per change"
    for sent, outcome in zip(changes, outcomes, strict=True):
        assert outcome.status in DONE, f"{outcome} for {shown(sent)}"
    return outcomes


def same(left: Record | None, right: Record | None) -> bool:
    """Whether two records are equal in canonical form."""
    return left is not None and right is not None and canonical(left) == canonical(right)


def assert_holds(writer: Writer, sent: Change, outcome: Outcome, held: Held | None) -> None:
    """The target holds what was sent, or what it said it holds instead."""
    assert held is not None, f"applied, but not there: {shown(sent)}"
    if not writer.features.normalises:
        assert outcome.held is None, "a target that normalises must declare it"
    expected = sent.record if outcome.held is None else outcome.held
    assert same(held.record, expected), f"{shown(sent)} came back as {held.record!r:.300}"
    assert held.meta == sent.meta


def assert_identity(writer: Writer) -> Identity:
    """The identity of a target that exists."""
    identity = writer.identity()
    assert identity is not None, "the target has no identity"
    return identity


def shown(sent: Change) -> str:
    """A change, short enough for a message."""
    return f"{sent.key!r} {sent.record!r:.300}"


def _has_form(record: Record) -> bool:
    try:
        canonical(record)
    except DataError:
        return False
    return True
