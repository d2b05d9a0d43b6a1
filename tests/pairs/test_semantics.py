"""PostgreSQL → OpenSearch, counted at the target: what is written, how often, and who stops for whom."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import lockstep as ls
from lockstep.state.stuck import Stuck
from lockstep.testing.http_proxy import HttpProxy
from lockstep.testing.servers import OpenSearchHandle
from tests.pairs.world import SCHEMA, Following, Person, User, World, document, target_of, until


class Counted(World):
    """The small product, written through a proxy that records."""

    def __init__(self, root: Path, url: str, proxy: HttpProxy, real: httpx.Client) -> None:
        self.name = f"counted_{uuid.uuid4().hex[:8]}"
        super().__init__(root, url, f"opensearch|{proxy.url}|{self.name}")
        self.proxy = proxy
        self.real = real
        self.function = document

    def pipeline(self) -> ls.Pipeline:
        made = super().pipeline()
        made.mappings["people"].function = self.function
        return made

    def written(self) -> Counter[str]:
        """Writes by the document's id, since it was asked last."""
        found = [
            next(iter(action.values()))["_id"]
            for body in self.proxy.bodies("/_bulk")
            for line in body.splitlines()
            if (action := json.loads(line)).keys() <= {"index", "delete", "create", "update"}
        ]
        self.proxy.requests.clear()
        return Counter(found)

    def stuck(self) -> list[Stuck]:
        return list(ls.stuck(self.root / "state", "people"))


@pytest.fixture
def counted(tmp_path: Path, postgres_url: str, opensearch_server: OpenSearchHandle) -> Iterator[Counted]:
    with (
        HttpProxy(opensearch_server.url) as proxy,
        httpx.Client(base_url=opensearch_server.url, timeout=30) as real,
    ):
        made = Counted(tmp_path, postgres_url, proxy, real)
        made.do(*SCHEMA.strip().rstrip(";").split(";"))
        made.run()
        assert len(made.written()) == 60
        yield made
        real.delete(f"/{made.name}*?ignore_unavailable=true")


def test_a_thousand_changes_of_one_key_are_one_write(counted: Counted) -> None:
    """And one derivation a batch: what is derived once more is equal, and not written in any case."""
    with counted.connect() as connection:
        for at in range(1000):  # each a transaction
            connection.execute("UPDATE users SET email = %s WHERE id = 1", [f"mail-{at}"])
    derived: list[str] = []

    def noted(user: Person) -> dict[str, object]:
        if user.id == 1:
            derived.append(user.email)
        return document(user)

    counted.function = noted
    counted.run()
    assert list(counted.written().values()) == [1]
    assert len(derived) < 100, "as many derivations as batches, not as changes"
    counted.assert_agreement()


def test_what_means_the_same_is_not_written(counted: Counted) -> None:
    counted.do("UPDATE users SET last_seen = now(), email = upper(email)", "UPDATE companies SET name = name")
    counted.run()
    assert counted.written() == {}
    counted.assert_agreement()


def test_hints_that_come_twice_write_nothing_more(counted: Counted) -> None:
    """From the log, whose reader was killed before it said that it has them; and every key once more."""
    counted.do("UPDATE users SET email = 'other' WHERE id < 11")
    assert counted.spawn(crash="journalled:1").wait(60) == -9
    counted.run()
    assert sorted(counted.written().values()) == [1] * 10
    ls.backfill(counted.pipeline(), "people")
    counted.run()
    assert counted.written() == {}
    counted.assert_agreement()


def with_nickname(user: Person) -> dict[str, object]:
    return {**document(user), "nickname": user.email} if user.id == 1 else document(user)


def test_a_conflict_of_types_backs_off_and_clears_itself_once_the_index_was_mended(
    counted: Counted,
) -> None:
    """Nobody asks for the other try."""
    path = f"/{counted.name}-g1/_mapping"
    number = {"type": "integer"}
    counted.real.put(path, json={"properties": {"nickname": number}}).raise_for_status()
    counted.function = with_nickname
    counted.do(
        "UPDATE users SET email = 'mended' WHERE id = 1", "UPDATE users SET email = 'two' WHERE id = 2"
    )
    with Following(counted):
        until(lambda: bool(counted.stuck()) and counted.stuck()[0].attempts > 2)
        (one,) = counted.stuck()
        assert "nickname" in one.error
        assert one.retry_at is not None
        assert one.retry_at - one.last_at > 2.0, "each wait is longer"
        assert counted.actual()["2"]["email"] == "two", "nobody waits for it"
        number["ignore_malformed"] = True  # type: ignore[assignment]
        counted.real.put(path, json={"properties": {"nickname": number}}).raise_for_status()
        until(lambda: counted.stuck() == [])
    assert counted.actual()["1"]["nickname"] == "mended"


def neighbour(user: User) -> dict[str, object]:
    return {"address": user.email}


class Neighbours(Counted):
    """With another mapping of the same source, which fails for no address."""

    def pipeline(self) -> ls.Pipeline:
        made = super().pipeline()
        source = made.mappings["people"].source
        target = target_of(f"opensearch|{self.proxy.url}|{self.name}_other")
        made.mapping(source, to=target, name="other", version="1")(neighbour)
        return made

    def kept_back(self) -> dict[str, str]:
        return {
            one.name: one.reason for one in ls.status(self.root / "state").mappings if one.state == "held"
        }

    def addresses(self) -> set[object]:
        writer = target_of(f"opensearch|{self.proxy.url}|{self.name}_other").open(1)
        try:
            return {one.record.get("address") for one in writer.scan(None, 10_000)}
        finally:
            writer.close()


def test_when_most_keys_fail_that_mapping_is_held_and_its_neighbour_goes_on(counted: Counted) -> None:
    both = Neighbours(counted.root, counted.url, counted.proxy, counted.real)
    both.name, both.target = counted.name, counted.target
    both.run()
    both.do("INSERT INTO users SELECT i, 1, 'poison' FROM generate_series(1001, 1300) i")
    with Following(both) as following:
        until(lambda: "people" in both.kept_back())
        both.do("UPDATE users SET email = 'after' WHERE id = 1")
        until(lambda: {"after", "poison"} <= both.addresses())
        assert following.result is None, "the run has ended"
        reason = both.kept_back()
    assert set(reason) == {"people"}
    assert "keys failed" in reason["people"]
