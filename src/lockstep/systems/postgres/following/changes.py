"""From the log's messages to hints. No I/O.

A hint needs a row's key and join columns, before and after. What the log has of the old row depends on the
replica identity: the whole row, or the identity's columns, which are then also known where nothing is sent
of the old row, as they did not change.

`prepare` holds tables whose identity lacks join columns; where it is changed later, each stretch with an
update or delete hints the table as a whole. What else an ALTER TABLE does is not for here (see `seen`), only
that there may have been one.

A row whose key cannot be read (a number of too many digits) has no key to hint: the table is hinted as a
whole instead, once for each stretch, so that whoever walks it meets the row and names it. A join value that
cannot be read is left out: no row of another table can be found by it either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lockstep.errors import DataError
from lockstep.forms import keys
from lockstep.systems.postgres import lsn, names, types
from lockstep.systems.postgres.following import pgoutput
from lockstep.systems.postgres.following.landmark import Landmark
from lockstep.systems.postgres.following.pgoutput import UNCHANGED, Relation, Row, Value
from lockstep.systems.postgres.following.replication import epoch_seconds
from lockstep.systems.postgres.reading import visibility
from lockstep.values import EVERYTHING, Hint, JoinValues, Key, Table

Parse = Callable[[str], Any]
_UNREADABLE = (ValueError, ArithmeticError, DataError)


class _Unknown(Exception):
    """A key that the log does not have, or that Python cannot hold."""


class Followed:
    """How a table's hints are made of its rows, as its columns stand in the log now."""

    def __init__(self, table: Table, relation: Relation, type_names: dict[int, tuple[str, str]]) -> None:
        self.table = table
        at = {column.name: place for place, column in enumerate(relation.columns)}
        self._identity = [column.identity for column in relation.columns]
        self._key = [at.get(name) for name in table.key]
        self._parse: list[Parse | None] = [
            types.parser(column.type, type_names) for column in relation.columns
        ]
        self._last: dict[int, tuple[Value, Key]] = {}  # most updates leave join columns alone
        self._joins = [(name, at[name]) for name in table.joins if name in at]
        self.blind = [name for name, place in self._joins if not self._identity[place]]
        if relation.replica_identity == "f":  # a partition may have less in the log than its table says:
            self.blind = [name for name, _ in self._joins]  # then not even a whole row comes

    def key(self, row: Row) -> Key:
        """The key of a row. Raises _Unknown."""
        values = []
        for place in self._key:
            value = row[place] if place is not None else UNCHANGED
            if place is None or value is None or value is UNCHANGED:
                raise _Unknown("the log does not have it")
            values.append(self._value(place, value))
        try:
            return keys.encode(values)
        except DataError as error:
            raise _Unknown(str(error)) from error

    def same_key(self, old: Row, new: Row) -> bool:
        """Whether two rows have the same key, seen without reading it."""
        return all(place is not None and old[place] == new[place] for place in self._key)

    def joins(self, row: Row, *, whole: bool) -> JoinValues | None:
        """The join columns of a row, as far as they are known: all if it is `whole`, else the identity's."""
        if not self._joins:
            return None
        known: JoinValues = {}
        for name, place in self._joins:
            value = row[place]
            if value is UNCHANGED or not (whole or self._identity[place]):
                continue
            last, form = self._last.get(place, (None, None))
            if value is not None and value != last:
                try:
                    form = keys.encode((self._value(place, value),))
                except (_Unknown, DataError):
                    continue
                self._last[place] = value, form
            known[name] = None if value is None else form
        return known

    def unknown(self, row: Row) -> bool:
        """Whether a join value of a row is a large one that was left alone, and so is not in the log."""
        return any(row[place] is UNCHANGED for _, place in self._joins)

    def filled(self, new: Row, old: Row, *, whole: bool) -> Row:
        """A new row with the large values that an update left alone."""
        if UNCHANGED not in new:
            return new
        return [
            old[place] if value is UNCHANGED and (whole or self._identity[place]) else value
            for place, value in enumerate(new)
        ]

    def _value(self, place: int, value: Value) -> Any:
        parse = self._parse[place]
        assert isinstance(value, bytes)
        if parse is None:
            raise _Unknown("its type cannot be part of a key")
        try:
            return parse(value.decode())
        except _UNREADABLE as error:
            raise _Unknown(str(error)) from error


class Changes:
    """The hints of a log's messages, transaction after transaction.

    `finished` are hints of transactions whose end was seen; `open` those of the one that is being read.
    """

    def __init__(
        self, tables: Sequence[Table], xid: int, owners: Callable[[int], Sequence[Table]] = lambda _: ()
    ) -> None:
        """`xid`: a 64-bit transaction id of about now, to widen those of the log by.

        `owners`: which tables the rows of a relation are of, by its oid; by name where it knows none.
        `altered`: a relation was told of again, as after any ALTER TABLE; for whoever looks at tables.
        `landmark`: the last transaction whose end was seen.
        """
        self.finished: list[Hint] = []
        self.open: list[Hint] = []
        self.end = 0
        self.inside = False
        self.landmark: Landmark | None = None
        self._begun = Landmark(0, 0, 0)
        self._tables = {names.parse(table.name): table for table in tables}
        self.altered = False
        self._owners = owners
        self._relations: dict[int, tuple[Followed, ...]] = {}
        self._type_names: dict[int, tuple[str, str]] = {}
        self._xid = xid
        self._token = ""
        self._position = ""
        self._at = 0.0
        self._whole: set[str] = set()

    def __len__(self) -> int:
        return len(self.finished) + len(self.open)

    def add(self, data: bytes) -> None:
        """Takes the next message in."""
        kind = data[0]
        if kind in pgoutput.ROWS:
            tables = self._relations.get(pgoutput.relation_of(data))
            if tables:
                change = pgoutput.decode(data)
                for followed in tables:
                    self._row(followed, change)
            return
        message = pgoutput.decode(data)
        match message:
            case pgoutput.Begin():
                self._xid = visibility.widened(message.xid, self._xid)
                self._token = visibility.change(self._xid)
                self._position = lsn.text(message.final)
                self._at = epoch_seconds(message.at)
                self._begun = Landmark(message.final, message.xid, message.at)
                self.inside = True
            case pgoutput.Commit():
                self.finished += self.open
                self.open.clear()
                self.end = message.end
                self.landmark = self._begun
                self.inside = False
            case pgoutput.Relation():
                self._relation(message)
            case pgoutput.Type():
                self._type_names[message.id] = (message.schema, message.name)
            case pgoutput.Truncate():
                for relation in message.relations:
                    for followed in self._relations.get(relation, ()):
                        self._everything(followed.table.name, "truncate")
            case _:
                pass

    def take_finished(self) -> list[Hint]:
        """The hints of finished transactions, once."""
        hints, self.finished = self.finished, []
        self._whole.clear()
        return hints

    def take_open(self) -> list[Hint]:
        """The hints so far of the transaction that is being read, once."""
        hints, self.open = self.open, []
        self._whole.clear()
        return hints

    def _relation(self, relation: Relation) -> None:
        self.altered = self.altered or relation.id in self._relations
        owners = list(self._owners(relation.id))
        named = self._tables.get((relation.schema, relation.table))
        if named is not None and named not in owners:
            owners.append(named)
        self._relations[relation.id] = tuple(Followed(table, relation, self._type_names) for table in owners)

    def _row(self, followed: Followed, message: pgoutput.Message | None) -> None:
        try:
            match message:
                case pgoutput.Insert(new=new):
                    self._hint(followed, followed.key(new), None, followed.joins(new, whole=True))
                case pgoutput.Delete(old=old, whole=whole):
                    self._unless_known(followed, whole)
                    self._hint(followed, followed.key(old), followed.joins(old, whole=whole), None)
                case pgoutput.Update(old=None, new=new):
                    self._unless_known(followed, False, new)
                    before = followed.joins(new, whole=False)
                    self._hint(followed, followed.key(new), before, followed.joins(new, whole=True))
                case pgoutput.Update(old=list() as old, new=new, whole=whole):
                    self._unless_known(followed, whole, followed.filled(new, old, whole=whole))
                    self._updated(followed, old, new, whole)
        except _Unknown as reason:
            self._everything(followed.table.name, f"the key of a changed row cannot be read: {reason}")

    def _unless_known(self, followed: Followed, whole: bool, new: Row | None = None) -> None:
        """What a row belonged to is not in the log, so any row of another table may be the one."""
        lacking = followed.blind if not whole else []
        if lacking or (new is not None and followed.unknown(new)):
            of = ", ".join(lacking) or "its join columns"
            self._everything(followed.table.name, f"the log does not hold the old values of {of}")

    def _updated(self, followed: Followed, old: Row, new: Row, whole: bool) -> None:
        new = followed.filled(new, old, whole=whole)
        before, after = followed.joins(old, whole=whole), followed.joins(new, whole=True)
        key = followed.key(new)
        if followed.same_key(old, new) or (old_key := followed.key(old)) == key:
            self._hint(followed, key, before, after)
        else:
            self._hint(followed, old_key, before, None)
            self._hint(followed, key, None, after)

    def _hint(
        self, followed: Followed, key: Key, before: JoinValues | None, after: JoinValues | None
    ) -> None:
        self.open.append(
            Hint(
                followed.table.name,
                key,
                before=before,
                after=after,
                token=self._token,
                position=self._position,
                at=self._at,
            )
        )

    def _everything(self, table: str, reason: str) -> None:
        mark = f"{table}\0{reason}"
        if mark not in self._whole:
            self._whole.add(mark)
            self.open.append(
                Hint(
                    table,
                    span=EVERYTHING,
                    reason=reason,
                    token=self._token,
                    position=self._position,
                    at=self._at,
                )
            )
