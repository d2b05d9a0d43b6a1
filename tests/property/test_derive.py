"""Derive and expand against brute force, over random data of six tables."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import lockstep.declaration.model as ls
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.shape import Node, resolve
from lockstep.engine.deriving.derive import Derived, Deriver
from lockstep.engine.hints.expand import Expander
from lockstep.errors import TimedOut, TooMuch
from lockstep.forms import keys
from lockstep.forms.canonical import halves, mix, wrap64
from lockstep.values import Hint, Key, Table
from tests.property.data import DATA, SHAPES, TABLES, Staff, copied, key_of, meaning, related
from tests.support.memory import MemorySource, MemoryTarget, Row, hint_of


def mapping_of(shape: type[Any], source: MemorySource) -> Mapping:
    def function(root: Any) -> dict[str, object]:
        return {}

    function.__annotations__ = {"root": shape, "return": dict[str, object]}
    return Mapping(function, source, MemoryTarget(), name="m", key=None, version="1", zone="UTC")


@settings(deadline=None)
@given(st.sampled_from(SHAPES), DATA, st.randoms())
def test_shapes_and_sums(shape: type[Any], data: dict[str, list[Row]], dice: random.Random) -> None:
    source = copied(data)
    source.shuffle = lambda rows: dice.sample(rows, len(rows))
    deriver = Deriver(mapping_of(shape, source), source)
    root = resolve(shape)
    wanted = {keys.encode(_some(root.table, number)) for number in range(4)}
    wanted |= set(meaning(shape, data))
    derived = deriver.derive(sorted(wanted), 0.0)
    assert derived.keys() == wanted
    expected = meaning(shape, data)
    for key, one in derived.items():
        if key not in expected:
            assert (one.root, one.sum, one.desired, one.error) == (None, 0, [], None)
            continue
        shown, total = expected[key]
        if shown == "error":
            assert one.error is not None
        else:
            assert one.error is None
            assert one.root == shown
            assert one.sum == total


@settings(deadline=None)
@given(st.sampled_from(SHAPES), DATA)
def test_without_sums_the_same_is_shown_and_no_row_is_hashed(
    shape: type[Any], data: dict[str, list[Row]]
) -> None:
    source = copied(data)
    wanted = sorted(meaning(shape, data))
    summed = Deriver(mapping_of(shape, source), source).derive(wanted, 0.0)
    source.hashed = 0
    derived = Deriver(mapping_of(shape, source), source, summed=False).derive(wanted, 0.0)
    assert source.hashed == 0
    assert {key: (one.root, one.desired, str(one.error)) for key, one in derived.items()} == {
        key: (one.root, one.desired, str(one.error)) for key, one in summed.items()
    }
    assert not any(one.sum for one in derived.values())


def _some(table: Table, number: int) -> list[Any]:
    return [number if name != "country" else "a" for name in table.key]


def _reaches(data: dict[str, list[Row]], node: Node, row: Row, table: str, bad: list[Row]) -> bool:
    """Whether reading this row, and what hangs on it, meets a bad row."""
    if node.table.name == table and row in bad:
        return True
    below = ((kid, one) for kid in node.children for one in related(data, kid, row))
    return any(_reaches(data, kid, one, table, bad) for kid, one in below)


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(SHAPES),
    DATA,
    st.sampled_from(sorted(TABLES)).flatmap(lambda name: st.tuples(st.just(name), TABLES[name])),
)
def test_only_the_roots_of_an_unreadable_row_fail(
    shape: type[Any], data: dict[str, list[Row]], broken: tuple[str, list[Row]]
) -> None:
    table, bad = broken
    data = {**data, table: [*bad, *(row for row in data[table] if not _same_key(table, row, bad))]}
    source = copied(data)
    source.bad[table] = lambda row: row in bad
    root = resolve(shape)
    expected = meaning(shape, data)
    derived = Deriver(mapping_of(shape, source), source).derive(sorted(expected), 0.0)
    for row in data[root.table.name]:
        one = derived[key_of(root, row)]
        shown, total = expected[one.key]
        if _reaches(data, root, row, table, bad):
            assert one.error is not None
        elif shown != "error":
            assert (one.root, one.sum, one.error) == (shown, total, None)


def _same_key(table: str, row: Row, rows: list[Row]) -> bool:
    names = {"firms": ("country", "number"), "lines": ("note_id", "at")}.get(table, ("id",))
    return any(all(row[name] == other[name] for name in names) for other in rows)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(SHAPES),
    DATA,
    st.sampled_from(sorted(TABLES)).flatmap(lambda name: st.tuples(st.just(name), TABLES[name])),
)
def test_expansion_covers_every_root_that_changed(
    shape: type[Any], data: dict[str, list[Row]], change: tuple[str, list[Row]]
) -> None:
    """One table becomes another one. The roots hinted must hold every root whose shape or sum differs."""
    name, rows = change
    root = resolve(shape)
    before = meaning(shape, data)
    after_data = {**data, name: rows}
    after = meaning(shape, after_data)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    tables = [node.table for node in root.walk() if node.table.name == name]
    if not tables:
        assert not changed
        return
    table = Table(name, tables[0].columns, tables[0].key, tuple({j: 0 for t in tables for j in t.joins}))
    hints = _hints(table, data[name], rows)
    hinted = _hinted(shape, after_data, hints)
    assert changed <= hinted


def _hints(table: Table, old: list[Row], new: list[Row]) -> list[Hint]:
    def by_key(rows: list[Row]) -> dict[tuple[Any, ...], Row]:
        return {tuple(row[name] for name in table.key): row for row in rows}

    one, other = by_key(old), by_key(new)
    return [
        hint
        for key in one.keys() | other.keys()
        if one.get(key) != other.get(key)
        for hint in hint_of(table, one.get(key), other.get(key))
    ]


def _hinted(shape: type[Any], data: dict[str, list[Row]], hints: list[Hint]) -> set[Key]:
    root = resolve(shape)
    expander = Expander(root)
    source = copied(data)
    found = {hint.key for hint in hints if hint.table == root.table.name and hint.key is not None}
    with source.snapshot() as snapshot:
        for page in expander.expand(snapshot, [hint for hint in hints if expander.concerns(hint.table)]):
            found.update(page)
    return found


@settings(deadline=None)
@given(DATA, st.sampled_from(["firms", "notes", "tags"]), st.data())
def test_expansion_of_one_row_is_exactly_its_roots(
    data: dict[str, list[Row]], name: str, draw: st.DataObject
) -> None:
    """A row whose own columns change concerns the roots that show it, and nobody else."""
    if not data[name]:
        return
    shape = Staff
    row = draw.draw(st.sampled_from(data[name]))
    root = resolve(shape)
    (table,) = {node.table.name: node.table for node in root.walk() if node.table.name == name}.values()
    hints = hint_of(table, row, row)
    gone = {**data, name: [other for other in data[name] if other is not row]}
    before, after = meaning(shape, data), meaning(shape, gone)
    shows = {key for key in before if before[key] != after[key]}
    failing = {key for key in before if before[key][0] == "error"}
    hinted = _hinted(shape, data, hints)
    assert shows <= hinted
    assert hinted & before.keys() <= shows | failing, "a root that is not there may be hinted"


def test_links_by_a_column_that_is_no_key_come_in_key_order() -> None:
    people = {"id": 1, "boss_id": None, "country": None, "firm_number": None, "badge": "x", "shoe": "y"}
    tags = [{"id": 1, "code": "z"}, {"id": 2, "code": "a"}, {"id": 3, "code": "z"}, {"id": 4, "code": "a"}]
    links = [{"id": at, "person_id": 1, "tag_code": code} for at, code in enumerate("az")]
    data: dict[str, list[Row]] = {key: [] for key in TABLES}
    data |= {"people": [people], "tags": tags, "links": links}
    source = copied(data)
    (one,) = Deriver(mapping_of(Staff, source), source).derive([keys.encode((1,))], 0.0).values()
    assert [tag.id for tag in one.root.tags] == [1, 2, 3, 4]


@given(*[st.integers(-(1 << 63), (1 << 63) - 1)] * 4)
def test_links_exchanged_are_seen(row: int, other: int, root: int, stranger: int) -> None:
    straight = wrap64(mix(row, root) + mix(other, stranger))
    crossed = wrap64(mix(row, stranger) + mix(other, root))
    differ = halves(row) != halves(other) and halves(root) != halves(stranger)
    if differ:
        (rh, rl), (oh, ol) = halves(row), halves(other)
        (h, low), (sh, sl) = halves(root), halves(stranger)
        # Bilinear: unseen only where this product of differences is nothing.
        assert (straight == crossed) == (((h - sh) * (rl - ol) + (low - sl) * (rh - oh)) % (1 << 64) == 0)
    else:
        assert straight == crossed


def test_random_exchanges_are_all_seen() -> None:
    dice = random.Random(1)
    for _ in range(20_000):
        row, other, root, stranger = (dice.randrange(-(1 << 63), 1 << 63) for _ in range(4))
        assert mix(row, root) + mix(other, stranger) != mix(row, stranger) + mix(other, root)


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1)), st.integers(-(1 << 63), (1 << 63) - 1))
def test_mix_is_linear_in_the_halves_and_fits_64_bits(rows: list[int], root: int) -> None:
    total = sum(mix(row, root) for row in rows)
    high, low = sum(halves(row)[0] for row in rows), sum(halves(row)[1] for row in rows)
    assert halves(root)[0] * low + halves(root)[1] * high == total
    assert all(0 <= mix(row, root) < 1 << 63 for row in rows)
    assert -(1 << 63) <= wrap64(total) < 1 << 63
    assert (wrap64(total) - total) % (1 << 64) == 0


def test_an_unreadable_row_that_all_roots_share_is_found_once() -> None:
    """Not twice for every root: it is looked for among the companies, not among the people."""
    people = [
        {"id": n, "boss_id": None, "country": "a", "firm_number": n % 300, "badge": "b", "shoe": ""}
        for n in range(5_000)
    ]
    firms = [{"country": "a", "number": n, "name": "x"} for n in range(300)]
    source = MemorySource(people=people, firms=firms, tags=[], links=[], notes=[], lines=[])
    source.bad["firms"] = lambda row: row["number"] == 17
    deriver = Deriver(mapping_of(Staff, source), source)
    derived = deriver.derive([keys.encode((n,)) for n in range(5_000)], 0.0)
    failed = {keys.decode(key)[0] for key, one in derived.items() if one.error is not None}
    assert failed == {n for n in range(5_000) if n % 300 == 17}
    assert source.snapshots <= 2 + 2 * 10


def test_a_source_too_slow_for_a_batch_is_read_in_smaller_ones() -> None:
    """A key that is too slow alone is stuck; the others are read, fewer at once, then more again."""
    source = MemorySource(staff=[])
    asked: list[int] = []

    class Slow(Deriver):
        def _together(self, wanted: Sequence[Key], now: float) -> dict[Key, Derived]:
            asked.append(len(wanted))
            if len(wanted) > 10 or any(key == slow for key in wanted):
                raise TimedOut("canceling statement due to statement timeout")
            return {key: Derived(key, None, [], 0, None, None) for key in wanted}

    slow = keys.encode((70,))
    deriver = Slow(mapping_of(Staff, source), source)
    derived = deriver.derive([keys.encode((number,)) for number in range(100)], 0.0)
    failed = [key for key, one in derived.items() if one.error is not None]
    assert len(derived) == 100
    assert failed == [slow]
    assert "takes too long" in str(derived[slow].error)
    assert sum(asked) < 400, "it does not try large reads again and again"
    for _ in range(40):
        deriver.derive([keys.encode((number,)) for number in range(200, 210)], 0.0)
    asked.clear()
    deriver.derive([keys.encode((number,)) for number in range(200, 210)], 0.0)
    assert asked == [10]


def test_what_cannot_be_held_at_once_is_answered_in_parts() -> None:
    """Nobody holds all answers of a batch whose rows are more than may be in memory."""
    source = MemorySource(staff=[])

    class Fat(Deriver):
        def _together(self, wanted: Sequence[Key], now: float) -> dict[Key, Derived]:
            if len(wanted) > 10 or fattest in wanted:
                raise TooMuch("more than 50,000 rows of lines belong together", "")
            return {key: Derived(key, None, [], 0, None, None) for key in wanted}

    fattest = keys.encode((70,))
    deriver = Fat(mapping_of(Staff, source), source)
    left = [keys.encode((number,)) for number in range(100)]
    failed: list[Key] = []
    while left:
        answers = deriver.some(left, 0.0)
        assert 0 < len(answers) <= 10
        assert list(answers) == left[: len(answers)]
        failed += [key for key, one in answers.items() if one.error is not None]
        left = left[len(answers) :]
    assert failed == [fattest]


def test_a_key_that_does_not_tell_rows_apart_makes_no_record() -> None:
    """Which of the rows is meant nobody can say; the first or the last would be wrong data."""

    class Plain(ls.Model, table="tags"):
        id: int = ls.key()
        code: str

    rows: list[Row] = [{"id": 1, "code": "one"}, {"id": 2, "code": "two"}, {"id": 1, "code": "uno"}]
    source = MemorySource(tags=rows)
    one, two = (keys.encode((number,)) for number in (1, 2))
    derived = Deriver(mapping_of(Plain, source), source).derive([one, two], 0.0)
    assert "2 rows of tags have the key" in str(derived[one].error)
    assert derived[two].error is None
    assert derived[two].root.code == "two"
