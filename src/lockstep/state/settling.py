"""The parts of a ledger transaction: each takes the connection that the transaction is open on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from lockstep.database import among, upsert
from lockstep.state import schema
from lockstep.state.rows import Claimed, Intent, Row, Settlement, owns
from lockstep.values import Key

CHUNK = 900
"""Keys in one statement."""


class Scope(StrEnum):
    """Who draws epochs: the one run that captures, the one process that fills builds beside it, or the one
    that follows what it has deployed until the run of the old code ends."""

    RUN = "run"
    BUILD = "build"
    FOLLOW = "follow"


def delete_keys(connection: sa.Connection, table: sa.Table, consumer: int, keys: Sequence[Key]) -> None:
    for some in among(connection, table.c.key, keys):
        connection.execute(table.delete().where(table.c.consumer == consumer, some))


def chunks(keys: Iterable[Key]) -> Iterator[list[Key]]:
    """Each key once, as many together as fit one statement."""
    once = list(dict.fromkeys(keys))
    return (once[start : start + CHUNK] for start in range(0, len(once), CHUNK))


def claim(
    connection: sa.Connection, generation: int, consumer: int, intents: Iterable[Intent]
) -> dict[Key, Claimed]:
    """Claims what source keys are about to put: for each all of it, or nothing and who owns the first taken.

    What a retired consumer owns is taken over, and void in its ledger from then on. Of rivals in one batch
    the first wins.
    """
    wanted = list(intents)
    owners, resting = owners_of(connection, generation, [one for intent in wanted for one in intent.puts])
    mapping = connection.scalar(
        sa.select(schema.consumers.c.mapping).where(schema.consumers.c.id == consumer)
    )
    refused: dict[Key, Claimed] = {}
    made: list[dict[str, Any]] = []
    taken_over: list[Claimed] = []
    for intent in wanted:
        mine = (consumer, intent.key)
        others = [owners[one] for one in intent.puts if one in owners and _of(owners[one]) != mine]
        rival = next((one for one in others if one.consumer not in resting or one.consumer == consumer), None)
        if rival is not None:
            refused[intent.key] = rival
            continue
        taken_over += others
        owner = {"consumer": consumer, "key": intent.key}
        for target_key in intent.puts:
            before = owners.get(target_key)
            if before is None or _of(before) != mine:
                owners[target_key] = Claimed(target_key, consumer, mapping or "", intent.key)
                made.append({"generation": generation, "target_key": target_key} | owner)
    if taken_over:
        _drop(connection, generation, [one.target_key for one in taken_over])
        void(connection, [(one.consumer, one.key) for one in taken_over])
    if made:
        connection.execute(schema.claims.insert(), made)
    return refused


def stand(
    connection: sa.Connection,
    generation: int,
    consumer: int,
    rows: Iterable[Row],
    default: Callable[[Key], Key],
) -> None:
    """Claims what these rows own, each by itself; a row that can't have all of it is void."""
    each = [Intent(row.key, [owned.key], ()) for row in rows for owned in owns(row, default)]
    refused = claim(connection, generation, consumer, each)
    void(connection, [(consumer, key) for key in refused])


def _of(owner: Claimed) -> tuple[int, Key]:
    return owner.consumer, owner.key


def owners_of(
    connection: sa.Connection, generation: int, target_keys: Iterable[Key]
) -> tuple[dict[Key, Claimed], set[int]]:
    """Who owns these target keys, and which of those consumers are retired."""
    table, consumers = schema.claims, schema.consumers
    found: dict[Key, Claimed] = {}
    resting: set[int] = set()
    for chunk in chunks(target_keys):
        for row in connection.execute(
            sa.select(
                table.c.target_key, table.c.consumer, table.c.key, consumers.c.mapping, consumers.c.state
            )
            .join(consumers, consumers.c.id == table.c.consumer)
            .where(table.c.generation == generation, table.c.target_key.in_(chunk))
        ):
            found[row.target_key] = Claimed(row.target_key, row.consumer, row.mapping, row.key)
            if row.state == "retired":
                resting.add(row.consumer)
    return found, resting


def void(connection: sa.Connection, rows: Iterable[tuple[int, Key]]) -> None:
    """What the target holds of these (consumer, source key) rows is not known any more."""
    table = schema.ledger
    given = [{"of": consumer, "one": key} for consumer, key in dict.fromkeys(rows)]
    if given:
        connection.execute(
            table.update()
            .where(table.c.consumer == sa.bindparam("of"), table.c.key == sa.bindparam("one"))
            .values(void=True),
            given,
        )


def _drop(connection: sa.Connection, generation: int, target_keys: Iterable[Key]) -> None:
    table = schema.claims
    for chunk in chunks(target_keys):
        connection.execute(
            table.delete().where(table.c.generation == generation, table.c.target_key.in_(chunk))
        )


def release(
    connection: sa.Connection, generation: int, consumer: int, released: Sequence[tuple[Key, Key]]
) -> list[tuple[int, Key]]:
    """Drops those of these claims, (target key, source key), that are the consumer's; who waits for any."""
    given = set(released)
    owners, _ = owners_of(connection, generation, [target_key for target_key, _ in released])
    _drop(
        connection,
        generation,
        [
            target_key
            for target_key, owner in owners.items()
            if owner.consumer == consumer and (target_key, owner.key) in given
        ],
    )
    table, consumers = schema.stuck, schema.consumers
    waiting: list[tuple[int, Key]] = []
    for chunk in chunks(target_key for target_key, _ in released):
        for row in connection.execute(
            sa.select(table.c.consumer, table.c.key)
            .join(consumers, consumers.c.id == table.c.consumer)
            .where(table.c.claim.in_(chunk), consumers.c.generation == generation)
            .order_by(table.c.consumer, table.c.key)
        ):
            waiting.append((row.consumer, row.key))
    return waiting


def came_late(connection: sa.Connection, generation: int, done: Settlement) -> list[tuple[int, Key]]:
    """Keys that wait from now on for a target key which was released before they did: nobody else would
    tell them."""
    waits = [(failure.key, failure.claim) for failure in done.failures if failure.claim is not None]
    owners, _ = owners_of(connection, generation, [target_key for _, target_key in waits])
    return [(done.consumer, key) for key, target_key in waits if target_key not in owners]


def make_due(connection: sa.Connection, waiting: Iterable[tuple[int, Key]], now: float) -> None:
    """Who waited for a claim is due now: a crash may lose the hint that tells it, not the try."""
    table = schema.stuck
    given = [{"of": consumer, "one": key} for consumer, key in waiting]
    if given:
        connection.execute(
            table.update()
            .where(table.c.consumer == sa.bindparam("of"), table.c.key == sa.bindparam("one"))
            .values(retry_at=now),
            given,
        )


_FIRST_RETRY, _LONGEST_RETRY = 1.0, 300.0


def _storable(text: str) -> str:
    """Without what no database takes as text: errors quote what they met."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")


def record_failures(connection: sa.Connection, done: Settlement, now: float) -> None:
    table = schema.stuck
    known: dict[Key, tuple[int, float]] = {}
    for chunk in chunks(failure.key for failure in done.failures):
        for row in connection.execute(
            sa.select(table.c.key, table.c.attempts, table.c.first_at).where(
                table.c.consumer == done.consumer, table.c.key.in_(chunk)
            )
        ):
            known[row.key] = (row.attempts, row.first_at)
    rows: list[dict[str, Any]] = []
    for failure in done.failures:
        before, first_at = known.get(failure.key, (0, now))
        wait = min(_FIRST_RETRY * 2 ** min(before, 20), _LONGEST_RETRY)
        if failure.again is not None and failure.again > now:
            wait = min(wait, failure.again - now)
        rows.append(
            {
                "consumer": done.consumer,
                "key": failure.key,
                "stage": failure.stage,
                "error": _storable(failure.error),
                "remedy": _storable(failure.remedy),
                "claim": failure.claim,
                "attempts": before + 1,
                "first_at": first_at,
                "last_at": now,
                "retry_at": now + wait if failure.retriable else None,
            }
        )
    upsert(connection, table, rows)


def remove(connection: sa.Connection, done: Settlement, now: float) -> None:
    """Rows that are gone, and that they are: no older write may bring them back."""
    delete_keys(connection, schema.ledger, done.consumer, done.removed)
    upsert(
        connection,
        schema.tombstones,
        [{"consumer": done.consumer, "key": key, "version": done.version, "at": now} for key in done.removed],
    )
