"""The part of the law of readers that any tables will do for, also those of a system that has fixed ones. See
`lockstep.testing.reader_law`.

    class TestOurs(TablesLaw):
        @pytest.fixture
        def world(self) -> Iterator[World]: ...   # a subclass of World with `source` and `tables`
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockstep.errors import Refused
from lockstep.forms import keys
from lockstep.ports import Reader, Snapshot
from lockstep.testing.source_world import World, rows_of, walk
from lockstep.values import EVERYTHING, Fetch, Span, Table

FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


class TablesLaw:
    """What holds of every table, whatever it is of and whatever is in it. Some of them must hold rows."""

    @pytest.fixture
    def world(self) -> Iterator[World]:
        raise NotImplementedError("a fixture `world` is needed")

    @pytest.fixture
    def reader(self, world: World) -> Iterator[Reader]:
        reader = world.source.reader()
        yield reader
        reader.close()

    # keys

    def test_a_walk_sees_every_key_once(self, world: World, reader: Reader) -> None:
        for limit in (1, 2, 3, 1000):
            with reader.snapshot() as snapshot:
                for table in world.tables:
                    every = walk(snapshot, table, limit=limit)
                    assert len(every) == len(set(every)) == len(rows_of(snapshot, table)), table.name

    def test_typed_keys_are_those_of_the_rows(self, world: World, reader: Reader) -> None:
        for table in world.tables:
            with reader.snapshot() as snapshot:
                there = walk(snapshot, table)
            typed = [keys.split_text(keys.text(key)) for key in there]
            assert world.source.parse_keys(table, typed) == there, table.name
            assert world.source.parse_keys(table, []) == []

    def test_ordered_pages_are_in_key_order(self, world: World, reader: Reader) -> None:
        with reader.snapshot() as snapshot:
            for table in world.tables:
                page = snapshot.keys(table, EVERYTHING, 1000)
                if page.ordered:
                    assert page.keys == sorted(page.keys), table.name
                    assert page.rest is None
                else:
                    assert sorted(page.keys) == sorted(walk(snapshot, table, limit=2)), table.name

    def test_spans_between_keys_that_are_there_adjoin(self, world: World, reader: Reader) -> None:
        with reader.snapshot() as snapshot:
            there = {table.name: (table, walk(snapshot, table)) for table in world.tables}
            filled = {name: one for name, one in there.items() if one[1]}

            @FEW
            @given(st.sampled_from(sorted(filled)), st.integers(1, 5), st.data())
            def law(name: str, limit: int, data: st.DataObject) -> None:
                table, every = filled[name]
                cuts = sorted(data.draw(st.lists(st.sampled_from(every), max_size=3, unique=True)))
                parts = [walk(snapshot, table, Span(*pair), limit) for pair in pairwise([None, *cuts, None])]
                assert sorted(chain.from_iterable(parts)) == sorted(every)
                for cut, part in zip(cuts, parts[:-1], strict=True):
                    assert cut in part, "a span ends with its upper end"

            law()

    # rows

    def test_a_row_is_found_by_each_of_its_values(self, world: World, reader: Reader) -> None:
        """And as it comes out of a hint."""
        with reader.snapshot() as snapshot:
            for table, row in _rows(world, snapshot):
                for name, value in zip(table.columns, row, strict=True):
                    if value is None or isinstance(value, bytes):
                        continue
                    fetch = Fetch(table.name, table.columns, (name,))
                    for asked in (value, keys.decode_one(keys.encode_one(value))):
                        assert row in snapshot.rows(fetch, [(asked,)]), f"{table.name}: {name} = {asked!r}"

    def test_a_row_comes_once_in_the_order_asked_for(self, world: World, reader: Reader) -> None:
        with reader.snapshot() as snapshot:
            for table, row in _rows(world, snapshot):
                key = _key(table, row)
                fetch = Fetch(table.name, table.columns[::-1], table.key)
                assert snapshot.rows(fetch, [key, key, key]) == [row[::-1]], table.name

    def test_a_key_of_nulls_is_no_rows(self, world: World, reader: Reader) -> None:
        with reader.snapshot() as snapshot:
            for table, row in _rows(world, snapshot):
                fetch = Fetch(table.name, table.columns, table.key)
                nulls = (None,) * len(table.key)
                assert snapshot.rows(fetch, [nulls]) == [], table.name
                assert snapshot.rows(fetch, [nulls, _key(table, row)]) == [row], table.name
                assert snapshot.rows(fetch, []) == [], table.name

    def test_streams_are_rows(self, world: World, reader: Reader) -> None:
        with reader.snapshot() as snapshot:
            for table in world.tables:
                every = [keys.decode(key) for key in walk(snapshot, table)]
                fetch = Fetch(table.name, table.columns, table.key)
                streamed = list(chain.from_iterable(snapshot.stream(fetch, every)))
                assert sorted(streamed, key=str) == sorted(snapshot.rows(fetch, every), key=str), table.name
                assert len(streamed) == len(every), table.name

    def test_a_hash_is_of_its_columns_alone(self, world: World, reader: Reader) -> None:
        with reader.snapshot() as snapshot:
            for table, row in _rows(world, snapshot):
                key, one, all_ = _key(table, row), table.columns[:1], table.columns
                asked = [
                    Fetch(table.name, one, table.key, groups) for groups in ((one, all_), (all_,), (one,))
                ]
                both, whole, part = ([found[1:] for found in snapshot.rows(each, [key])] for each in asked)
                assert both == [(*part[0], *whole[0])], table.name
                assert all(-(1 << 63) <= value < 1 << 63 for value in both[0])

    def test_names_that_are_not_there_are_refused_with_a_mend(self, world: World, reader: Reader) -> None:
        table = world.tables[0]
        for fetch in (Fetch(table.name, ("nothing",), table.key), Fetch("nowhere", ("id",), ("id",))):
            with pytest.raises(Refused) as refused, reader.snapshot() as snapshot:
                snapshot.rows(fetch, [(1,) * len(fetch.by)])
            assert refused.value.remedy

    # moments

    def test_nothing_is_waited_for_without_tokens(self, reader: Reader) -> None:
        assert reader.visible([]) is None

    def test_an_estimate_is_a_number(self, world: World, reader: Reader) -> None:
        for table in world.tables:
            assert reader.estimate(table) >= 0

    def test_rows_are_counted_up_to_a_number(self, world: World, reader: Reader) -> None:
        for table in world.tables:
            with reader.snapshot() as snapshot:
                there = len(walk(snapshot, table))
            assert reader.count(table, 1_000) == there, table.name
            if there > 1:
                assert reader.count(table, there - 1) == there - 1, table.name


def _rows(world: World, snapshot: Snapshot) -> list[tuple[Table, tuple[Any, ...]]]:
    """Some rows of each table."""
    found = [(table, row) for table in world.tables for row in list(rows_of(snapshot, table).values())[:3]]
    assert found, "the world is empty"
    return found


def _key(table: Table, row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(row[table.columns.index(name)] for name in table.key)
