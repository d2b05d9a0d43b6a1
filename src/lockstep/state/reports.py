"""Reports of checks, and the divergences that are open.

A divergence stays open until a check that would see it does not any more, or a person accepts it by name.
What a check would see: a deep one everything, a fast one what a fast one found, a sample nothing for sure.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from lockstep.database import upsert
from lockstep.state import schema
from lockstep.state.books import Books, Unfenced

KEPT = 1_000
"""Reports of a consumer that are kept."""

CLOSED_KEPT = 30 * 86_400.0
"""Seconds for which a closed divergence is remembered."""

_REMEMBERED = (
    "subject",
    "kind",
    "method",
    "first_at",
    "last_at",
    "accepted_at",
    "accepted_by",
    "because",
    "body",
)

_SEEN_BY = {"deep": ("deep", "fast", "sample"), "fast": ("fast",), "sample": ()}


class Stored(Struct, frozen=True):
    """A report as it lies in the state store. `body`: all of it, as JSON."""

    id: int
    mapping: str
    method: str
    started_at: float
    verdict: str
    body: bytes


class Open(Struct, frozen=True):
    """A divergence, and what became of it. `body`: as the check saw it last, as JSON."""

    subject: str
    kind: str
    method: str
    report: int
    first_at: float
    last_at: float
    closed_at: float | None
    accepted_at: float | None
    accepted_by: str | None
    because: str | None
    body: bytes


class Reports:
    """What checks found, durably."""

    def __init__(self, database: Books) -> None:
        self._database = database

    def accepted(self, consumer: int) -> dict[tuple[str, str], bytes]:
        """The (subject, kind) of divergences that somebody has accepted, each as a check saw it last."""
        table = schema.divergences
        statement = sa.select(table.c.subject, table.c.kind, table.c.body).where(
            table.c.consumer == consumer, table.c.accepted_at.is_not(None), table.c.closed_at.is_(None)
        )
        with self._database.reading() as connection:
            return {(row.subject, row.kind): row.body for row in connection.execute(statement)}

    def add(
        self,
        consumer: int,
        mapping: str,
        method: str,
        started_at: float,
        verdict: str,
        body: bytes,
        found: Iterable[tuple[str, str, bytes]],
        *,
        accepted: Collection[tuple[str, str]],
        whole: bool,
        unjudged: Collection[str] = (),
        since: float,
    ) -> int:
        """Keeps a report; its number. `found`: subject, kind and body of each divergence. `accepted`: those
        of them that are still what a person accepted. `whole`: these are all, so that what is not among
        them is closed, but for what another check has seen since `since`: this one may have been past it; and
        for what it could not judge, `unjudged`: subjects, and source keys as texts."""
        reports, table = schema.reports, schema.divergences
        now = time.time()
        with self._database.unfenced(Unfenced.OWN) as connection:
            made = connection.execute(
                reports.insert(),
                {
                    "consumer": consumer,
                    "mapping": mapping,
                    "method": method,
                    "started_at": started_at,
                    "verdict": verdict,
                    "body": body,
                },
            )
            (number,) = made.inserted_primary_key or (0,)
            said = [table.c[name] for name in _REMEMBERED]
            known = {
                (row.subject, row.kind): row
                for row in connection.execute(
                    sa.select(*said).where(table.c.consumer == consumer, table.c.closed_at.is_(None))
                )
            }
            rows = []
            for (subject, kind), one in {(of, kind): body for of, kind, body in found}.items():
                before = known.pop((subject, kind), None)  # one that was closed is not this one
                accepting = before if (subject, kind) in accepted else None
                rows.append(
                    {
                        "consumer": consumer,
                        "subject": subject,
                        "kind": kind,
                        "method": method if before is None or method == "fast" else before.method,
                        "report": number,
                        "first_at": before.first_at if before else now,
                        "last_at": now,
                        "closed_at": None,
                        "accepted_at": accepting.accepted_at if accepting else None,
                        "accepted_by": accepting.accepted_by if accepting else None,
                        "because": accepting.because if accepting else None,
                        "body": one,
                    }
                )
            upsert(connection, table, rows)
            doubted = frozenset(unjudged)
            if whole:
                for (subject, kind), row in known.items():
                    seen = row.method in _SEEN_BY[method] and row.last_at <= since
                    if seen and not (doubted and doubted & {subject, _key_of(row.body)}):
                        self._close(connection, consumer, subject, kind, now)
            self._prune(connection, consumer, now)
        return int(number)

    def remark(self, number: int, note: str) -> None:
        """Adds to a report what is to be known of it, and was not yet when it was kept."""
        table = schema.reports
        with self._database.unfenced(Unfenced.OWN) as connection:
            body = connection.scalar(sa.select(table.c.body).where(table.c.id == number))
            if body is None:  # forgotten by now
                return
            said = msgspec.json.decode(body)
            said["notes"] = [*said.get("notes", ()), note]
            connection.execute(
                table.update().where(table.c.id == number).values(body=msgspec.json.encode(said))
            )

    def _close(self, connection: sa.Connection, consumer: int, subject: str, kind: str, now: float) -> None:
        table = schema.divergences
        connection.execute(
            table.update()
            .where(table.c.consumer == consumer, table.c.subject == subject, table.c.kind == kind)
            .values(closed_at=now)
        )

    def _prune(self, connection: sa.Connection, consumer: int, now: float) -> None:
        """Forgets old reports and what was closed long ago; what is open is kept, and the report it is of."""
        table = schema.divergences
        connection.execute(
            table.delete().where(table.c.consumer == consumer, table.c.closed_at < now - CLOSED_KEPT)
        )
        reports = schema.reports
        oldest = connection.scalar(
            sa.select(reports.c.id)
            .where(reports.c.consumer == consumer)
            .order_by(reports.c.id.desc())
            .offset(KEPT - 1)
            .limit(1)
        )
        if oldest is None:
            return
        kept = sa.select(table.c.report).where(table.c.consumer == consumer, table.c.closed_at.is_(None))
        connection.execute(
            reports.delete().where(
                reports.c.consumer == consumer, reports.c.id < oldest, reports.c.id.not_in(kept)
            )
        )

    def newest(self, mapping: str | None, limit: int) -> list[Stored]:
        """The newest reports, of a mapping or of all."""
        table = schema.reports
        statement = sa.select(
            table.c.id, table.c.mapping, table.c.method, table.c.started_at, table.c.verdict, table.c.body
        ).order_by(table.c.id.desc())
        if mapping is not None:
            statement = statement.where(table.c.mapping == mapping)
        with self._database.reading() as connection:
            return [Stored(*row) for row in connection.execute(statement.limit(limit))]

    def get(self, number: int) -> tuple[int, Stored] | None:
        """A report and its consumer."""
        table = schema.reports
        with self._database.reading() as connection:
            row = connection.execute(sa.select(table).where(table.c.id == number)).first()
        if row is None:
            return None
        return row.consumer, Stored(row.id, row.mapping, row.method, row.started_at, row.verdict, row.body)

    def divergences(self, consumer: int, report: int | None = None) -> list[Open]:
        """A consumer's divergences that are open; with `report`, those that it saw last, whatever became of
        them since."""
        table = schema.divergences
        columns = [table.c[name] for name in Open.__struct_fields__]
        statement = sa.select(*columns).where(table.c.consumer == consumer).order_by(table.c.subject)
        if report is None:
            statement = statement.where(table.c.closed_at.is_(None))
        else:
            statement = statement.where(table.c.report == report)
        with self._database.reading() as connection:
            return [Open(*row) for row in connection.execute(statement)]

    def of_key(self, consumer: int, key: str) -> list[Open]:
        """What checks found of one source key, whatever became of it. `key`: as a person reads it."""
        table = schema.divergences
        columns = [table.c[name] for name in Open.__struct_fields__]
        named = sa.or_(table.c.subject == key, table.c.subject.startswith(f"{key} → ", autoescape=True))
        statement = sa.select(*columns).where(table.c.consumer == consumer, named)
        with self._database.reading() as connection:
            return [Open(*row) for row in connection.execute(statement.order_by(table.c.first_at))]

    def accept(self, consumer: int, subject: str, by: str, because: str) -> int:
        """Notes that a person accepts what is open of a subject; how many divergences that are."""
        table = schema.divergences
        with self._database.unfenced(Unfenced.PERSON) as connection:
            return connection.execute(
                table.update()
                .where(table.c.consumer == consumer, table.c.subject == subject, table.c.closed_at.is_(None))
                .values(accepted_at=time.time(), accepted_by=by, because=because)
            ).rowcount


class _Keyed(Struct, frozen=True):
    """Of a divergence's body, the source key."""

    key: str | None = None


def _key_of(body: bytes) -> str | None:
    return msgspec.json.decode(body, type=_Keyed).key


def encoded(value: Struct) -> bytes:
    """As JSON, for `body`."""
    return msgspec.json.encode(value, enc_hook=str)
