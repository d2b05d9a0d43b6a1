"""Decide and settle as one machine over a model target: whatever happens, it converges and harms nobody."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from lockstep.declaration.mapping import Desired
from lockstep.engine.deriving.derive import Derived
from lockstep.engine.hints.batch import Work, collapse
from lockstep.engine.writing.decide import Decision, asks_target, decide
from lockstep.engine.writing.settle import settle
from lockstep.forms import keys
from lockstep.forms.canonical import canonical, fingerprint
from lockstep.state.rows import Owned, Row, owns
from lockstep.values import Change, Held, Hint, Key, Meta, Outcome, Record, Status, Trust, Version

ROOT = keys.encode((1,))
TARGETS = [keys.encode((name,)) for name in (1, "a", "b", "c")]
MINE = ("m", ROOT)


def desired(key: Key, record: Record) -> Desired:
    return Desired(key, fingerprint(key, canonical(record)), record)


def normal(record: Record) -> Record:
    return {name: value.strip() if isinstance(value, str) else value for name, value in record.items()}


class Target:
    """A target that may trim texts, and what is known of one source key."""

    def __init__(self, trims: bool) -> None:
        self.trims = trims
        self.held: dict[Key, Held] = {}
        self.row: Row | None = None
        self.version = 0

    def known(self) -> dict[Key, Owned]:
        return {} if self.row is None else {one.key: one for one in owns(self.row, lambda key: TARGETS[0])}

    def decide(self, wanted: list[Desired], trust: Trust) -> Decision:
        asked = self.held if asks_target(self.row, trust) else None
        return decide(wanted, self.known(), asked, MINE)

    def write(self, change: Change, status: Status) -> Outcome:
        if status is Status.REJECTED:
            return Outcome(status, "no")
        if change.record is None:
            self.held.pop(change.key, None)
            return Outcome(status)
        record = normal(change.record) if self.trims else change.record
        self.held[change.key] = Held(change.key, record, change.meta)
        return Outcome(status, held=record if self.trims else None)

    def step(self, wanted: list[Desired], trust: Trust, says: list[Status], lost: bool = False) -> Decision:
        """Decides, writes with these outcomes, settles; with `lost`, dies before it settles."""
        self.version += 1
        known = self.known()
        decision = self.decide(wanted, trust)
        outcomes = []
        for put in decision.puts:
            meta = Meta(*MINE, put.fingerprint, 0, Version(self.version))
            outcomes.append(Change(put.key, put.record, meta))
        outcomes += [
            Change(key, None, Meta(*MINE, put_nothing, 0, Version(self.version))) for key in decision.removes
        ]
        statuses = [says[at % len(says)] for at in range(len(outcomes))]
        answered = [
            (change, self._answer(change, status)) for change, status in zip(outcomes, statuses, strict=True)
        ]
        if lost:
            if outcomes:
                targets = {**known, **{c.key: known.get(c.key, Owned(c.key)) for c in outcomes}}
                row = self.row or Row(ROOT)
                self.row = Row(ROOT, row.sent, None, tuple(targets.values()), row.sum, row.version, True)
            return decision
        derived = Derived(ROOT, object() if wanted else None, wanted, 7, None, None)
        settled = settle(
            derived,
            self.row,
            known,
            TARGETS[0],
            decision,
            answered,
            Version(self.version),
            b"",
            Work(trust, "change", None, 0.0),
        )
        assert (settled.failure is None) == all(s in (Status.APPLIED, Status.UNCHANGED) for s in statuses)
        self.row = settled.row
        return decision

    def _answer(self, change: Change, status: Status) -> Outcome:
        if status is Status.UNKNOWN and change.meta.version % 2:
            return Outcome(status, "nobody knows, and it did not land")
        if status is Status.SUPERSEDED:
            return Outcome(status, "older")
        return self.write(change, status)


put_nothing = fingerprint(Key(b""), b"")

RECORDS = st.fixed_dictionaries({"x": st.sampled_from(["", "a", " a", "b", None, 1])})
WANTED = st.dictionaries(st.sampled_from(TARGETS), RECORDS, max_size=3).map(
    lambda found: [desired(key, record) for key, record in found.items()]
)
STATUSES = st.lists(st.sampled_from(list(Status)), min_size=1, max_size=3)


def holds(target: Target, wanted: list[Desired]) -> bool:
    mine = {
        key: held.record
        for key, held in target.held.items()
        if held.meta and (held.meta.mapping, held.meta.key) == MINE
    }
    shown = {one.key: normal(one.record) if target.trims else one.record for one in wanted}
    return mine == shown


class Convergence(RuleBasedStateMachine):
    """Random derivations, outcomes, crashes; after an ordinary pass the target holds what was derived."""

    def __init__(self) -> None:
        super().__init__()
        self.targets = [Target(False), Target(True)]
        self.wanted: list[Desired] = []

    @rule(wanted=WANTED, trust=st.sampled_from(list(Trust)))
    def works(self, wanted: list[Desired], trust: Trust) -> None:
        self.wanted = wanted
        for target in self.targets:
            target.step(wanted, trust, [Status.APPLIED])
            assert holds(target, wanted)
            for again in Trust:
                assert target.decide(wanted, again).idle, "what was done is not done again"

    @rule(wanted=WANTED, trust=st.sampled_from(list(Trust)), says=STATUSES)
    def goes_wrong(self, wanted: list[Desired], trust: Trust, says: list[Status]) -> None:
        for target in self.targets:
            target.step(wanted, trust, says)

    @rule(wanted=WANTED, trust=st.sampled_from(list(Trust)), says=STATUSES)
    def dies(self, wanted: list[Desired], trust: Trust, says: list[Status]) -> None:
        for target in self.targets:
            target.step(wanted, trust, says, lost=True)

    @rule(key=st.sampled_from(TARGETS), record=RECORDS)
    def spoilt_and_repaired(self, key: Key, record: Record) -> None:
        for target in self.targets:
            if key in target.held:
                target.held[key] = Held(key, {**record, "spoilt": True}, target.held[key].meta)
            target.step(self.wanted, Trust.TARGET, [Status.APPLIED])
            assert holds(target, self.wanted)

    @invariant()
    def nothing_is_forgotten(self) -> None:
        """Whatever the target holds of this source key, the ledger knows: so it can be removed."""
        for target in self.targets:
            ours = {key for key, held in target.held.items() if held.meta is not None}
            assert ours <= target.known().keys()


def test_it_converges() -> None:
    run_state_machine_as_test(
        Convergence, settings=settings(max_examples=150, stateful_step_count=12, deadline=None)
    )


@given(
    WANTED,
    WANTED,
    st.sampled_from(
        [
            None,
            Meta("other", ROOT, put_nothing, 0, Version(1)),
            Meta("m", keys.encode((2,)), put_nothing, 0, Version(1)),
        ]
    ),
)
def test_a_record_that_is_another_s_is_never_removed(
    before: list[Desired], after: list[Desired], meta: Meta | None
) -> None:
    """With `trust=target`, or when the row is void."""
    known = {one.key: Owned(one.key, one.fingerprint) for one in before}
    held = {one.key: Held(one.key, one.record, meta) for one in before}
    assert decide(after, known, held, MINE).removes == []


@given(WANTED)
def test_there_and_back(wanted: list[Desired]) -> None:
    """A → B → A, with the write of B unknown: the ledger says A, the target may hold B."""
    for lands in (0, 1):
        target = Target(False)
        first = [desired(TARGETS[1], {"x": "A"})]
        target.step(first, Trust.LEDGER, [Status.APPLIED])
        target.version += lands
        target.step(wanted, Trust.LEDGER, [Status.UNKNOWN])
        target.step(first, Trust.LEDGER, [Status.APPLIED])
        assert holds(target, first)


@given(WANTED)
def test_an_ordinary_change_needs_no_read(wanted: list[Desired]) -> None:
    known = {one.key: Owned(one.key, one.fingerprint) for one in wanted}
    assert decide(wanted, known, None, MINE).idle
    assert not asks_target(Row(ROOT), Trust.LEDGER)
    assert asks_target(Row(ROOT, void=True), Trust.LEDGER)
    assert asks_target(None, Trust.TARGET)


HINTS = st.lists(
    st.builds(Hint, table=st.just("t"), reason=st.sampled_from("ab"), trust=st.sampled_from(list(Trust))),
    min_size=1,
)


@given(HINTS.flatmap(lambda hints: st.tuples(st.just(hints), st.permutations(hints))))
def test_the_more_suspicious_hint_wins_in_any_order(pair: tuple[list[Hint], list[Hint]]) -> None:
    trusts = []
    for hints in pair:
        works: dict[Key, Work] = {}
        for hint in hints:
            collapse(works, [ROOT], hint)
        trusts.append(works[ROOT].trust)
        assert (works[ROOT].trust is Trust.TARGET) == any(hint.trust is Trust.TARGET for hint in hints)
    assert trusts[0] == trusts[1]


def outcome_of(
    status: Status, before: Row | None, *, record: Any = "new"
) -> tuple[Row | None, bool, list[Key]]:
    """The row, whether stuck, and what was released, after one put (or, record None, one removal)."""
    key = TARGETS[0]
    known = {} if before is None else {one.key: one for one in owns(before, lambda _: key)}
    wanted = [] if record is None else [desired(key, {"x": record})]
    decision = decide(wanted, known, None, MINE)
    changes = [
        Change(one.key, one.record, Meta(*MINE, one.fingerprint, 7, Version(9))) for one in decision.puts
    ]
    changes += [Change(one, None, Meta(*MINE, put_nothing, 0, Version(9))) for one in decision.removes]
    derived = Derived(ROOT, object() if wanted else None, wanted, 7, 5.0, None)
    found = settle(
        derived,
        before,
        known,
        key,
        decision,
        [(change, Outcome(status, "why")) for change in changes],
        Version(9),
        b"",
        Work(Trust.LEDGER, "change", None, 0.0),
    )
    return found.row, found.failure is not None, list(found.released)


def test_every_status() -> None:
    old = desired(TARGETS[0], {"x": "old"})
    new = desired(TARGETS[0], {"x": "new"})
    before = Row(ROOT, old.fingerprint, sum=3, version=Version(2))
    for status in (Status.APPLIED, Status.UNCHANGED):
        row, stuck, released = outcome_of(status, before)
        assert row is not None
        assert (row.sent, row.sum, row.version, row.void, row.due) == (new.fingerprint, 7, 9, False, 5.0)
        assert not stuck
        assert outcome_of(status, before, record=None) == (None, False, [TARGETS[0]])
    for status in (Status.UNKNOWN, Status.SUPERSEDED):
        row, stuck, released = outcome_of(status, before)
        assert row is not None
        assert (row.void, stuck, row.sum, row.version, released) == (True, True, 3, 2, [])
        assert owns(row, lambda _: TARGETS[0])[0].sent is None, "what lands there in the end is open"
        row, stuck, released = outcome_of(status, before, record=None)
        assert row is not None
        assert (row.void, stuck, released) == (True, True, [])
        row, stuck, released = outcome_of(status, None)
        assert row is not None
        assert (row.void, stuck, released) == (True, True, [])
        assert [one.key for one in owns(row, lambda _: TARGETS[0])] == [TARGETS[0]]
    row, stuck, released = outcome_of(Status.REJECTED, before)
    assert row is not None
    assert (row.sent, row.sum, row.void, row.version, stuck, released) == (
        old.fingerprint,
        3,
        False,
        2,
        True,
        [],
    )
    row, stuck, released = outcome_of(Status.REJECTED, None)
    assert (stuck, released) == (True, [TARGETS[0]])
