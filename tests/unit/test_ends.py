"""What a mapping leads from and to: a wrong thing is told of while the file is read, with what to write."""

from __future__ import annotations

from typing import Any

import pytest

import lockstep as ls
from lockstep.errors import DeclarationError

WHOLE = {
    "table": (ls.Postgres("postgresql://u:secret@h/d"), ls.SQLite("a.db")),
    "index": (ls.OpenSearch("http://h"), ls.Tantivy("here")),
    "accounts": (ls.Zuora("http://h", client_id="u", client_secret="secret"),),
}


class Thing(ls.Model, table="things"):
    id: int = ls.key()


def declare(source: Any, to: Any) -> None:
    @ls.Pipeline("ends").mapping(source, to=to)
    def thing(one: Thing) -> dict[str, object]:
        return {}


@pytest.mark.parametrize("part", WHOLE)
def test_a_system_that_stands_for_its_part(part: str) -> None:
    for system in WHOLE[part]:
        with pytest.raises(DeclarationError, match=f"mapping thing leads .* to which {part}") as told:
            declare(ls.SQLite("a.db"), system)
        assert f".{part}(" in told.value.remedy


@pytest.mark.parametrize("to", ["out.t", None, ls.Postgres, 7])
def test_what_is_no_target(to: Any) -> None:
    with pytest.raises(DeclarationError, match="cannot be the target of mapping thing"):
        declare(ls.SQLite("a.db"), to)


@pytest.mark.parametrize("source", ["a.db", None, ls.SQLite, ls.OpenSearch("http://u:secret@h")])
def test_what_is_no_source(source: Any) -> None:
    with pytest.raises(DeclarationError, match="cannot be the source of mapping thing") as told:
        declare(source, ls.SQLite("b.db").table("t"))
    assert "secret" not in str(told.value)


def test_what_is_right_is_taken() -> None:
    declare(ls.SQLite("a.db"), ls.SQLite("b.db").table("t"))
