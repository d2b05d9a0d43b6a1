"""ATTACH: a file is one source, whoever writes it under whatever name; other files are not part of it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from tests.support.world import World

from lockstep.systems.sqlite import SQLite
from lockstep.values import Table


def test_what_is_written_through_attach_is_followed(tmp_path: Path) -> None:
    world = World(tmp_path, claims=False)
    world.run()
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db", isolation_level=None)) as other:
        other.execute("CREATE TABLE companies (id INTEGER PRIMARY KEY, name TEXT)")
        other.execute("ATTACH ? AS app", (str(world.app),))
        other.execute("BEGIN")
        other.execute("INSERT INTO app.companies VALUES (1, 'one')")
        other.execute("INSERT INTO main.companies VALUES (1, 'not ours')")
        other.execute("INSERT INTO app.users VALUES (1, 1, NULL, 'a@x', 0)")
        other.execute("COMMIT")
    world.run()
    world.assert_agreement()
    assert [one["company"] for one in world.actual()["people"]] == ["one"]


def test_a_table_of_an_attached_file_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    (finding,) = SQLite(world.app).check([Table("other.companies", ("id",), ("id",))])
    assert finding.blocks
    assert "there is no table 'other.companies'" in finding.problem
