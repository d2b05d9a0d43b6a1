"""Every error of psycopg becomes one of ours, with a cause and a mend."""

from __future__ import annotations

import socket

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.systems.postgres_db import Db

from lockstep.errors import DataError, DeclarationError, LockstepError, Refused, TimedOut, Unreachable
from lockstep.systems.postgres import Postgres
from lockstep.systems.postgres.client import Address
from lockstep.systems.postgres.faults import mapped, translated

CLASSES = sorted(
    {
        kind
        for kind in vars(psycopg.errors).values()
        if isinstance(kind, type) and issubclass(kind, psycopg.Error)
    },
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_of_psycopg_is_mapped(kind: type[psycopg.Error]) -> None:
    with pytest.raises(LockstepError) as raised, mapped("reading public.t"):
        raise kind("what happened")
    error = raised.value
    assert isinstance(error, Unreachable | Refused | DataError)
    assert str(error) == "reading public.t: what happened"
    assert error.remedy
    assert error.__cause__ is not None


def test_there_is_something_to_enumerate() -> None:
    assert len(CLASSES) > 200


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (psycopg.errors.AdminShutdown, Unreachable),
        (psycopg.errors.CrashShutdown, Unreachable),
        (psycopg.errors.CannotConnectNow, Unreachable),
        (psycopg.errors.TooManyConnections, Unreachable),
        (psycopg.errors.DiskFull, Unreachable),
        (psycopg.errors.SerializationFailure, Unreachable),
        (psycopg.errors.DeadlockDetected, Unreachable),
        (psycopg.errors.QueryCanceled, TimedOut),
        (psycopg.errors.LockNotAvailable, Unreachable),
        (psycopg.errors.IdleInTransactionSessionTimeout, Unreachable),
        (psycopg.errors.ObjectInUse, Unreachable),
        (psycopg.OperationalError, Unreachable),
        (psycopg.InterfaceError, Unreachable),
        (psycopg.errors.InsufficientPrivilege, Refused),
        (psycopg.errors.UndefinedTable, Refused),
        (psycopg.errors.InvalidPassword, Refused),
        (psycopg.errors.InvalidCatalogName, Refused),
        (psycopg.errors.DataCorrupted, Refused),
        (psycopg.errors.ReadOnlySqlTransaction, Refused),
        (psycopg.ProgrammingError, Refused),
        (psycopg.errors.NumericValueOutOfRange, DataError),
        (psycopg.DataError, DataError),
    ],
    ids=lambda kind: kind.__name__,
)
def test_what_passes_is_tried_again_and_what_does_not_is_not(
    kind: type[psycopg.Error], expected: type[LockstepError]
) -> None:
    error = translated(kind("x"), "doing")
    assert type(error) is expected
    assert error.retriable == issubclass(expected, Unreachable)


def changed(url: str, **parts: object) -> Address:
    return Address(make_conninfo("", **{**conninfo_to_dict(url), **parts}))  # type: ignore[arg-type]


def test_a_wrong_password_is_refused_and_not_shown(postgres_url: str) -> None:
    with pytest.raises(Refused, match="password authentication failed") as refused:
        changed(postgres_url, password="hunter2").connect()
    assert "password" in refused.value.remedy
    assert "hunter2" not in repr(refused.value)
    with pytest.raises(Refused, match="password authentication failed"):
        changed(postgres_url, password="hunter2").replication()


def test_a_database_or_user_that_is_not_there_is_refused(postgres_url: str) -> None:
    with pytest.raises(Refused, match="does not exist"):
        changed(postgres_url, dbname="nowhere").connect()
    with pytest.raises(Refused):
        changed(postgres_url, user="nobody_here").connect()


def test_a_server_that_does_not_answer_is_tried_again() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = Address(f"postgresql://me@127.0.0.1:{free.getsockname()[1]}/db")
        for connect in (address.connect, address.replication):
            with pytest.raises(Unreachable, match="refused"):
                connect()


def test_a_user_without_the_right_to_replicate_is_refused(postgres_url: str) -> None:
    with Db(postgres_url) as db:
        role = f"plain_{db.name}"
        db.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
        with pytest.raises(Refused, match=r"permission denied|replication"):
            changed(postgres_url, user=role, password="x").replication()
        db.execute(f"DROP ROLE {role}")


def test_a_terminated_session_is_unreachable(postgres_url: str) -> None:
    with Address(postgres_url).connect() as connection, psycopg.connect(postgres_url) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
        with pytest.raises(Unreachable), mapped("asking"):
            connection.execute(b"SELECT 1")


def test_urls_are_shown_without_secrets() -> None:
    source = Postgres("postgresql://me:hunter2@db.example:6432/app?sslmode=require")
    assert source.name == "postgres:db.example:6432/app"
    assert "hunter2" not in repr(source) + str(source) + source.name
    assert (
        repr(source) == "Postgres(postgres:db.example:6432/app, slot='lockstep_app', publication='lockstep')"
    )
    assert "slot='lockstep_a_b'" in repr(Postgres("postgresql://me@h/A-b"))
    assert Postgres("postgresql+psycopg://me@h/app").name == "postgres:h:5432/app"
    assert Postgres("host=/run/pg dbname=app").name == "postgres:/run/pg:5432/app"


def test_declarations_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeclarationError) as wrong:
        Postgres("postgresql://me:hunter2@[::1/db")
    assert "hunter2" not in str(wrong.value) + str(wrong.value.__cause__)
    for slot in ("Big", "", "a-b", "x" * 64):
        with pytest.raises(DeclarationError):
            Postgres("postgresql://h/db", slot=slot)
    with pytest.raises(DeclarationError):
        Postgres("postgresql://h/db", publication="")
    monkeypatch.delenv("NO_SUCH_URL", raising=False)
    with pytest.raises(DeclarationError, match="NO_SUCH_URL") as unset:
        Postgres.from_env("NO_SUCH_URL")
    assert "export NO_SUCH_URL=" in unset.value.remedy
    monkeypatch.setenv("NO_SUCH_URL", "postgresql://h/db")
    assert Postgres.from_env("NO_SUCH_URL", slot="s").name == "postgres:h:5432/db"
