"""What every table tells of a span of time, on each dialect of the state store."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from lockstep.operations.happening import Happening
from lockstep.operations.history import history
from lockstep.place import Place
from lockstep.state import schema
from lockstep.state.books import Unfenced
from lockstep.state.counted import REMEMBERED
from lockstep.state.store import Store

HOUR = 3_600.0


def told(place: Place, *kinds: str, **asked: Any) -> list[Happening]:
    found = history(place, **asked).happenings
    return [one for one in found if not kinds or one.kind in kinds]


@pytest.fixture
def filled(place: Place) -> tuple[Store, float]:
    """Something in every table, long ago; and when that was. A second mapping has a target of its own."""
    store, at = Store(place), float(int(time.time() - 10 * HOUR))
    body = msgspec.json.encode({"ended_at": at + 70, "records_compared": 9, "accepted": 0, "counts": {}})
    pack = msgspec.msgpack.encode
    generation = {"marker": "m", "state": "live", "created_at": at}
    consumer = {"version": "1", "recipe": "r", "state": "running", "created_at": at}
    rows: list[tuple[Any, list[dict[str, Any]]]] = [
        (
            schema.generations,
            [{"target": name, "number": 1, **generation} for name in ("index:users", "index:orders")]
            + [{"target": "index:users", "number": 0, **generation, "state": "scratch"}],
        ),
        (
            schema.consumers,
            [
                {"mapping": "users", "generation": 1, "source": "app", **consumer},
                {"mapping": "orders", "generation": 2, "source": "shop", **consumer},
            ],
        ),
        (
            schema.runs,
            [
                {"holder": "a", "epoch": 1, "started_at": at, "seen_at": at + 5},
                {
                    "holder": "b",
                    "epoch": 2,
                    "started_at": at + 6,
                    "seen_at": at + 99,
                    "ended_at": at + 99,
                    "outcome": "failed",
                },
            ],
        ),
        (
            schema.holds,
            [
                {
                    "consumer": 1,
                    "mapping": "users",
                    "policy": "removals",
                    "reason": "many",
                    "kinds": pack(("remove", "refill")),
                    "keys": pack(()),
                    "expected": 7,
                    "numbers": "{}",
                    "opened_at": at + 20,
                    "seen_at": at + 20,
                    "state": "closed",
                    "decided_at": at + 30,
                    "decided_by": "ada",
                    "why": "yes",
                    "most": 7,
                    "until": at + 99,
                    "used": 3,
                    "closed_at": at + 40,
                }
            ],
        ),
        (
            schema.reports,
            [
                {
                    "consumer": 1,
                    "mapping": "users",
                    "method": "fast",
                    "started_at": at + 60,
                    "verdict": verdict,
                    "body": body,
                }
                for verdict in ("agreement", "2 missing", "cancelled")
            ],
        ),
        (
            schema.divergences,
            [
                {
                    "consumer": 1,
                    "subject": str(number),
                    "kind": "extra",
                    "method": "fast",
                    "report": 1,
                    "first_at": at,
                    "last_at": at,
                    "accepted_at": at + 71,
                    "accepted_by": "bob",
                    "because": "fine",
                    "body": b"",
                }
                for number in range(3)
            ],
        ),
        (
            schema.backfills,
            [
                {
                    "consumer": 1,
                    "reason": reason,
                    "total": 50,
                    "done": 49,
                    "started_at": at + 7,
                    "finished_at": at + 8,
                }
                for reason in ("backfill", "asked")
            ],
        ),
        (
            schema.stuck,
            [
                {
                    "consumer": 1,
                    "key": bytes([number]),
                    "stage": "derive",
                    "error": "poison",
                    "remedy": "",
                    "attempts": 1,
                    "first_at": at + 10 + number,
                    "last_at": at + 50,
                }
                for number in range(4)
            ],
        ),
        (
            schema.writes,
            [
                {"generation": 1, "minute": int(at // 60) - REMEMBERED + 5, "updates": 4_000, "removes": 0},
                {"generation": 1, "minute": int(at // 60) + 1, "updates": 20_000, "removes": 120},
                {"generation": 2, "minute": int(at // 60) + 1, "updates": 999, "removes": 99},
            ],
        ),
        (
            schema.snapshots,
            [
                {
                    "target": "index:users",
                    "generation": 1,
                    "name": state,
                    "state": state,
                    "begun_at": at + 80,
                    "body": "{}",
                }
                for state in ("taking", "whole")
            ],
        ),
        (
            schema.drills,
            [
                {
                    "target": "index:users",
                    "snapshot": "whole",
                    "begun_at": at + 81,
                    "outcome": "running",
                    "numbers": "{}",
                }
            ],
        ),
        (
            schema.events,
            [{"at": at + 82, "kind": "source-waits", "subject": "shop", "text": "no answer"}],
        ),
    ]
    with store.events._database.unfenced(Unfenced.PERSON) as connection:
        for table, some in rows:
            for row in some:
                connection.execute(table.insert(), row)
    return store, at


EXPECTED = {
    "run-began": [(0, None), (6, None)],
    "run-died": [(5, 5)],
    "run-ended": [(99, 93)],
    "build-made": [(0, None), (0, None)],
    "held": [(20, None)],
    "approved": [(30, 10)],
    "released": [(40, 20)],
    "check-agreed": [(70, 10)],
    "check-differed": [(70, 10)],
    "check-cancelled": [(70, 10)],
    "accepted": [(71, None)],
    "pass-began": [(7, None)],
    "pass-ended": [(8, 1), (8, 1)],
    "still-stuck": [(10, None)],
    "snapshot-began": [(80, None)],
    "drill-began": [(81, None)],
    "source-waits": [(82, None)],
}


def test_every_table_is_told_of_with_its_times(filled: tuple[Store, float], place: Place) -> None:
    store, at = filled
    store.close()
    found: dict[str, list[tuple[float, float | None]]] = {}
    for one in told(place, since=at - HOUR):
        if one.kind != "burst":
            found.setdefault(str(one.kind), []).append((one.happened_at - at, one.seconds))
    assert found == EXPECTED
    (burst,) = told(place, "burst", since=at - HOUR)
    assert burst.numbers == {"updates": 20_000, "removes": 120, "usual_updates": 4_000, "usual_removes": 0}
    assert (burst.happened_at, burst.subject) == ((at // 60 + 1) * 60, "index:users")
    (approved,) = told(place, "approved", since=at - HOUR)
    assert approved.text == "hold 1: at most 7 removals and records written anew"
    assert (approved.who, approved.why) == ("ada", "yes")
    assert [one.text for one in told(place, "accepted", since=at)] == ["let be as it is: 0 and 2 more"]
    assert [one.numbers for one in told(place, "still-stuck", since=at)] == [{"keys": 4}]


def test_what_is_outside_of_the_span_is_not_told(filled: tuple[Store, float], place: Place) -> None:
    store, at = filled
    store.close()
    assert told(place, since=at + 200) == []
    assert told(place, until=at - 100, since=at - HOUR) == []
    between = {str(one.kind) for one in told(place, since=at + 29, until=at + 41)}
    assert between - {"burst"} == {"approved", "released"}  # a burst is of a full minute, wherever that lies


def test_of_one_mapping_is_what_is_of_its_source_its_target_and_of_runs(
    filled: tuple[Store, float], place: Place
) -> None:
    store, at = filled
    store.close()
    kinds = [str(one.kind) for one in told(place, since=at - HOUR, mapping="orders")]
    assert sorted(kinds) == ["build-made", "run-began", "run-began", "run-died", "run-ended", "source-waits"]
    subjects = {one.subject for one in told(place, since=at - HOUR, mapping="users")}
    assert subjects == {"users", "index:users", "run 1", "run 2"}


def test_the_run_that_goes_on_has_not_died(place: Place) -> None:
    running = Store(place)
    running.lock.take()
    for epoch in (1, 2):
        running.runs.begin(epoch)
    found = [(str(one.kind), one.subject) for one in told(place)]
    assert sorted(found) == [("run-began", "run 1"), ("run-began", "run 2"), ("run-died", "run 1")]
