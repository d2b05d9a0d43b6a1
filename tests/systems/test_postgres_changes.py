"""From messages of the log to hints, without a server."""

from __future__ import annotations

from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.systems.postgres_db import table, told

from lockstep.systems.postgres.following.changes import Changes
from lockstep.systems.postgres.following.pgoutput import UNCHANGED, Value
from lockstep.systems.postgres.reading.visibility import widened
from lockstep.values import EVERYTHING

USERS = table("users", "id company email", joins="company email")
INT4, TEXT, MOOD, TIME = 23, 25, 20_000, 1083
Columns = list[tuple[str, int, bool]]
DEFAULT: Columns = [("id", INT4, True), ("company", INT4, False), ("email", TEXT, False)]
FULL: Columns = [(name, type_, True) for name, type_, _ in DEFAULT]


def relation(columns: Columns, oid: int = 1, name: str = "users") -> bytes:
    parts = [b"R", pack("!I", oid), b"public\0", name.encode(), b"\0d", pack("!H", len(columns))]
    for column, type_, identity in columns:
        parts += [pack("!B", identity), column.encode(), b"\0", pack("!Ii", type_, -1)]
    return b"".join(parts)


def row(*values: Any) -> bytes:
    parts = [pack("!H", len(values))]
    for value in values:
        if value is None:
            parts.append(b"n")
        elif value is UNCHANGED:
            parts.append(b"u")
        else:
            text = str(value).encode()
            parts.append(b"t" + pack("!I", len(text)) + text)
    return b"".join(parts)


def insert(*new: Any, oid: int = 1) -> bytes:
    return b"I" + pack("!I", oid) + b"N" + row(*new)


def update(*new: Any, old: tuple[Any, ...] | None = None, kind: bytes = b"K") -> bytes:
    return b"U" + pack("!I", 1) + (b"" if old is None else kind + row(*old)) + b"N" + row(*new)


def delete(*old: Any, kind: bytes = b"K") -> bytes:
    return b"D" + pack("!I", 1) + kind + row(*old)


def begin(xid: int = 7, final: int = 0x100, at: int = 0) -> bytes:
    return b"B" + pack("!qqI", final, at, xid)


def commit(end: int = 0x110) -> bytes:
    return b"C\0" + pack("!qqq", 0x100, end, 0)


def caught(*messages: bytes, columns: Columns = FULL, xid: int = 5) -> list[tuple[Any, ...]]:
    changes = Changes([USERS], xid)
    for message in (begin(), relation(columns), *messages, commit()):
        changes.add(message)
    return told(changes.take_finished())


def test_insert_update_delete_with_the_whole_old_row() -> None:
    assert caught(insert(1, 2, "a")) == [("users", (1,), None, {"company": 2, "email": "a"})]
    assert caught(delete(1, 2, None, kind=b"O")) == [("users", (1,), {"company": 2, "email": None}, None)]
    assert caught(update(1, 3, "b", old=(1, 2, "a"), kind=b"O")) == [
        ("users", (1,), {"company": 2, "email": "a"}, {"company": 3, "email": "b"})
    ]


def test_a_changed_key_is_two_hints() -> None:
    assert caught(update(9, 3, "b", old=(1, 2, "a"), kind=b"O")) == [
        ("users", (1,), {"company": 2, "email": "a"}, None),
        ("users", (9,), None, {"company": 3, "email": "b"}),
    ]


BLIND = ("users", "the log does not hold the old values of company, email")


def test_of_the_old_row_only_what_is_known_is_said_and_else_the_whole_table() -> None:
    assert caught(insert(1, 3, "b"), columns=DEFAULT) == [
        ("users", (1,), None, {"company": 3, "email": "b"}),
    ]
    assert caught(update(1, 3, "b"), delete(1, None, None), columns=DEFAULT) == [
        BLIND,
        ("users", (1,), {}, {"company": 3, "email": "b"}),
        ("users", (1,), {}, None),
    ], "once for each stretch"
    assert caught(update(9, 3, "b", old=(1, None, None)), columns=DEFAULT) == [
        BLIND,
        ("users", (1,), {}, None),
        ("users", (9,), None, {"company": 3, "email": "b"}),
    ]
    part: Columns = [("id", INT4, True), ("company", INT4, True), ("email", TEXT, False)]
    blind = ("users", "the log does not hold the old values of email")
    assert caught(update(1, 3, "b"), columns=part) == [
        blind,
        ("users", (1,), {"company": 3}, {"company": 3, "email": "b"}),
    ]
    assert caught(update(1, 3, "b", old=(1, 2, None)), columns=part) == [
        blind,
        ("users", (1,), {"company": 2}, {"company": 3, "email": "b"}),
    ]


def test_large_values_that_were_left_alone_come_from_the_old_row() -> None:
    assert caught(update(1, 3, UNCHANGED, old=(1, 2, "long"), kind=b"O")) == [
        ("users", (1,), {"company": 2, "email": "long"}, {"company": 3, "email": "long"})
    ]
    assert caught(update(1, 3, UNCHANGED), columns=DEFAULT) == [
        BLIND,
        ("users", (1,), {}, {"company": 3}),
    ]


def test_truncate_is_the_whole_table_once_for_each_stretch() -> None:
    truncate = b"T" + pack("!IB", 2, 0) + pack("!II", 1, 99)
    assert caught(truncate, truncate) == [("users", "truncate")]
    changes = Changes([USERS], 5)
    for message in (begin(), relation(FULL), truncate, commit()):
        changes.add(message)
    (hint,) = changes.take_finished()
    assert (hint.span, hint.token, hint.position) == (EVERYTHING, "x:7", "0/100")


def test_a_key_that_cannot_be_read_is_the_whole_table() -> None:
    long: Columns = [("id", 1700, True), ("company", INT4, True), ("email", TEXT, True)]
    found = caught(insert("1e999999", 1, "a"), insert("1e999999", 2, "b"), insert("9", 1, "a"), columns=long)
    assert [len(one) for one in found] == [2, 4], "once, and the others as ever"
    assert "cannot be read" in found[0][1]
    missing: Columns = [("company", INT4, True), ("email", TEXT, True)]
    assert "does not have it" in caught(insert(1, "a"), columns=missing)[0][1]
    json: Columns = [("id", 114, True), ("company", INT4, True), ("email", TEXT, True)]
    assert "part of a key" in caught(insert("{}", 1, "a"), columns=json)[0][1]


def test_a_join_value_that_cannot_be_read_is_left_out() -> None:
    odd: Columns = [("id", INT4, True), ("company", 1700, True), ("email", TEXT, True)]
    assert caught(insert(1, "1e999999", "a"), columns=odd) == [("users", (1,), None, {"email": "a"})]


def test_a_relation_that_is_told_again_may_have_been_altered() -> None:
    changes = Changes([USERS], 5)
    changes.add(relation(FULL))
    assert not changes.altered
    changes.add(relation(FULL))
    assert changes.altered


def test_a_relation_is_of_the_tables_that_own_it_whatever_it_is_called() -> None:
    parts = Changes([USERS], 5, lambda oid: [USERS] if oid == 7 else [])
    for message in (begin(), relation(FULL, 7, "users_2026"), insert(1, 2, "a", oid=7), commit()):
        parts.add(message)
    assert told(parts.take_finished()) == [("users", (1,), None, {"company": 2, "email": "a"})]


def test_other_tables_and_unknown_messages_are_ignored() -> None:
    assert (
        caught(relation(FULL, 2, "others"), insert(1, 2, "a", oid=2), b"S????", insert(5, 5, 5, oid=77)) == []
    )


def test_types_of_users_are_text_and_domains_their_base() -> None:
    columns: Columns = [("id", 20_001, True), ("company", MOOD, True), ("email", TEXT, True)]
    types = (
        b"Y" + pack("!I", 20_001) + b"\0int4\0",
        b"Y" + pack("!I", MOOD) + b"public\0mood\0",
    )
    changes = Changes([USERS], 5)
    for message in (begin(), *types, relation(columns), insert(1, "sad", "a"), commit()):
        changes.add(message)
    assert told(changes.take_finished()) == [("users", (1,), None, {"company": "sad", "email": "a"})]


def test_hints_carry_transaction_position_and_time() -> None:
    changes = Changes([USERS], (3 << 32) + 5)
    for message in (begin(7, 0x16B374D848, 1_500_000), relation(FULL), insert(1, 2, "a")):
        changes.add(message)
    assert (changes.inside, changes.finished, len(changes.open)) == (True, [], 1)
    changes.add(commit(0x16B374D900))
    (hint,) = changes.take_finished()
    assert hint.token == f"x:{(3 << 32) + 7}"
    assert hint.position == "16/B374D848"
    assert hint.at == 946_684_801.5
    assert changes.end == 0x16B374D900
    assert not changes.inside


@pytest.mark.parametrize(
    ("xid", "near", "wide"),
    [
        (7, 5, 7),
        (5, 7, 5),
        (0xFFFFFFF0, (1 << 32) + 5, 0xFFFFFFF0),
        (5, (1 << 32) - 5, (1 << 32) + 5),
        (0xFFFFFFF0, 5, 0xFFFFFFF0),
        (3, (9 << 32) + 0xFFFFFFFF, (10 << 32) + 3),
    ],
)
def test_transaction_ids_are_widened_to_the_nearest(xid: int, near: int, wide: int) -> None:
    assert widened(xid, near) == wide


@given(st.integers(1 << 31, 1 << 60), st.integers(-(1 << 31) + 1, (1 << 31) - 1))
def test_widening_gives_back_what_was_cut(near: int, away: int) -> None:
    assert widened((near + away) & 0xFFFFFFFF, near) == near + away


values: st.SearchStrategy[Value] = st.one_of(st.none(), st.just(UNCHANGED), st.binary(max_size=4))


@given(st.lists(st.tuples(st.booleans(), values, values, values), max_size=5))
def test_no_values_stop_the_feed(rows: list[tuple[bool, Value, Value, Value]]) -> None:
    changes = Changes([USERS], 5)
    changes.add(begin())
    changes.add(relation(FULL))
    for old, *parts in rows:
        body = pack("!H", 3)
        for value in parts:
            if isinstance(value, bytes):
                body += b"t" + pack("!I", len(value)) + value
            else:
                body += b"n" if value is None else b"u"
        changes.add((b"D\0\0\0\1O" if old else b"I\0\0\0\1N") + body)
    changes.add(commit())
    assert bool(changes.take_finished()) == bool(rows)
