"""How a timeline is made of what was recorded: bursts, folding, the summary, and clocks that are set."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lockstep.cli.duration import Moment
from lockstep.cli.main import cli
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine.service import Service
from lockstep.operations.bursts import Burst, bursts
from lockstep.operations.folding import folded
from lockstep.operations.happening import Happening, Told
from lockstep.operations.history import history
from lockstep.operations.summary import summary
from lockstep.state import events, schema
from lockstep.state.books import Unfenced
from lockstep.state.events import Kind
from lockstep.state.store import Store

BEGUN = 1_700_000_000.0


def happenings(*told: str, every: float = 60.0) -> list[Happening]:
    """`kind subject text`, one each minute."""
    found = []
    for number, one in enumerate(told):
        kind, subject, text = [*one.split(" ", 2), "", ""][:3]
        found.append(Happening(BEGUN + number * every, kind, subject, text, seconds=1.0))
    return found


def lines(told: Sequence[Happening]) -> list[str]:
    return [f"{line.first.kind} {line.first.subject} x{line.times}" for line in folded(told)]


class TestBursts:
    def test_an_hour_like_all_others_is_none(self) -> None:
        busy = [(minute, 2_000 + minute % 7, 150) for minute in range(0, 10_000, 3)]
        (first, *more) = bursts(busy)
        assert (first.minute, more) == (0, [])  # nothing before it says that so much is usual

    def test_what_is_far_beyond_the_usual_is_one_burst_however_many_minutes_it_takes(self) -> None:
        quiet = [(minute, 10, 2) for minute in range(500)]
        wave = [(500, 40_000, 0), (501, 50_000, 300), (504, 9_000, 0)]
        after = [(minute, 12, 0) for minute in range(505, 600)]
        assert list(bursts([*quiet, *wave, *after])) == [Burst(500, 5, 99_000, 300, 10, 2)]

    def test_few_are_never_a_burst(self) -> None:
        assert list(bursts([(0, 999, 99), (100, 1, 0)])) == []
        assert [one.removes for one in bursts([(0, 0, 100)])] == [100]

    def test_what_goes_on_becomes_usual(self) -> None:
        told = [(hour * 60, 5_000, 0) for hour in range(20)]
        assert len(list(bursts(told))) == 1

    def test_a_week_of_minutes_is_quick(self) -> None:
        begun = time.monotonic()
        list(bursts([(minute, minute % 977, minute % 31) for minute in range(7 * 1440)]))
        assert time.monotonic() - begun < 1


class TestFolding:
    def test_what_repeats_alone_is_one_line(self) -> None:
        told = happenings(*["mapping-waits users no answer after 3 s", "mapping-goes-on users goes on"] * 12)
        assert lines(told) == ["mapping-waits users x12", "mapping-goes-on users x12"]
        (waits, _) = folded(told)
        assert (waits.last_at - waits.first.happened_at, waits.seconds) == (22 * 60, 12)

    def test_what_is_long_ago_is_another_time(self) -> None:
        told = happenings(*["stuck users 3 keys are stuck"] * 4, every=601)
        assert lines(told) == ["stuck users x4"], "a sequence that follows itself is told once"
        told = happenings("stuck users 3", "mapping-waits users no answer", "stuck users 3", every=601)
        assert lines(told) == ["stuck users x1", "mapping-waits users x1", "stuck users x1"]
        told = happenings(*["stuck users 3"] * 4)
        told[2:2] = happenings("held users hold 1")
        assert lines(told) == ["stuck users x2", "held users x1", "stuck users x2"]

    def test_what_was_well_before_a_sign_is_not_told_with_what_is_well_after(self) -> None:
        agreed = "check-agreed users fast check: in agreement, 7 records"
        told = happenings(agreed, agreed, "target-emptied index", agreed, agreed)
        assert lines(told) == ["check-agreed users x2", "target-emptied index x1", "check-agreed users x2"]
        told = happenings(agreed, "mapping-waits users no answer", agreed)
        assert lines(told) == ["check-agreed users x1", "mapping-waits users x1", "check-agreed users x1"]

    def test_the_same_backwards_is_not_the_same(self) -> None:
        told = happenings(
            "check-agreed users", "target-gone index", "target-gone index", "check-agreed users"
        )
        assert lines(told) == ["check-agreed users x1", "target-gone index x2", "check-agreed users x1"]

    def test_different_reasons_are_different_lines(self) -> None:
        told = happenings("mapping-waits users no answer", "mapping-waits users it is full")
        assert lines(told) == ["mapping-waits users x1", "mapping-waits users x1"]

    def test_what_persons_did_is_told_each_time_unless_it_is_the_same(self) -> None:
        one = Happening(BEGUN, Told.APPROVED, "users", "hold 1", "ada", "because 1")
        other = Happening(BEGUN + 1, Told.APPROVED, "users", "hold 1", "ada", "because 2")
        assert len(folded([one, other])) == 2
        assert len(folded([one, one])) == 1

    def test_a_run_that_dies_all_night_is_told_once_whichever_mapping_stops_first(self) -> None:
        night = []
        for number in range(200):
            stops = [f"mapping-stopped {name} gone" for name in ("a", "b", "c")]
            night += [
                f"run-began {number}",
                *stops[number % 3 :],
                *stops[: number % 3],
                f"run-ended {number}",
            ]
        told = [
            Happening(
                one.happened_at, one.kind, f"run {one.subject}" if "run" in one.kind else one.subject, ""
            )
            for one in happenings(*night)
        ]
        told[:0] = happenings("pass-ended a")
        assert lines(told) == [
            "pass-ended a x1",
            "run-began run 0 x200",
            "mapping-stopped a x200",
            "mapping-stopped b x200",
            "mapping-stopped c x200",
            "run-ended run 0 x200",
        ]

    def test_every_happening_is_in_one_line(self) -> None:
        kinds = ("run-began 1", "held users", "check-agreed users", "stuck users", "target-gone index")
        told = happenings(*(kinds[number * number % 7 % 5] for number in range(500)))
        assert sum(line.times for line in folded(told)) == 500
        first = [line.first.happened_at for line in folded(told)]
        assert first == sorted(first)


FOLLOWS = {"users": {"users"}, "orders": {"orders"}, "app": {"users", "orders"}, "index": {"users"}}


class TestSummary:
    def test_nothing_was_wrong(self) -> None:
        found = summary(happenings("run-began 1", "check-agreed users"), FOLLOWS)
        assert (found.first_sign, found.agreed, found.unproven) == (None, None, ())

    def test_agreement_is_only_what_a_check_showed_after_the_last_sign_of_each_mapping(self) -> None:
        told = happenings(
            "run-began 1",
            "source-waits app",
            "target-emptied index",
            "held orders",
            "check-agreed users",
            "approved orders",
            "check-differed users",
            "check-agreed orders",
        )
        found = summary(told, FOLLOWS)
        assert (found.first_sign, found.held, found.decided) == (told[1], told[2], told[5])
        assert (found.agreed, found.unproven) == (None, ("users",))
        again = happenings(*["x"] * 8, "check-agreed users", "check-agreed users")[-2:]
        found = summary([*told, *again], FOLLOWS)
        assert (found.agreed, found.unproven) == (again[0], ())

    def test_a_snapshot_or_a_rehearsal_that_failed_takes_no_agreement_back(self) -> None:
        told = happenings(
            "target-gone index", "check-agreed users", "snapshot-failed index", "drill-failed index"
        )
        assert (summary(told, FOLLOWS).agreed, summary(told, FOLLOWS).unproven) == (told[1], ())

    def test_a_run_that_died_concerns_every_mapping(self) -> None:
        told = happenings("run-died 7", "check-agreed users")
        assert summary(told, FOLLOWS).unproven == ("orders",)

    def test_fewer_stuck_keys_are_no_sign(self) -> None:
        fewer = Happening(BEGUN, Kind.STUCK, "users", "", numbers={"stuck": 1, "before": 2})
        more = Happening(BEGUN, Kind.STUCK, "users", "", numbers={"stuck": 2, "before": 1})
        assert summary([fewer], FOLLOWS).first_sign is None
        assert summary([fewer, more], FOLLOWS).first_sign == more


def test_a_clock_that_is_set_is_said_and_durations_are_never_negative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "state")
    service = Service(Pipeline("x"), store)
    true = time.time
    ahead = true() - time.monotonic()
    assert service._clock(ahead) == pytest.approx(ahead, abs=1)
    run = store.runs.begin(1)
    store.holds.open(store.draw_epoch(), 1, "users", "removals", "many", ("remove",), (), 5, {})
    store.events.soon(Kind.MAPPING_WAITS, "users", "before")
    monkeypatch.setattr(time, "time", lambda: true() - 3_600)
    service._clock(ahead)
    store.events.soon(Kind.MAPPING_GOES_ON, "users", "after")
    store.events.flush()
    store.runs.see(run, {}, "stopped")
    store.holds.decide(1, "approved", "ada", "it is right", 5, true())
    found = history(tmp_path / "state", since=true() - 7_200, until=true())
    assert [str(one.kind) for one in found.happenings] == [
        "clock-jumped",
        "mapping-goes-on",
        "run-ended",
        "approved",
        "run-began",
        "held",
        "mapping-waits",
    ]
    assert found.happenings[0].text == "the clock was set 3,600 s back"
    assert found.notes == ("the clock was set: what is told around that time may be out of order",)
    assert [one.seconds for one in found.happenings if one.kind in ("run-ended", "approved")] == [0.0, 0.0]
    shown = CliRunner().invoke(cli, ["--state", str(tmp_path / "state"), "timeline"])
    assert (shown.exit_code, "Note: the clock was set" in shown.output) == (0, True), shown.output


def test_a_night_of_faults_stays_readable_and_quick(tmp_path: Path) -> None:
    place = tmp_path / "state"
    store = Store(place)
    rows = []
    begun = time.time() - 80_000
    for number in range(20_000):
        ill = number % 2 == 0
        rows.append(
            {
                "at": begun + number * 3.5,
                "kind": str(Kind.MAPPING_WAITS if ill else Kind.MAPPING_GOES_ON),
                "subject": f"m{number // 2 % 5}",
                "text": f"no answer after {number} s" if ill else "goes on",
                "numbers": None if ill else '{"seconds": 3.5, "times": 1}',
            }
        )
    with store.events._database.unfenced(Unfenced.PERSON) as connection:
        connection.execute(schema.events.insert(), rows)
    store.events.note(Kind.TARGET_GONE, "index", "index is gone")
    store.close()
    took = time.monotonic()
    shown = CliRunner().invoke(cli, ["--state", str(place), "timeline"])
    took = time.monotonic() - took
    assert shown.exit_code == 0, shown.output
    told = [line for line in shown.output.splitlines() if " ✗ " in line or " ✓ " in line]
    assert len(told) == 11
    assert "; 2,000 times " in told[0]
    assert "target-gone" in told[-1]
    assert took < 3, took


def test_what_is_older_than_what_is_kept_is_said(tmp_path: Path) -> None:
    Store(tmp_path / "state").close()
    old = history(tmp_path / "state", since=time.time() - events.KEPT - 10)
    assert "are kept for 90 days" in old.notes[0]
    assert history(tmp_path / "state", since=time.time() - events.KEPT + 10).notes == ()


def test_the_page_tells_of_every_kind() -> None:
    page = (Path(__file__).parents[2] / "docs" / "timeline.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", page, re.MULTILINE))
    assert rows == {kind.value: kind.meaning for kind in (*Told, *Kind)}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("9999999999d", "1970-01-01T00:00:00Z"),
        ("2h", "2026-11-28T10:10:00+01:00"),
        ("03:12", "2026-11-28T03:12:00+01:00"),
        ("3:12", "2026-11-28T03:12:00+01:00"),
        ("23:59:30", "2026-11-27T23:59:30+01:00"),
        ("2026-10-25", "2026-10-25T00:00:00+02:00"),
        ("2026-11-27 22:00", "2026-11-27T22:00:00+01:00"),
        ("2026-11-27T22:00Z", "2026-11-27T23:00:00+01:00"),
    ],
)
def test_a_moment_as_people_type_it(typed: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = dt.datetime.fromisoformat("2026-11-28T12:10:00+01:00").timestamp()
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(time, "time", lambda: now)
            found = Moment().convert(typed, None, None)
        assert found == dt.datetime.fromisoformat(expected).timestamp()
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("typed", ["", "yesterday", "25:00", "2026-13-01", "0001-01-01", "-2h"])
def test_what_is_no_moment(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="no time: write 2h"):
        Moment().convert(typed, None, None)
