"""A moment of a database, in which it is only read."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lockstep.systems.sql.dialect import Dialect


class Moment:
    """A reading transaction whose driver errors come out as Lockstep's."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect, self._inner = dialect, dialect.reading()

    def __enter__(self) -> sa.Connection:
        try:
            return self._inner.__enter__()
        except DBAPIError as error:
            raise self._dialect.error(error) from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            self._inner.__exit__(kind, error, trace)  # type: ignore[arg-type]
        except DBAPIError as ended:  # a server that fell silent after its last answer
            raise self._dialect.error(ended) from ended
        if isinstance(error, DBAPIError):
            raise self._dialect.error(error) from error
