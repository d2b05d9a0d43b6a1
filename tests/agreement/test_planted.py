"""Whatever goes wrong behind Lockstep's back is found: by the fast check what its method can, by the deep one
all of it. All is planted at once, each on a key of its own, while a run follows changes of other keys."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx
import pytest

import lockstep as ls
from lockstep.agreement.report import Report
from lockstep.engine.sources.capture import Capturer
from lockstep.guard.door import Door
from lockstep.values import Entry, Hint, Mark
from tests.agreement.planted import Saboteur, alter_ledger
from tests.pairs.world import Following, World, until


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """While it holds anything, whatever is captured is dropped, as by a hole in the journal."""
    dropping: list[bool] = []
    entries = Capturer._entries

    def some(self: Capturer, hints: list[Hint]) -> list[Entry]:
        return [] if dropping and hints else entries(self, hints)

    monkeypatch.setattr(Capturer, "_entries", some)
    return dropping


class Traffic:
    """Changes of other users, all the time, for a `with` block."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stop = threading.Event()
        self._paused = threading.Event()
        self._quiet = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        number = 0
        with self._world.connect() as connection:
            while not self._stop.is_set():
                if self._paused.is_set():
                    self._quiet.set()
                    self._stop.wait(0.01)
                    continue
                self._quiet.clear()
                number += 1
                user = number % 20 + 1
                connection.execute("UPDATE users SET email = %s WHERE id = %s", (f"{number}@x", user))
                connection.execute("UPDATE messages SET body = %s WHERE id = %s", (f"{number}", user))
                connection.execute("UPDATE users SET last_seen = now() WHERE id = 50")
                self._stop.wait(0.005)

    def pause(self) -> None:
        self._paused.set()
        assert self._quiet.wait(30)

    def go_on(self) -> None:
        self._paused.clear()

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)


def found(report: Report) -> dict[str, str]:
    """The kind of every divergence, by source key, or by target key where it says none."""
    return {str(one.key or one.target_key): one.kind for one in report.divergences}


@pytest.fixture
def busy(world: World) -> Iterator[Traffic]:
    """A run that follows, in agreement, with traffic."""
    with Following(world):
        until(lambda: len(world.actual_or_none()) == 60)
        with Traffic(world) as traffic:
            yield traffic


HONEST = {  # what the fast check finds as well
    "31": "missing",
    "32": "different",  # a field edited, the fingerprint with it
    "900": "extra",
    "901": "extra",  # by another mapping, whose source key is 901
    "33": "stale",  # a child row whose hint was lost
    "34": "stale",  # two links exchanged between two parents
    "35": "stale",
    "36": "stale",  # what cancels in a plain sum: two titles exchanged
    "37": "stale",
    "38": "missing",  # whose changes were lost as well
    "46": "different",  # two documents exchanged with their fingerprints, in a span that differs anyway
    "47": "different",
}
HIDDEN = {  # edited, and the fingerprint left as it was
    "41": "different",  # another text
    "42": "different",  # a trailing space
    "43": "different",  # null where a text was
    "44": "different",  # "" where a text was
    "45": "different",  # a list in another order, or shorter
}


def sabotage(world: World, traffic: Traffic, deaf: list[bool]) -> None:
    traffic.pause()
    until(lambda: world.actual() == world.expected())
    deaf.append(True)
    world.do("DELETE FROM users_tags WHERE user_id = 38", "DELETE FROM conversations WHERE user_id = 38")
    world.do(
        "UPDATE messages SET body = 'lost' FROM conversations c"
        " WHERE c.id = conversation_id AND user_id = 33",
        "DELETE FROM users_tags WHERE user_id IN (34, 35)",
        "INSERT INTO users_tags VALUES (34, 4), (35, 3)",
        "UPDATE conversations SET title = CASE user_id WHEN 36 THEN 'talk 36' ELSE 'talk 35' END"
        " WHERE id IN (35, 36)",
    )
    wait_until_followed(world)
    deaf.clear()
    bad = Saboteur(world)
    bad.delete(31)
    bad.edit(32, honest=True, email="someone@else")
    bad.add(900, "people", 900)
    bad.add(901, "somebody", 901)
    bad.delete(38)
    bad.edit(41, email="edited@example.com")
    bad.edit(42, email="u42@example.com ")
    bad.edit(43, company=None)
    bad.edit(44, company="")
    bad.edit(45, tags=["tag 9"])
    bad.exchange(46, 47)
    traffic.go_on()


def wait_until_followed(world: World) -> None:
    """Until the run has read all of the log that there is now."""
    with world.connect() as connection:
        row = connection.execute("SELECT pg_current_wal_lsn()").fetchone()
        assert row is not None
        goal = row[0]

        def followed() -> bool:
            answer = connection.execute(
                "SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots"
                " WHERE database = current_database()",
                (goal,),
            ).fetchone()
            return bool(answer and answer[0])

        until(followed)


@pytest.mark.parametrize("world", ["opensearch", "sql", "postgres"], indirect=True)
def test_all_that_is_planted_is_found_while_others_change(
    world: World, busy: Traffic, deaf: list[bool]
) -> None:
    for method in ("fast", "deep"):
        report = ls.verify(world.pipeline(), "people", method=method)
        assert report.agreement, (method, report.counts, report.divergences[:3])
    sabotage(world, busy, deaf)
    report = ls.verify(world.pipeline(), "people", method="fast")
    hashed = world.target.partition("|")[0] in ("sql", "postgres")
    assert found(report) == (HONEST | HIDDEN if hashed else HONEST)
    report = ls.verify(world.pipeline(), "people", method="deep")
    assert found(report) == HONEST | HIDDEN


def test_what_the_fast_check_cannot_see_the_deep_one_does(world: World) -> None:
    """Sums do not see two documents of one span exchanged, nor (but of a table) one that lies of itself."""
    world.run()
    hashed = world.target.partition("|")[0] in ("sql", "postgres")
    bad = Saboteur(world)
    bad.edit(48, email="edited@example.com")
    fast = found(ls.verify(world.pipeline(), "people", method="fast"))
    assert fast == ({"48": "different"} if hashed else {})
    bad.exchange(46, 47)
    assert found(ls.verify(world.pipeline(), "people", method="deep")) == dict.fromkeys(
        ("46", "47", "48"), "different"
    )
    fast = found(ls.verify(world.pipeline(), "people", method="fast"))
    assert fast == ({"48": "different"} if hashed else {}), "a table names its edits, and adds up"
    bad.delete(49)
    fast = found(ls.verify(world.pipeline(), "people", method="fast"))
    assert fast == {"46": "different", "47": "different", "49": "missing"} | (
        {"48": "different"} if hashed else {}
    ), "all of a span that does not add up is read"


@pytest.mark.parametrize("summed", ["without a join", "joined"])
@pytest.mark.parametrize("world", ["sql", "postgres"], indirect=True)
def test_rows_edited_in_many_spans_are_named_by_the_database(
    world: World, summed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = []  # with the sums, where these are without a join
    if summed == "joined":
        monkeypatch.setattr("lockstep.systems.sql.totals.NAMED", 0)
        asks = [12]
    monkeypatch.setattr("lockstep.agreement.scope.SPAN", 5)
    monkeypatch.setattr("lockstep.agreement.listing.LISTED", 12)
    asked: list[int] = []
    edited = Door.edited

    def spied(self: Door, mapping: str, limit: int) -> list[Mark]:
        asked.append(limit)
        return edited(self, mapping, limit)

    monkeypatch.setattr(Door, "edited", spied)
    world.run()
    bad = Saboteur(world)
    wanted = {}
    for number in (1, 11, 21, 31, 41, 51):
        bad.edit(number, email="edited@example.com")
        wanted[str(number)] = "different"
    bad.delete(22)  # in a span that is listed for it, and has an edit too
    wanted["22"] = "missing"
    report = ls.verify(world.pipeline(), "people", method="fast")
    assert (found(report), report.differing, asked) == (wanted, 6, asks)
    assert sum(report.counts.values()) == len(wanted), "each once"
    for number in (2, 12, 32, 42, 52, 3, 13):
        bad.edit(number, email="edited@example.com")
        wanted[str(number)] = "different"
    report = ls.verify(world.pipeline(), "people", method="fast")
    assert (found(report), asked) == (wanted, asks), "so many are listed"
    assert sum(report.counts.values()) == len(wanted)


@pytest.mark.parametrize("world", ["opensearch", "sql"], indirect=True)
def test_a_change_that_reaches_no_target_field_is_no_divergence(world: World) -> None:
    world.run()
    world.do("UPDATE users SET last_seen = now()")
    report = ls.verify(world.pipeline(), "people", method="fast")
    assert (report.agreement, report.differing, report.behind) == (True, 0, 0)
    world.do("UPDATE users SET email = upper(email) WHERE id = 7")  # of the shape, and the record is the same
    report = ls.verify(world.pipeline(), "people", method="fast")
    assert (report.agreement, report.differing, report.behind) == (True, 1, 1)


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
@pytest.mark.parametrize(
    ("altered", "kind"),
    [("sent = sent + 1", "ledger"), ("sent = NULL", "ledger"), ("sum = sum + 1", None), ("sum = NULL", None)],
)
def test_an_altered_ledger_row_is_found(world: World, altered: str, kind: str | None) -> None:
    world.run()
    alter_ledger(world, 7, f"UPDATE ledger SET {altered}")
    report = ls.verify(world.pipeline(), "people", method="fast")  # it becomes deep where it is in doubt
    assert found(report) == ({"7": kind} if kind else {})
    assert report.behind == (kind is None)
    ls.backfill(world.pipeline(), "people", trust_target=True)
    world.run()
    report = ls.verify(world.pipeline(), "people", method="fast")
    assert (report.agreement, report.differing) == (True, 0)


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_a_lost_or_damaged_ledger_row_is_found(world: World) -> None:
    world.run()
    alter_ledger(world, 7, "DELETE FROM ledger")
    for method in ("fast", "deep"):
        report = ls.verify(world.pipeline(), "people", method=method)
        assert found(report) == {"7": "ledger"}, "both sides have it, and the ledger does not"
    alter_ledger(world, 8, "UPDATE ledger SET key = x'ff'")
    kinds = found(ls.verify(world.pipeline(), "people", method="deep"))
    assert kinds == {"7": "ledger", "8": "ledger"}
    kinds = found(ls.verify(world.pipeline(), "people", method="fast"))
    assert kinds == {"7": "ledger", "8": "ledger", "0xff": "ledger"}


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_a_copied_document_is_found(world: World) -> None:
    """It says of itself that it is another one, and no sum of what documents say can tell."""
    world.run()
    _, where, name = world.target.split("|")
    with httpx.Client(base_url=where, timeout=30) as client:
        source = client.get(f"/{name}-g1/_doc/7").json()["_source"]
        client.put(f"/{name}-g1/_doc/copy?refresh=true", json=source).raise_for_status()
    for method in ("fast", "deep"):
        (one,) = ls.verify(world.pipeline(), "people", method=method).divergences
        assert (one.kind, one.key, one.target_key) == ("extra", None, "copy")
        assert one.reason == "somebody copied it from a record of Lockstep"
