"""`check` compares what samples hold with what their models' annotations say."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import lockstep as ls
from tests.support.world import Company, Conversation, Message, World


class Wrong(ls.Model, table="users"):
    id: int = ls.key()
    company_id: int
    manager_id: str | None
    email: dt.date
    last_seen: bool


class Spoken(Message, table="messages"):
    body: int  # type: ignore[assignment]


class Talk(Conversation):
    messages: list[Spoken]


class Wronged(Wrong):
    talks: list[Talk] = ls.many(on=Conversation.user_id)
    company: Company | None = ls.one(on=Wrong.company_id)


def test_annotations_that_records_contradict(tmp_path: Path) -> None:
    world = World(tmp_path, claims=False)
    world.do(
        "INSERT INTO users VALUES (1, 7, NULL, 'a', 0), (2, NULL, 1, 'b', 0), (3, NULL, 1, 'c', NULL)",
        "INSERT INTO conversations VALUES (1, 1, 'one')",
        "INSERT INTO messages VALUES (1, 1, 'hi'), (2, 1, 'ho')",
    )
    pipeline = ls.Pipeline("wrong", state=tmp_path / "state")
    to = ls.SQLite(world.out).table("people", columns={"id": "INTEGER"})

    @pipeline.mapping(ls.SQLite(world.app), to=to, version="1")
    def people(user: Wronged) -> dict[str, object]:
        return {"id": user.id}

    found = [(one.blocks, one.problem) for one in ls.check(pipeline) if one.subject == "people"]
    assert sorted(found) == [
        (False, "Wronged.company_id is null in a sample, and its annotation does not allow for it"),
        (True, "Spoken.body holds a text, and its annotation says a number"),
        (True, "Wronged.email holds a text, and its annotation says a date"),
        (True, "Wronged.last_seen holds a number, and its annotation says a bool"),
        (True, "Wronged.manager_id holds a number, and its annotation says a text"),
    ]
