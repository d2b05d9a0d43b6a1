"""Every type that can be a key, as one: in the log, in a walk, as a parameter, and as a column to join by."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lockstep.declaration.mapping import Mapping
from lockstep.engine.deriving.derive import Deriver
from lockstep.forms import keys
from lockstep.values import EVERYTHING, Fetch, Key, Span
from tests.support.memory import MemoryTarget
from tests.systems.postgres_db import Db, table
from tests.types import rows
from tests.types.postgres_kinds import KINDS, SETUP

KEYABLE = [(number, kind) for number, kind in enumerate(KINDS) if kind.key == "yes"]
FORMS = "ALTER TABLE {} REPLICA IDENTITY FULL"


@pytest.fixture
def db(postgres_url: str) -> Iterator[Db]:
    """For each type a table with it as key, and another that refers to that."""
    with Db(postgres_url, "CREATE EXTENSION vector", *SETUP) as made:
        for number, kind in KEYABLE:
            made.execute(
                f"CREATE TABLE p{number} (v {kind.declared} PRIMARY KEY)",
                f"CREATE TABLE c{number} (id int PRIMARY KEY, v {kind.declared} REFERENCES p{number})",
                FORMS.format(f"c{number}"),
            )
        yield made


def fill(db: Db) -> None:
    for number, kind in KEYABLE:
        for at, case in enumerate(kind.cases):
            db.execute(f"INSERT INTO p{number} VALUES ({case.literal}) ON CONFLICT DO NOTHING")
            db.execute(f"INSERT INTO c{number} VALUES ({at}, NULL)")


def walked(db: Db, number: int, limit: int) -> tuple[list[Key], bool]:
    """The keys of a table, page by page."""
    found: list[Key] = []
    span: Span | None = EVERYTHING
    ordered = True
    with db.reader().snapshot() as snapshot:
        while span is not None:
            page = snapshot.keys(table(f"p{number}", "v", "v"), span, limit)
            assert len(page.keys) <= limit
            found += page.keys
            ordered = page.ordered
            span = page.rest
    return found, ordered


def test_log_walk_and_read_agree_on_every_key(db: Db) -> None:
    follower = db.follow(*(table(f"p{number}", "v", "v") for number, _ in KEYABLE))
    fill(db)
    hinted: dict[str, set[Key | None]] = {}
    for hint in follower.catch():
        hinted.setdefault(hint.table, set()).add(hint.key)
    reader = db.reader()
    for number, kind in KEYABLE:
        name = f"public.p{number}"
        page, ordered = walked(db, number, 1000)
        assert len(page) == db.ask(f"SELECT count(*) FROM p{number}"), kind.declared
        assert walked(db, number, 1)[0] == page, kind.declared
        assert not ordered or page == sorted(page), kind.declared
        assert hinted[name] == set(page), kind.declared
        with reader.snapshot() as snapshot:
            for key in page:
                found = snapshot.rows(Fetch(name, ("v",), ("v",)), [keys.decode(key)])
                assert [keys.encode(row) for row in found] == [key], (kind.declared, keys.text(key))
                (typed,) = db.source.parse_keys(table(f"p{number}", "v", "v"), [[keys.text(key)]])
                assert typed == key, (kind.declared, keys.text(key))
    db.execute(*(f"TRUNCATE c{number}" for number, _ in KEYABLE))
    db.execute(*(f"DELETE FROM p{number}" for number, _ in KEYABLE))
    gone: dict[str, set[Key | None]] = {}
    for hint in follower.catch():
        gone.setdefault(hint.table, set()).add(hint.key)
    assert gone == hinted


def test_every_key_is_a_column_to_join_by(db: Db) -> None:
    """A child's null becomes a value: the hint leads to its parent, and the parent's shape has the child."""
    text, module = rows.models(db.source.catalog())
    classes = {model.__table__: model for model in vars(module).values() if hasattr(model, "__table__")}
    sys.modules[module.__name__] = module
    fill(db)
    follower = db.follow(*(table(f"c{number}", "id v", joins="v") for number, _ in KEYABLE))
    for number, kind in KEYABLE:
        for at, case in enumerate(kind.cases):
            db.execute(f"UPDATE c{number} SET v = {case.literal} WHERE id = {at}")
    led: dict[str, set[Key | None]] = {}
    for hint in follower.catch():
        assert hint.before == {"v": None}
        led.setdefault(hint.table, set()).add((hint.after or {})["v"])
    for number, kind in KEYABLE:
        page, _ = walked(db, number, 1000)
        assert led[f"public.c{number}"] == set(page), kind.declared
        parent, child = classes[f"public.p{number}"], classes[f"public.c{number}"]
        code = "class Family(Parent):\n    kids: list[Child]\n"
        scope: dict[str, Any] = {"Parent": parent, "Child": child, "__name__": module.__name__}
        vars(module).update(Child=child)
        exec(code, scope)

        def shape(family: Any) -> dict[str, object]:
            return {}

        shape.__annotations__ = {"family": scope["Family"], "return": dict[str, object]}
        mapping = Mapping(shape, db.source, MemoryTarget(), name="shape", key=None, version="1", zone="UTC")
        roots = Deriver(mapping, db.reader()).roots(page)
        for key in page:
            kids = db.ask(f"SELECT count(*) FROM c{number} WHERE v IS NOT NULL") if len(page) == 1 else None
            assert roots[key].kids, (kind.declared, keys.text(key))
            assert kids in (None, len(roots[key].kids))
        assert sum(len(root.kids) for root in roots.values()) == len(kind.cases), kind.declared
    sys.modules.pop(module.__name__)
    assert text
