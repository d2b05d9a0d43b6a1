"""A stretch of the journal: what is in it, what was forgotten of it, and where positions of a log lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from lockstep.database import upsert
from lockstep.database.files import FileDatabase
from lockstep.forms import keys
from lockstep.journal import sql
from lockstep.journal.sql import SqlJournal
from lockstep.journal.tables import marks, migrations
from lockstep.journal.window import Gathered, again
from lockstep.values import (
    EVERYTHING,
    Entry,
    FeedMark,
    Hint,
    JoinValues,
    Key,
    Lane,
    Span,
    Trust,
    consumer_stream,
    source_stream,
)

SOURCE, OWN = source_stream("s"), consumer_stream(1)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqlJournal]:
    made = SqlJournal(FileDatabase(tmp_path / "journal.db", migrations))
    yield made
    made.close()


def K(number: int) -> Key:
    return keys.encode((number,))


def source(*hints: Hint) -> Entry:
    return Entry(SOURCE, Lane.LIVE, 0, hints)


def own(*hints: Hint, origin: int = 0) -> Entry:
    return Entry(OWN, Lane.BULK, 0, hints, origin)


def gathered(journal: SqlJournal, after: int, upto: int | None = None) -> Gathered:
    end = journal.end() if upto is None else upto
    found = Gathered()
    journal.window.gather(found, SOURCE, OWN, "users", lambda table: table == "companies", after, end)
    return found


def test_where_following_of_a_log_began(journal: SqlJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its first mark that is durable, and anew with that of another log."""
    assert journal.began("s") is None
    with monkeypatch.context() as patched:

        def full(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
            if table is marks:
                raise OSError("the disk is full")
            upsert(connection, table, rows)

        patched.setattr(sql, "upsert", full)
        with pytest.raises(OSError, match="full"):
            journal.append([source(Hint("users", K(1)))], FeedMark("s", "10", "one"))
    assert journal.began("s") is None
    for position, identity, began in (
        ("20", "one", "20"),
        ("30", "one", "20"),
        ("5", "other", "5"),
        ("7", "other", "5"),
        ("40", "one", "40"),
    ):
        journal.append([], FeedMark("s", position, identity))
        assert journal.began("s") == began


def test_what_was_made_of_earlier_hints_is_in_it_and_what_was_made_of_its_own_is_not_twice(
    journal: SqlJournal,
) -> None:
    journal.append([source(Hint("users", K(1))), source(Hint("users", K(2)), Hint("others", K(9)))])
    journal.append([own(Hint("users", keys=(K(10), K(11))), origin=1)])
    journal.append([own(Hint("users", keys=(K(20), K(21))), origin=2), own(Hint("", keys=(K(2), K(3))))])
    found = gathered(journal, after=1)
    assert list(found.keys) == [K(2), K(3), K(10), K(11)]
    assert (found.hints, found.whole) == (5, False)
    assert list(gathered(journal, after=1, upto=3).keys) == [K(2), K(10), K(11)]


def test_a_related_row_comes_once_for_each_way_to_its_roots(journal: SqlJournal) -> None:
    before: JoinValues = {"city": K(1)}
    after: JoinValues = {"city": K(2)}
    moved = Hint("companies", K(5), before=before, after=after, token="t", position="p", at=3.0)
    journal.append([source(moved, moved, Hint("companies", K(5), after=after))])
    journal.append([own(Hint("companies", K(5), before=before, after=after, span=Span(K(7), walk="roots")))])
    found = gathered(journal, after=0)
    assert found.hints == 4
    assert sorted((one.before is None, one.at) for one in (again(made, 9.0) for made in found.related)) == [
        (False, 9.0),
        (True, 9.0),
    ]
    (whole,) = [one for one in (again(made, 9.0) for made in found.related) if one.before]
    assert whole == Hint(
        "companies", K(5), before=before, after=after, reason="redrive", trust=Trust.TARGET, at=9.0
    ), "no token that somebody would wait for, and all of its roots"


@pytest.mark.parametrize("hint", [Hint("", span=EVERYTHING), Hint("companies", span=EVERYTHING)])
def test_a_pass_within_it_is_everything(journal: SqlJournal, hint: Hint) -> None:
    journal.append([source(Hint("users", K(1)))])
    journal.append([own(hint)])
    assert gathered(journal, after=0).whole
    assert not gathered(journal, after=2).whole


def test_lanes_are_forgotten_each_for_itself(journal: SqlJournal) -> None:
    for number in range(4):
        journal.append([Entry(SOURCE, Lane.BULK if number < 2 else Lane.LIVE, 0, (Hint("users", K(1)),))])
    assert journal.window.trimmed(SOURCE) is None
    assert journal.trim(SOURCE, Lane.LIVE, 4, 1e12) == 2
    newest = journal.window.trimmed(SOURCE)
    assert journal.trim(SOURCE, Lane.BULK, 2, 1e12) == 2
    assert journal.window.trimmed(SOURCE) == newest
    assert newest is not None
    assert newest.offset == 4


def test_positions_that_overlap_within_one_append(journal: SqlJournal) -> None:
    def entry(*positions: int) -> Entry:
        return source(*(Hint("users", K(one), position=f"{one}") for one in positions))

    journal.append([source(Hint("users", K(99)))])
    journal.append([entry(1, 4, 8), entry(2, 3, 9), entry(5, 6)])
    journal.append([entry(10)])
    window = journal.window
    assert window.first_at(SOURCE, lambda one: int(one) >= 4) == 2
    assert window.first_at(SOURCE, lambda one: int(one) >= 9) == 3
    assert window.first_at(SOURCE, lambda one: int(one) >= 11) is None
    assert window.last_at(SOURCE, lambda one: int(one) <= 3) == 3, "the first of them is already beyond"
    assert window.last_at(SOURCE, lambda one: int(one) <= 5) == 4
    assert window.last_at(SOURCE, lambda one: int(one) <= 0) == 0
