"""Tables altered while they are followed, and while nobody follows: never wrong data, never silence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import lockstep as ls
from tests.schemas.running import running
from tests.schemas.shop import Shop, names, until
from tests.schemas.steps import FOLLOWED, HELD, SILENT


@pytest.fixture
def shop(tmp_path: Path, postgres_url: str) -> Shop:
    return Shop(tmp_path, postgres_url)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockstep.systems.postgres.following.feed.WATCH", 0.2)


def done(shop: Shop, statements: list[str]) -> None:
    for statement in statements:
        if "{pkey}" in statement:
            with shop.connect() as connection:
                (name,) = connection.execute(
                    "SELECT conname FROM pg_constraint WHERE conrelid = 'items'::regclass AND contype = 'p'"
                ).fetchone() or ("",)
            statement = statement.replace("{pkey}", f'"{name}"')
        shop.do(statement)


@pytest.mark.usefixtures("soon")
def test_what_is_altered_while_it_runs_is_followed(shop: Shop) -> None:
    with running(shop.pipeline()):
        shop.settle("the backfill")
        for name, statements in FOLLOWED.items():
            done(shop, statements)
            shop.settle(name)
            if "others" not in "".join(statements):
                shop.neighbours_go_on()
    shop.assert_agreement()


def test_what_is_altered_while_nobody_runs_is_found(shop: Shop) -> None:
    shop.run()
    for name, statements in FOLLOWED.items():
        done(shop, statements)
        if name in SILENT:
            assert shop.actual() != shop.expected(), name
            shop.run()
            assert shop.actual() == shop.expected(), name
    shop.run()
    shop.assert_agreement()


@pytest.mark.usefixtures("soon")
def test_what_cannot_be_followed_is_held_and_let_go(shop: Shop) -> None:
    with running(shop.pipeline()) as run:
        shop.settle("the backfill")
        for name, (broken, reason, mended) in HELD.items():
            before = shop.actual()
            done(shop, broken)
            until(lambda said=reason: re.search(said, run.reason("items")) is not None, name)  # type: ignore[misc]
            shop.neighbours_go_on()
            assert shop.actual() == before, name
            done(shop, mended)
            shop.settle(name)
            until(lambda: run.reason("items") == "", name)
    shop.assert_agreement()
    told = [one for one in ls.history(shop.pipeline()).happenings if one.subject == "items"]
    held = [one.text for one in told if one.kind == "mapping-held"]
    assert len(held) == len(HELD), held
    for text, (_, reason, _) in zip(held, HELD.values(), strict=True):
        assert re.search(reason, text)
    assert len([one for one in told if one.kind == "mapping-goes-on"]) >= len(HELD)


def test_what_is_held_stops_a_run_that_ends_by_itself(shop: Shop) -> None:
    shop.run()
    shop.do("ALTER TABLE items DROP price CASCADE", "UPDATE others SET name = 'goes on'")
    with pytest.raises(ls.Refused, match=r"items\.price: there is no such column") as refused:
        ls.run(shop.pipeline(), once=True)
    assert "Did you mean" in refused.value.remedy or "Its columns" in refused.value.remedy
    assert names(shop.actual("others")) == {"goes on"}
    shop.do("ALTER TABLE items ADD price int DEFAULT 4, ADD twice int")
    shop.run()
    shop.assert_agreement()
