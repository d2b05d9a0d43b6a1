"""Moves the readers of a public name from an index of others to the one that Lockstep made of it.

In this order, each step repeatable, so that it can be cut off anywhere and asked for again:

1. the old index takes no writes any more: nothing can be lost between the two
2. what others wrote to it since it was copied is copied too
3. where the index itself has the public name, which must go from it, it is cloned: the files are linked
4. one `_aliases` call: a search finds the old index or the new one

Where the alias moves no search fails. Where an index gives its name away, a node that removes it answers 503
for some hundredths of a second, or says that a shard failed; never that there is less, or no such index.

The old index, or its clone, stays as it was, blocked for writing: who still writes to it is told so, rather
than written where nobody reads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import Any

from lockstep.errors import Declined, SystemError_, TargetReplaced, Unreachable
from lockstep.systems.opensearch import layout
from lockstep.systems.opensearch.adopting.carrying import Carrier
from lockstep.systems.opensearch.adopting.indices import Origin, index_of, origin_of
from lockstep.systems.opensearch.answering import assert_answering
from lockstep.systems.opensearch.client import Client
from lockstep.systems.opensearch.layout import Adopted, Layout, adopted_of, marker_of
from lockstep.systems.opensearch.origins import primaries
from lockstep.systems.opensearch.waiting import Patience


def put_mark(client: Client, ours: Origin, marker: str, note: Adopted | None) -> None:
    """Writes marker and note into the mapping of an index of ours. Raises TargetReplaced where it is gone."""
    mark: dict[str, Any] = {"marker": marker}
    if note is not None:
        mark["adopted"] = note._asdict()
    if client.ask("PUT", f"/{ours.name}/_mapping", {"_meta": layout.marked(ours.mappings, mark)}) is None:
        raise TargetReplaced(f"somebody has removed the index {ours.name}", "See who does, and ask again.")


class Move:
    """A `ports.Moving`."""

    def __init__(self, client: Client, names: Layout) -> None:
        self._client, self._names = client, names
        self._ours, self._note = self._made()
        self._carrier: Carrier | None = None
        self._old = self._readers()
        self.left_behind: tuple[str, ...] = ()
        self.aliases: tuple[str, ...] = ()
        if self._old is not None:
            others = tuple(sorted(set(self._old.aliases) - {names.alias}))
            direct = self._old.has_name(names)
            self.aliases, self.left_behind = (others, ()) if direct else ((), others)

    @property
    def before(self) -> str | None:
        """The index that readers find; None where they were moved already."""
        return None if self._old is None else self._old.name

    @property
    def kept(self) -> str | None:
        """Under what name it stays."""
        if self._old is None:
            return None
        return f"{self._names.alias}-before-lockstep" if self._old.has_name(self._names) else self._old.name

    @property
    def carried(self) -> int:
        return 0 if self._carrier is None else self._carrier.carried

    @property
    def removed(self) -> int:
        return 0 if self._carrier is None else self._carrier.removed

    def steps(self, note: Callable[[int], None], stopped: Callable[[], bool]) -> Generator[str]:
        """Does it, and says each step that is behind it. It ends early where stopped, all as before."""
        if self._old is None or self._note is None:
            if self._note is not None:
                self._forget()  # cut off between the last step and this
            return
        assert_answering(self._client, self._names.index, "readers are not sent there")
        old, moved = self._old, False
        try:
            self._block(old)
            yield "blocked"
            self._carrier = Carrier(self._client, old, self._names)
            if self._carrier.since(self._note.marks or (), note, stopped) and not stopped():
                yield "caught up"
                if old.has_name(self._names):
                    self._keep(old)
                    yield "kept"
                self._switch(old)
                moved = True
        finally:
            if not moved:
                self._unblock(old)
        if moved:
            yield "moved"
            self._forget()

    def _made(self) -> tuple[Origin, Adopted | None]:
        ours = index_of(self._client, self._names.index)
        if ours is None or marker_of(ours.mappings) is None:
            raise TargetReplaced(
                f"the index {self._names.index} is not there, or is not Lockstep's",
                "Take over what stands there first: `lockstep adopt MAPPING`.",
            )
        return ours, adopted_of(ours.mappings)

    def _readers(self) -> Origin | None:
        """What readers find, where it is still what was taken over; None where it is ours."""
        found = origin_of(self._client, self._names)
        if found is not None and found.name == self._names.index:
            return None
        if self._note is None or found is None or found.uuid != self._note.uuid:
            now = "nothing" if found is None else found.name
            due = "were moved" if self._note is None else f"were to be moved from {self._note.name}"
            raise Declined(
                f"readers of {self._names.alias} {due}, but find {now}",
                f"See who changed it. To move them by hand: POST /_aliases, to {self._names.index}.",
            )
        return found

    def _block(self, old: Origin) -> None:
        assert self._note is not None
        if not old.blocked:
            self._noted(self._note._replace(blocked=True))
        answer = self._client.ask("PUT", f"/{old.name}/_block/write")  # when what was being written is done
        # names no index where it was blocked already
        if answer is None or (answer.get("indices") and not answer.get("shards_acknowledged")):
            raise Unreachable(
                f"not every shard of {old.name} has said that it takes no writes any more, so some may be "
                "under way",
                f"See GET /_cat/shards/{old.name}, and ask again.",
            )

    def _unblock(self, old: Origin) -> None:
        if self._note is None or not self._note.blocked:
            return
        with contextlib.suppress(SystemError_):  # the error that led here says more; `check` names the block
            found = origin_of(self._client, self._names)
            if found is None or found.uuid != old.uuid:
                return  # they were moved, only the answer was lost: nobody reads what is written there
            self._client.ask("PUT", f"/{old.name}/_settings", {"index.blocks.write": None})
            self._noted(self._note._replace(blocked=False))

    def _keep(self, old: Origin) -> None:
        """Clones it. The clone of a try before may lack what was written since, and is made anew."""
        assert self.kept is not None
        assert self._note is not None
        there = index_of(self._client, self.kept)
        if there is not None:
            if not self._note.cloned or not there.blocked:  # not each version says of a clone what it is of
                raise Declined(
                    f"{old.name} would be kept as {self.kept}, but another index has that name",
                    f"Rename it, or remove it if nobody needs it (DELETE /{self.kept}), and ask again.",
                )
            self._client.ask("DELETE", f"/{self.kept}")
        self._noted(self._note._replace(cloned=True))
        path = f"/{old.name}/_clone/{self.kept}?wait_for_active_shards=0"
        self._client.ask("PUT", path, {"settings": {"index.blocks.write": True}}, repeat=False)
        patience = Patience()
        for _ in range(60):
            shards = primaries(self._client, self.kept)
            if shards and all(one.get("state") == "STARTED" for one in shards):
                return
            patience.wait()
        raise Unreachable(
            f"the copy {self.kept} of {old.name} does not become whole, so readers were not moved",
            f"See GET /_cluster/allocation/explain: a node may lack space. Remove it "
            f"(DELETE /{self.kept}) or make room, and ask again.",
        )

    def _switch(self, old: Origin) -> None:
        names = self._names
        self._client.ask("POST", f"/{names.index}/_refresh")
        add = {"index": names.index, "alias": names.alias, "is_write_index": True}
        if old.has_name(names):
            actions: list[dict[str, Any]] = [{"remove_index": {"index": old.name}}, {"add": add}]
            actions += [
                {"add": {"index": names.index, "alias": name, **old.aliases[name]}} for name in self.aliases
            ]
        else:
            said = {**old.aliases[names.alias], **add}
            actions = [
                {"remove": {"index": old.name, "alias": names.alias, "must_exist": True}},
                {"add": said},
            ]
        if self._client.ask("POST", "/_aliases", {"actions": actions}, repeat=False) is None:
            raise Unreachable(
                f"readers were not moved: somebody has removed {old.name} or {names.index} at this moment",
                f"See what stands there (GET /{names.alias}*), and ask again.",
            )

    def _noted(self, note: Adopted) -> None:
        self._note = note
        put_mark(self._client, self._ours, str(marker_of(self._ours.mappings)), note)

    def _forget(self) -> None:
        put_mark(self._client, self._ours, str(marker_of(self._ours.mappings)), None)
