"""PostgreSQL: read in snapshots, followed by logical decoding; and its tables as targets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lockstep.errors import DataError, DeclarationError

try:
    import psycopg  # noqa: F401
except ImportError as missing:  # pragma: no cover - tried by hand in an environment without it
    raise DeclarationError(
        f"PostgreSQL needs a package that is not installed: {missing}",
        "pip install 'lockstep-sync[postgres]'",
    ) from missing

from lockstep.catalog import Catalog
from lockstep.ports import Feed, Reader
from lockstep.systems.postgres import names
from lockstep.systems.postgres.catalog import catalog
from lockstep.systems.postgres.check import check
from lockstep.systems.postgres.client import READING_SECONDS, Address
from lockstep.systems.postgres.following.feed import PostgresFeed
from lockstep.systems.postgres.keytext import parse_keys
from lockstep.systems.postgres.reading.reader import PostgresReader
from lockstep.systems.postgres.reading.replica import ReplicaReader
from lockstep.systems.postgres.target.writer import LONGEST_NAME, PostgresDialect
from lockstep.systems.sql.target import TOMBSTONES, SQLTarget
from lockstep.values import Finding, Key, Table

_SLOT = re.compile(r"[a-z0-9_]{1,63}")


class Postgres:
    """A PostgreSQL database, as declared. Connects to nothing before it is used.

    `slot` and `publication` are the names of what Lockstep makes there to follow it. Each pipeline needs its
    own: two that share a slot would take each other's changes. A server's slots are of all its databases,
    so the default slot is named after the database.

    `statement_timeout`: seconds after which the server gives up on one of our reads. Lockstep then reads
    fewer keys at once; a single key that takes longer is stuck, and says so.

    `replica`: the URL of a hot standby, where rows are read instead; the log is followed at `url`.

    `snapshots`: the directory for saved states of tables that are targets.
    """

    def __init__(
        self,
        url: str,
        *,
        slot: str | None = None,
        publication: str = "lockstep",
        statement_timeout: float = READING_SECONDS,
        replica: str | None = None,
        snapshots: str | os.PathLike[str] | None = None,
    ) -> None:
        if statement_timeout < 1:
            raise DeclarationError("a statement_timeout is a second at least", "Give it in seconds, or not.")
        address = Address(url, statement_timeout=statement_timeout)
        if slot is None:
            slot = f"lockstep_{re.sub('[^a-z0-9_]', '_', address.database.lower())}"[:63]
        if not _SLOT.fullmatch(slot):
            raise DeclarationError(
                f"{slot!r} cannot be the name of a replication slot",
                "Use up to 63 lower-case letters, digits and underscores.",
            )
        if not publication or len(publication.encode()) > 63 or "\0" in publication:
            raise DeclarationError(
                f"{publication!r} cannot be the name of a publication", "Use 1 to 63 bytes of text."
            )
        self._address = address
        self._replica = None if replica is None else Address(replica, statement_timeout=statement_timeout)
        self._slot = slot
        self._publication = publication
        self._snapshots = None if snapshots is None else Path(snapshots)

    @classmethod
    def from_env(
        cls,
        variable: str,
        *,
        slot: str | None = None,
        publication: str = "lockstep",
        statement_timeout: float = READING_SECONDS,
        replica: str | None = None,
        snapshots: str | os.PathLike[str] | None = None,
    ) -> Postgres:
        """The database whose URL is in an environment variable, so that no secret is in the code.

        `replica` then names the variable that holds the standby's.
        """
        return cls(
            _from_env(variable),
            slot=slot,
            publication=publication,
            statement_timeout=statement_timeout,
            replica=None if replica is None else _from_env(replica),
            snapshots=snapshots,
        )

    @property
    def name(self) -> str:
        return self._address.name

    def __repr__(self) -> str:
        return f"Postgres({self.name}, slot={self._slot!r}, publication={self._publication!r})"

    def reader(self) -> Reader:
        if self._replica is not None:
            return ReplicaReader(self._address, self._replica)
        return PostgresReader(self._address)

    def feed(self) -> Feed:
        return PostgresFeed(self._address, self._slot, self._publication)

    def table(
        self,
        name: str,
        *,
        key: Sequence[str] = ("id",),
        columns: Mapping[str, str] | None = None,
        tombstones: float = TOMBSTONES,
    ) -> SQLTarget:
        """A table to write to, `schema.table`: the user's own, or made from `columns` (their types as in
        CREATE TABLE). Lockstep's own tables lie beside it in its schema."""
        schema, table = names.parse(name)
        for part in (schema, table, *key, *(columns or ())):
            if len(part.encode()) > LONGEST_NAME or "\0" in part:
                raise DeclarationError(
                    f"{part!r} cannot be a name in PostgreSQL", "Names have 1 to 63 bytes, and no NUL."
                )
        written = names.written(schema, table)
        return SQLTarget(
            lambda table: PostgresDialect(self._address, table),
            written,
            key,
            columns,
            tombstones,
            self._snapshots,
        )

    def check(self, tables: Sequence[Table]) -> list[Finding]:
        return check(self._address, self._replica, self._slot, self._publication, tables)

    def catalog(self) -> Catalog:
        return catalog(self._address)

    def parse_keys(self, table: Table, typed: Sequence[Sequence[str]]) -> list[Key | DataError]:
        return parse_keys(self._address, table, typed)


def _from_env(variable: str) -> str:
    url = os.environ.get(variable)
    if not url:
        raise DeclarationError(
            f"the environment variable {variable} is not set",
            f"Set it to the database's URL: export {variable}=postgresql://user@host:5432/dbname",
        )
    return url


if TYPE_CHECKING:
    from lockstep.ports import Source

    def _is_a_source(source: Postgres) -> Source:
        return source


__all__ = ["Postgres"]
