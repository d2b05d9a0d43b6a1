"""Tells the story. Every figure in it was measured in this run; agreement is what a check showed."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from typing import Any

from msgspec import Struct
from rich.console import Console
from rich.text import Text

from lockstep.agreement.report import Report
from lockstep.declaration.pipeline import Pipeline
from lockstep.demo.app import connect, create
from lockstep.demo.night import Night, night, saved, told
from lockstep.demo.pipeline import declare
from lockstep.demo.quiet import told_by_us
from lockstep.demo.traffic import Traffic
from lockstep.demo.working import working
from lockstep.operations.backfill import backfill
from lockstep.operations.run import run
from lockstep.operations.verify import verify
from lockstep.values import Change, Record

MAPPING = "user_document"
RATE = 100.0
_WIDEST = 100


class Figures(Struct, frozen=True):
    """What the demo measured. `agreement` is true only when the last check showed it."""

    agreement: bool
    users: int
    rows: int
    load_seconds: float
    documents_per_second: float
    traffic_seconds: float
    changes: int
    rolled_back: int
    lag_p50_ms: float | None
    lag_p99_ms: float | None
    search_hits: int
    checked_records: int
    check_seconds: float
    sabotaged: int
    found: int
    repaired: bool
    noticed_seconds: float
    restored: int
    redriven: int | None
    restore_seconds: float
    rebuild_seconds: float
    seconds: float


def demo(
    *,
    seconds: float,
    users: int,
    console: Console | None,
) -> Figures:
    """Runs the main job end to end in a directory of its own; `seconds` of it with live traffic. Says nothing
    without a console."""
    say = console or Console(quiet=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(told_by_us())
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="lockstep-demo-"))
        return _Story(say, Path(directory), users, seconds).tell()


class _Story:
    def __init__(self, console: Console, directory: Path, users: int, seconds: float) -> None:
        self._console = console
        self._directory = directory
        self._users = users
        self._seconds = seconds
        self._pipeline: Pipeline = declare(directory)
        self._mapping = self._pipeline.named(MAPPING)

    def tell(self) -> Figures:
        started = time.monotonic()
        rows = self._product()
        took, documents = self._load()
        traffic, gauges = self._live()
        hits = self._search()
        first = self._check("Is every document what the database means, field by field?")
        planted, found = self._sabotage()
        last = self._repair()
        friday = self._night()
        agreement = first.agreement and last.agreement and found == planted and friday.agreement
        total = time.monotonic() - started
        self._say(
            f"\n[bold]That was the main job in {total:.0f} seconds.[/bold] "
            "Next: docs/tutorial.md, where you build it yourself in ten minutes.\n"
        )
        return Figures(
            agreement=agreement,
            users=documents,
            rows=rows,
            load_seconds=round(took, 3),
            documents_per_second=round(documents / took),
            traffic_seconds=self._seconds,
            changes=traffic.changes,
            rolled_back=traffic.rolled_back,
            lag_p50_ms=_milliseconds(gauges.get("lag_p50")),
            lag_p99_ms=_milliseconds(gauges.get("lag_p99")),
            search_hits=hits,
            checked_records=last.records_compared,
            check_seconds=round(last.ended_at - last.started_at, 3),
            sabotaged=planted,
            found=found,
            repaired=last.agreement,
            noticed_seconds=round(friday.noticed, 2),
            restored=friday.restored.records,
            redriven=friday.restored.redriven,
            restore_seconds=round(friday.restored.seconds["whole"], 2),
            rebuild_seconds=round(sum(friday.rebuilt.seconds.values()), 2),
            seconds=round(total, 1),
        )

    def _say(self, text: str) -> None:
        self._console.print(Text.from_markup(text), soft_wrap=True)

    def _chapter(self, number: int, title: str) -> None:
        self._say(f"\n[bold cyan]{number}[/bold cyan]  [bold]{title}[/bold]")

    def _product(self) -> int:
        self._chapter(1, "A product has a database")
        path = self._directory / "app.db"
        create(path, companies=self._users // 25, users=self._users)
        with contextlib.closing(connect(path)) as connection:
            tables = ("companies", "subscriptions", "users", "tags", "users_tags", "conversations")
            counts = {t: connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables}
        named = ("companies", "users", "conversations")
        listed = ", ".join(f"{counts[table]:,} {table}" for table in named)
        self._say(f"   SQLite: {listed} and more.")
        return sum(counts.values())

    def _load(self) -> tuple[float, int]:
        self._chapter(2, "Its engineers declare what a user means in the search index")
        self._say(
            "   One pure function makes a document of a user, the company, its subscription,\n"
            "   the tags and the conversations. [dim]It is in lockstep/demo/pipeline.py.[/dim]"
        )
        started = time.monotonic()
        run(self._pipeline, once=True)
        took = time.monotonic() - started
        documents = self._records()
        self._say(
            f"   Loaded [green]{documents:,} documents[/green] in {took:.1f} s, "
            f"{documents / took:,.0f} a second."
        )
        return took, documents

    def _live(self) -> tuple[Traffic, dict[str, Any]]:
        self._chapter(3, f"Customers keep changing things for {self._seconds:.0f} s")
        latest: dict[str, Any] = {}

        def watch(gauges: dict[str, Any], _: object) -> None:
            latest.update(gauges["mappings"].get(MAPPING, {}))

        traffic = Traffic(self._directory / "app.db", RATE)
        with working(self._pipeline, watch):
            traffic.start()
            time.sleep(self._seconds)
            traffic.stop()
        run(self._pipeline, once=True)  # a busy machine may still have had changes on their way
        self._say(
            f"   {traffic.changes:,} transactions, {traffic.rolled_back} more rolled back:\n"
            "   people renamed, moved, tagged, gone; companies renamed, so that the documents\n"
            "   of all their people follow."
        )
        if latest.get("lag_p50") is not None:
            self._say(
                f"   From commit to searchable: [green]{latest['lag_p50'] * 1000:.0f} ms[/green] "
                f"at the median, {latest['lag_p99'] * 1000:.0f} ms at the 99th percentile."
            )
        return traffic, latest

    def _search(self) -> int:
        self._chapter(4, "Search what the database says")
        query = "company.city:lagos AND tags:vip"
        hits = self._mapping.target.search(query, 3)  # type: ignore[attr-defined]
        self._say(f"   [dim]lockstep search {MAPPING}[/dim] '{query}'")
        for _, key, record in hits:
            self._say(
                f"   {key:>7}  {record['name']:<16} {record['company']['name']:<24} {record['plan'] or '–'}"
            )
        return len(hits)

    def _check(self, question: str) -> Report:
        self._chapter(5, question)
        report = verify(self._pipeline, MAPPING, method="deep")
        took = report.ended_at - report.started_at
        self._say(
            f"   {report.records_compared:,} records derived again and compared in {took:.1f} s:\n"
            f"   {_verdict(report.agreement)}."
        )
        return report

    def _sabotage(self) -> tuple[int, int]:
        self._chapter(6, "Somebody edits the index behind Lockstep's back")
        planted = self._plant()
        report = verify(self._pipeline, MAPPING, method="deep")
        for divergence in report.divergences[:4]:
            fields = ", ".join(
                f"{field.path}: {field.expected!r} became {field.actual!r}" for field in divergence.fields
            )
            what = f"user {divergence.target_key}" + (f", {fields}" if fields else "")
            self._say(f"   [yellow]{divergence.kind:<9}[/yellow]  {what}")
        found = sum(report.counts.values())
        self._say(f"   The check found {found} of the {planted} that were planted.")
        return planted, found

    def _plant(self) -> int:
        """One document removed, one altered with its stored fingerprint left as it was."""
        writer = self._mapping.target.open(1)
        try:
            gone, altered = writer.scan(None, 2)
            assert gone.meta is not None
            assert altered.meta is not None
            wrong: Record = {**altered.record, "plan": "Free for ever"}
            writer.write([Change(gone.key, None, gone.meta), Change(altered.key, wrong, altered.meta)])
        finally:
            writer.close()
        return 2

    def _repair(self) -> Report:
        self._chapter(7, "Repair, by the ordinary path")
        backfill(self._pipeline, MAPPING, trust_target=True)
        started = time.monotonic()
        result = run(self._pipeline, once=True)
        took = time.monotonic() - started
        wrote = result.mappings[0].gauges["applied"]
        self._say(f"   Every key compared with the index as it is, in {took:.1f} s; {wrote} written.")
        report = verify(self._pipeline, MAPPING, method="deep")
        self._say(f"   Checked again, {report.records_compared:,} records: {_verdict(report.agreement)}.")
        return report

    def _night(self) -> Night:
        self._chapter(8, "Friday night: automation finds the search hosts unreachable, and replaces them")
        documents = saved(self._pipeline)
        self._say(
            f"   [dim]lockstep snapshot[/dim] had saved {documents:,} documents; customers went on since."
        )
        began = time.time()
        friday = night(self._pipeline, self._directory, RATE)
        self._say(
            f"   The index is gone. Noticed after [green]{friday.noticed:.1f} s[/green]; nothing is written "
            "or removed until\n   a person has decided, and the database is followed meanwhile:"
        )
        reason = friday.hold.reason.partition(". ")[0].replace(f"{self._directory}/", "")
        self._say(f"   [yellow]{friday.hold.policy}[/yellow]  {reason}")
        self._chapter(9, "One command brings it back")
        back, rebuilt = friday.restored, sum(friday.rebuilt.seconds.values())
        redriven = "all" if back.redriven is None else f"{back.redriven:,}"
        self._say(
            f"   [dim]lockstep restore[/dim]: {back.records:,} documents came back, {redriven} keys that "
            f"changed since were derived\n   again, all was verified and is searched: "
            f"[green]{back.seconds['whole']:.1f} s[/green].\n"
            "   Deriving everything instead, as [dim]lockstep deploy[/dim] does, with customers quiet: "
            f"{rebuilt:.1f} s.\n"
            "   So few documents say little: with 336,776, of which 1 % had changed, a restore took\n"
            "   a sixth of a full load ([dim]make bench-recovery[/dim])."
        )
        self._say(f"   Every document derived again and compared: {_verdict(friday.agreement)}.")
        self._chapter(10, "What happened is written down already")
        self._say("   [dim]lockstep timeline[/dim]")
        for at, kind, text in told(self._pipeline, began):
            moment = time.strftime("%H:%M:%S", time.localtime(at))
            line = Text(f"   {moment}  {kind:<16} {text.replace(f'{self._directory}/', '')}")
            line.truncate(_WIDEST, overflow="ellipsis")
            self._console.print(line, soft_wrap=True)
        return friday

    def _records(self) -> int:
        writer = self._mapping.target.open(1)
        try:
            return writer.contents().records if writer.identity() else 0
        finally:
            writer.close()


def _verdict(agreement: bool) -> str:
    return "[green]in agreement[/green]" if agreement else "[red]not in agreement[/red]"


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
