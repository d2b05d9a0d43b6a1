"""An older major of PostgreSQL, as Debian packages it."""

from collections.abc import Mapping
from pathlib import Path

from ._support import ServerUnavailable
from .postgres import PostgresServer

_BINARIES = Path("/usr/lib/postgresql/15/bin")


class Postgres15Server(PostgresServer):
    """PostgreSQL 15 of Debian 12: the same in tests as the newest, and what it lacks shows."""

    _own_settings: Mapping[str, str] = {}
    _initdb = "--locale=C.UTF-8 --no-instructions"

    def _find(self) -> Path:
        if not (_BINARIES / "postgres").exists():
            raise ServerUnavailable(
                "PostgreSQL 15 for tests comes with Debian 12: apt-get install postgresql-15 "
                f"(looked for {_BINARIES}/postgres)"
            )
        return _BINARIES
