"""A target that goes away in the middle of a check, and comes back: the check says which system, and ends as
what failed. Nothing is told to be missing for it, and the next check, or the one that goes on, finds what
there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

import lockstep as ls
from lockstep.agreement import bookmark, deep
from lockstep.agreement.report import Report
from lockstep.cli import exits
from lockstep.database import Access
from lockstep.errors import Unreachable
from lockstep.guard.door import Door
from lockstep.operations.opened import existing
from lockstep.ports import Target
from lockstep.systems.postgres import client
from lockstep.testing.proxy import Proxy
from tests.pairs.world import COLUMNS, World, document

ASKED = ("identity", "contents", "estimate", "read", "scan", "listed", "sums", "marks", "edited", "strangers")
Fault = Callable[[Proxy], None]


def refused(proxy: Proxy) -> None:
    """As a server that was stopped."""
    proxy.refuse()
    proxy.cut()


def deaf(proxy: Proxy) -> None:
    """As one that hangs."""
    proxy.deaf()


def half(proxy: Proxy) -> None:
    """The line breaks in the middle of its answer."""
    proxy.cut_after(60, answers=True)


class Cable(World):
    """The small product, to a target behind a cable that is pulled at a question to it. `at`: before which
    one, none where it is 0; `asked`: how many there were."""

    def __init__(self, world: World, proxy: Proxy) -> None:
        super().__init__(world.root, world.url, world.target)
        self.proxy = proxy
        self.at = self.asked = 0
        self.fault: Fault = refused

    def pipeline(self) -> ls.Pipeline:
        made = ls.Pipeline("pairs", state=self.state)
        source = ls.Postgres(self.url, slot=self.url.rpartition("/")[2])
        made.mapping(source, to=self._behind(), name="people", version="1")(document)
        return made

    def _behind(self) -> Target:
        kind, where, name = self.target.split("|")
        url = where.replace(f":{urlsplit(where).port}", f":{self.proxy.port}")
        if kind == "opensearch":
            return ls.OpenSearch(url, timeout=2.0).index(name, settings={"number_of_replicas": 0})
        columns = COLUMNS | {"tags": "jsonb", "threads": "json"}
        return ls.Postgres(f"{url}?connect_timeout=2").table(f"out.{name}", columns=columns)

    def question(self) -> None:
        self.asked += 1
        if self.asked == self.at:
            self.fault(self.proxy)

    def check(self, method: str, at: int = 0, **more: Any) -> Report:
        self.at, self.asked = at, 0
        try:
            return ls.verify(self.pipeline(), "people", method=method, **more)
        finally:
            self.at = 0
            self.proxy.accept()

    def opened(self) -> list[str]:
        """What is known to differ."""
        with existing(self.pipeline(), Access.LOOK) as store:
            return [one.subject for one in store.reports.divergences(1)]


@pytest.fixture
def cable(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cable]:
    """With something planted, and small pages."""
    monkeypatch.setattr(bookmark, "EVERY", 0.0)
    monkeypatch.setattr(deep, "PAGE", 20)
    monkeypatch.setattr(client, "WRITING_SECONDS", 2.0)
    monkeypatch.setattr(client, "GRACE", 0.5)
    at = urlsplit(world.target.split("|")[1])
    with Proxy(str(at.hostname), int(at.port or 0)) as proxy:
        made = Cable(world, proxy)
        made.run()
        planted(world)
        for name in ASKED:
            monkeypatch.setattr(Door, name, counting(made, getattr(Door, name)))
        yield made


def counting(cable: Cable, ask: Any) -> Any:
    def counted(self: Door, *given: Any, **named: Any) -> Any:
        cable.question()
        return ask(self, *given, **named)

    return counted


def planted(world: World) -> None:
    """Past Lockstep: one is missing, one differs, one is nobody's."""
    kind, where, name = world.target.split("|")
    if kind == "opensearch":
        with httpx.Client(base_url=f"{where}/{name}-g1", timeout=30) as http:
            http.delete("/_doc/7").raise_for_status()
            http.post("/_update/31", json={"doc": {"email": "wrong"}}).raise_for_status()
            http.put("/_doc/900?refresh=true", json={"email": "stranger"}).raise_for_status()
        return
    with psycopg.connect(where) as out:
        out.execute(f"DELETE FROM out.{name} WHERE id = 7".encode())
        out.execute(f"UPDATE out.{name} SET email = 'wrong' WHERE id = 31".encode())
        out.execute(f"INSERT INTO out.{name} (id, email) VALUES (900, 'stranger')".encode())


@pytest.mark.parametrize("method", ["fast", "deep"])
@pytest.mark.parametrize("fault", [refused, deaf, half])
@pytest.mark.parametrize("world", ["opensearch", "postgres"], indirect=True)
def test_at_whatever_question_it_goes_that_is_told_and_nothing_is_missing(
    cable: Cable, method: str, fault: Fault
) -> None:
    cable.fault = fault
    wanted = cable.check(method).counts
    assert wanted.keys() - {"different"} == {"missing", "extra"}
    tried = range(1, cable.asked + 1, 4 if fault is deaf else 3 if method == "deep" else 1)
    failures: list[Unreachable] = []
    for at in tried:
        before = cable.opened()
        try:
            report = cable.check(method, at)
        except Unreachable as error:
            failures.append(error)
            assert cable.opened() == before
        else:
            assert report.counts == wanted, "what can be asked again was, and no more than that"
        if method == "deep":
            assert cable.check("deep", resume=True).counts == wanted, at
    assert len(failures) == len(tried) or fault is half
    for failure in failures:
        assert exits.code_of(failure) == exits.FAILED
        assert str(cable.proxy.port) in str(failure)
        assert "writing" not in str(failure), "it only reads"
        assert failure.remedy
        assert "Lockstep tries again" not in failure.remedy, "a check does not"
    assert cable.check(method).counts == wanted
