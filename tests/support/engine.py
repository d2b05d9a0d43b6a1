"""One mapping at work in memory, a batch at a time, on a real state store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lockstep.declaration.mapping import Mapping
from lockstep.engine.consumers.loop import Counts, Loop
from lockstep.engine.deriving.derive import Deriver
from lockstep.engine.hints.take import Taker
from lockstep.engine.lease import Lease
from lockstep.engine.writing.judged import Judge
from lockstep.guard.door import Door
from lockstep.place import Place
from lockstep.state.store import Store
from lockstep.values import (
    EVERYTHING,
    PARTITIONS,
    Entry,
    Hint,
    Key,
    Lane,
    Table,
    Trust,
    consumer_stream,
    source_stream,
)
from tests.support.memory import MemorySource, MemoryTarget, Row, hint_of


class Works:
    """A mapping over a `MemorySource` and a `MemoryTarget`. `source` may be shared with another one."""

    def __init__(
        self,
        place: Place,
        function: Callable[..., Any],
        source: MemorySource,
        target: MemoryTarget,
        *,
        key: Any = None,
        store: Store | None = None,
        lease: Lease | None = None,
        limit: int = 100,
        claims: bool | None = None,
    ) -> None:
        self.mapping = Mapping(
            function, source, target, name=function.__name__, key=key, version="1", zone="UTC"
        )
        self.source, self.target = source, target
        self.store = store or Store(place)
        self.lease = lease or Lease(self.store)
        generation = self.store.generations.live(target.name) or self.store.generations.begin(
            self.lease.epoch, target.name
        )
        found = self.store.generations.consumer(self.mapping.name)
        self.generation: int = generation[0]
        self.consumer: int = (
            found.id
            if found
            else self.store.generations.begin_consumer(
                self.lease.epoch, self.mapping.name, self.generation, source.name, "1", "1"
            )
        )
        if target.writer.marker is None:
            target.writer.create("marker")
        self._limit = limit
        self._claims = not self.mapping.key_is_root_key if claims is None else claims
        self.begin()

    def begin(self) -> None:
        """As after a start: everything that is only in memory is made anew."""
        door = Door(self.target.writer)
        self.taker = Taker(
            self.consumer,
            self.source.name,
            self.mapping.root,
            self.store.journal,
            self.store.ledger,
            self.source,
            self.store.positions.of(self.consumer),
            PARTITIONS,
            self._limit,
            door.portion,
        )
        ledger = self.store.ledger
        self.loop = Loop(
            self.mapping,
            self.consumer,
            self.generation,
            self.store.journal,
            self.store.ledger,
            self.lease,
            self.taker,
            Deriver(self.mapping, self.source),
            door,
            Judge(self.mapping, self.consumer, self.generation, door, ledger, self.source),
            claims=self._claims,
            stuck=self.store.stuck.count(self.consumer),
        )

    def restart(self) -> None:
        """As after a crash: a new epoch, what is only in memory is gone, intents are settled."""
        self.lease.redraw()
        self.begin()
        self.loop.recover()

    def table(self, name: str) -> Table:
        nodes = [node.table for node in self.mapping.root.walk() if node.table.name == name]
        joins = tuple(dict.fromkeys(join for table in nodes for join in table.joins))
        return Table(name, nodes[0].columns, nodes[0].key, joins)

    def change(self, table: str, before: Row | None, after: Row | None) -> None:
        """Changes a row of the source, and hints it."""
        rows = self.source.tables.setdefault(table, [])
        if before is not None:
            rows.remove(before)
        if after is not None:
            rows.append(after)
        self.hint(*hint_of(self.table(table), before, after))

    def hint(self, *hints: Hint) -> None:
        self.store.journal.append([Entry(source_stream(self.source.name), Lane.LIVE, 0, hints)])

    def ask(self, *wanted: Key, trust: Trust = Trust.LEDGER) -> None:
        """Hints keys of the root, or (none named) all of them."""
        table = self.mapping.root.table.name
        hint = Hint(table, keys=wanted, trust=trust) if wanted else Hint(table, span=EVERYTHING, trust=trust)
        self.store.journal.append([Entry(consumer_stream(self.consumer), Lane.BULK, 0, (hint,))])

    def work(self, most: int = 200) -> list[Counts]:
        """Works until nothing is takeable."""
        done: list[Counts] = []
        while (counts := self.loop.step()) is not None:
            done.append(counts)
            assert len(done) < most, "it never ends"
        return done

    def held(self) -> dict[Key, Any]:
        return {key: held.record for key, held in self.target.writer.records.items()}

    def stuck(self) -> dict[Key, str]:
        return {one.key: one.error for one in self.store.stuck.of(self.consumer)}
