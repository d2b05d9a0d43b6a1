"""How tables are named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.errors import DeclarationError
from lockstep.systems.postgres import lsn, names

part = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(part, part)
def test_written_names_are_read_back(schema: str, table: str) -> None:
    assert names.parse(names.written(schema, table)) == (schema, table)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("users", ("public", "users")),
        ("app.users", ("app", "users")),
        ("app.Users", ("app", "Users")),
        ('app."a.b"', ("app", "a.b")),
        ('"a""b".c', ('a"b', "c")),
        ("public.Odd Table", ("public", "Odd Table")),
    ],
)
def test_names_as_people_write_them(name: str, parts: tuple[str, str]) -> None:
    assert names.parse(name) == parts


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", "a.b.c", 'a"b', '"a', '""', '"a"b'])
def test_what_is_no_name_is_refused_with_a_mend(name: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        names.parse(name)
    assert refused.value.remedy


def test_identifiers_and_texts_in_sql() -> None:
    assert names.sql_name('s.a b"c'.replace('"', "")) == '"s"."a bc"'
    assert names.quoted('a"b') == '"a""b"'
    assert names.literal("it's") == "'it''s'"
    assert names.literal("a\\'b") == "E'a\\\\''b'"


@given(st.integers(0, (1 << 64) - 1))
def test_positions_are_numbers(position: int) -> None:
    assert lsn.number(lsn.text(position)) == position


def test_positions_as_postgresql_writes_them() -> None:
    assert lsn.text(0x16_B374D848) == "16/B374D848"
    assert lsn.number("0/0") == 0
    with pytest.raises(ValueError, match="no position"):
        lsn.number("12")
