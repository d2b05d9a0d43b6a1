"""A table that was just filled, and not analyzed by the server: it expects the companion to be empty."""

from __future__ import annotations

import contextlib

import psycopg
import pytest

import lockstep as ls
from lockstep.forms import keys
from lockstep.forms.canonical import canonical, fingerprint
from lockstep.ports import SummingWriter
from lockstep.systems.postgres import client
from lockstep.values import Change, Key, Meta, Version

ROWS = 60_000


def written(n: int) -> Change:
    key, record = Key(keys.encode((n,))), {"name": f"user {n}"}
    return Change(key, record, Meta("users", key, fingerprint(key, canonical(record)), n, Version(1)))


@pytest.mark.parametrize("workers", [0, 2])
def test_strangers_are_named_in_a_moment(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Each row compared with each would take a minute."""
    monkeypatch.setattr(client, "WRITING_SECONDS", 10.0)
    target = ls.Postgres(postgres_url).table("people", columns={"id": "bigint", "name": "text"})
    with contextlib.closing(target.open(1)) as writer:
        writer.create("marker")
        with psycopg.connect(postgres_url, autocommit=True) as theirs:
            for name in ("people", "_lockstep_people"):
                settings = f"autovacuum_enabled = false, parallel_workers = {workers}"
                theirs.execute(f"ALTER TABLE {name} SET ({settings})".encode())
            for first in range(0, ROWS, 5_000):
                writer.write([written(n) for n in range(first, first + 5_000)])
            theirs.execute("INSERT INTO people VALUES (900000, 'stranger')")
        assert isinstance(writer, SummingWriter)
        assert writer.strangers(["users"], 20) == (1, [keys.encode((900_000,))])
