"""The part of the law of readers that speaks of keys and spans. See `lockstep.testing.reader_law`."""

from __future__ import annotations

import time
from itertools import chain, pairwise

from hypothesis import given
from hypothesis import strategies as st

from lockstep.errors import DataError
from lockstep.forms import keys
from lockstep.ports import Reader, Source
from lockstep.testing.source_world import World, joins_of, rows_of, walk
from lockstep.testing.tables_law import FEW, TablesLaw
from lockstep.values import Key, Span


class KeysLaw(TablesLaw):
    """Every key is seen once, in whichever way it is asked for."""

    def unusual(self, world: World) -> Source | None:
        """The same source under other session settings; None where there are none."""
        return None

    # keys

    def test_keys_are_those_of_the_values(self, world: World, reader: Reader) -> None:
        with reader.snapshot() as snapshot:
            regions = {keys.decode(key) for key in walk(snapshot, world.table("regions"))}
            users = [keys.decode(key) for key in walk(snapshot, world.table("users"))]
        assert regions == {("de", 1), ("de", 2), ("DE", 1), ("fr", 1), ("é", 1), ("", 0)}
        assert sorted(users) == [(1,), (2,), (3,), (4,)]

    def test_what_is_no_key_is_said_in_its_place(self, world: World) -> None:
        typed = [("de", "1"), ("de", "one"), ("fr",), ("é", "-7"), ("a", "b", "c"), ("", "0")]
        found = world.source.parse_keys(world.table("regions"), typed)
        right = {0: ("de", 1), 3: ("é", -7), 5: ("", 0)}
        assert {n: one for n, one in enumerate(found) if not isinstance(one, DataError)} == {
            n: keys.encode(values) for n, values in right.items()
        }
        for n in (1, 2, 4):
            error = found[n]
            assert isinstance(error, DataError)
            assert "number" in f"{error} {error.remedy}", "says what it is made of"
            assert error.remedy

    def test_many_typed_keys_are_read_in_few_questions(self, world: World) -> None:
        typed = [(f"country {n}", str(n)) for n in range(5_000)]
        typed[2_345] = ("country", "nonsense")
        begun = time.monotonic()
        found = world.source.parse_keys(world.table("regions"), typed)
        assert time.monotonic() - begun < 8, "one question for each takes longer"
        assert [n for n, one in enumerate(found) if isinstance(one, DataError)] == [2_345]
        assert found[-1] == keys.encode(("country 4999", 4_999))

    def test_an_empty_table_has_no_keys(self, world: World, reader: Reader) -> None:
        world.execute("DELETE FROM messages")
        with reader.snapshot() as snapshot:
            assert walk(snapshot, world.table("messages")) == []

    def test_adjoining_spans_hold_what_their_union_holds(self, world: World, reader: Reader) -> None:
        world.execute(
            "INSERT INTO regions(country, number, name) VALUES ('a', -300, ''), ('a', 300, ''), ('A', 0, ''),"
            " ('ab', 7, ''), ('b', 7, ''), ('a-b', 1, ''), ('a b', 1, ''), ('Z', 70000, ''), ('雪', 2, '')"
        )
        table = world.table("regions")
        parts = st.tuples(
            st.sampled_from(["", "a", "A", "ab", "a ", "de", "z", "é", "\u9fff"]), st.integers(-400, 400)
        )
        cuts = st.lists(st.one_of(parts.map(keys.encode), st.just(None)), max_size=4)

        with reader.snapshot() as snapshot:
            every = walk(snapshot, table)

            @FEW
            @given(cuts, st.integers(1, 5), st.data())
            def law(cuts: list[Key | None], limit: int, data: st.DataObject) -> None:
                own = data.draw(st.lists(st.sampled_from(every), max_size=2))
                marks = sorted({cut for cut in cuts if cut is not None} | set(own))
                edges: list[Key | None] = [None, *marks, None]
                spans = [Span(*pair) for pair in pairwise(edges)]
                found = [walk(snapshot, table, span, limit) for span in spans]
                assert sorted(chain.from_iterable(found)) == sorted(every)
                for span, part in zip(spans, found, strict=True):
                    assert all(span.after is None or key > span.after for key in part)
                    assert all(span.upto is None or key <= span.upto for key in part)

            law()

    def test_join_columns_have_one_form_in_hints(self, world: World, reader: Reader) -> None:
        with reader.snapshot() as snapshot:
            table = world.table("users")
            found = {row[0]: joins_of(table, row) for row in rows_of(snapshot, table).values()}
        assert found[1] == {"company_id": keys.encode((1,))}
        assert found[4] == {"company_id": None}
