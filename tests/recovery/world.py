"""The small world with a target that can be saved, restored, and built beside."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from lockstep.database import Access
from lockstep.declaration.pipeline import Pipeline
from lockstep.forms import keys
from lockstep.operations.opened import existing
from lockstep.operations.run import run
from lockstep.ports import Generational, Target
from lockstep.recovery.snapshot import snapshot
from lockstep.state.store import Store
from lockstep.systems.sqlite import SQLite
from lockstep.systems.tantivy import Tantivy
from lockstep.values import Change
from tests.support.world import Person, World, in_process, people

USERS = 300


def renamed(user: Person) -> dict[str, object] | None:
    """The mapping as it is after a change: what was `email` is `address`, in capitals."""
    made = people(user)
    if made is not None:
        made["address"] = str(made.pop("email")).upper()
    return made


def marked(user: Person) -> dict[str, object] | None:
    """Yet another code."""
    made = people(user)
    return None if made is None else made | {"marked": True}


def broken(user: Person) -> dict[str, object] | None:
    """A code that was never tried."""
    raise KeyError(user.id)


class RecoveryWorld(World):
    """`code` is the version of the mapping: "1" is `people`, "2" is `renamed`, "3" is `marked`."""

    def __init__(self, root: Path) -> None:
        self.code = "1"
        self.gauges: dict[str, dict[str, Any]] = {}
        super().__init__(root, claims=False)

    def target(self) -> Target:
        return Tantivy(self.root / "search", snapshots=self.root / "saved").index("people")

    def pipeline(self) -> Pipeline:
        made = Pipeline("world", state=self.root / "state")
        function = {"1": people, "2": renamed, "broken": broken}.get(self.code, marked)
        made.mapping(SQLite(self.app), to=self.target(), name="people", version=self.code)(function)
        return made

    def fill(self, users: int = USERS) -> None:
        self.do(
            "INSERT INTO companies VALUES (1, 'Acme'), (2, 'Umbrella')",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
            f"{users}) INSERT INTO users (id, company_id, email) "
            "SELECT i, i % 2 + 1, 'user' || i || '@example.com' FROM n",
        )

    def build(self, generation: int) -> dict[int, dict[str, Any]]:
        """What one build holds, by id."""
        with contextlib.closing(self.target().open(generation)) as writer:
            return {int(held.record["id"]): dict(held.record) for held in writer.scan(None, 100_000)}

    def derived(self) -> dict[int, dict[str, Any]]:
        """What the live build should hold, by the code at hand."""
        found = {int(one["id"]): one for one in self.expected()["people"]}
        if self.code == "2":
            for one in found.values():
                one["address"] = str(one.pop("email")).upper()
        if self.code == "3":
            return {key: one | {"marked": True} for key, one in found.items()}
        return found

    def copy(self, code: str) -> RecoveryWorld:
        """The same, as another process with another code sees it."""
        made = RecoveryWorld(self.root)
        made.code = code
        return made

    @contextlib.contextmanager
    def state(self) -> Iterator[Store]:
        """The state store, to look at and to spoil."""
        with existing(self.pipeline(), Access.RUN) as store:
            yield store

    def trim_all(self) -> None:
        """Forgets every hint that was settled."""
        with self.state() as store:
            store.trim(keep=-1.0)

    def forget_ledger(self) -> None:
        """What the ledger knows of the live build is lost, as after a rebuild."""
        with self.state() as store:
            live = store.generations.consumers()[0]
            store.lock.take()
            epoch = store.draw_epoch()
            store.generations.begin(epoch, live.target)
            store.trim()

    def empty(self, generation: int) -> None:
        """Removes every record of a build, behind Lockstep's back."""
        with contextlib.closing(self.target().open(generation)) as writer:
            held = writer.scan(None, 100_000)
            meta = held[0].meta
            assert meta is not None
            writer.write([Change(one.key, None, meta) for one in held])

    def stranger(self, generation: int) -> None:
        """Somebody else adds a record to a build."""
        with contextlib.closing(self.target().open(generation)) as writer:
            (first,) = writer.scan(None, 1)
            assert first.meta is not None
            meta = msgspec.structs.replace(first.meta, mapping="somebody")
            key = keys.encode((99_999,))
            writer.write([Change(key, {"id": 99_999, "email": "stranger"}, meta)])

    def damage_saved(self, number: int) -> None:
        """Spoils a saved state in its repository."""
        with self.state() as store:
            saved = store.snapshots.get(number)
        assert saved is not None
        (directory,) = (self.root / "saved").rglob(saved.name)
        largest = max(directory.iterdir(), key=lambda path: path.stat().st_size)
        largest.chmod(0o600)
        largest.unlink()

    def holds(self) -> list[str]:
        """The policies that hold something."""
        with self.state() as store:
            return [one.policy for one in store.holds.all()]

    def waiting(self) -> list[str]:
        """What the mappings of the run that goes on wait for."""
        return [str(one["reason"]) for one in self.gauges.values() if one["reason"]]

    def happened(self, kind: str) -> list[str]:
        """What was recorded of this kind, or of kinds that begin so."""
        with self.state() as store:
            return [one.text for one in store.events.since(0.0) if one.kind.startswith(kind)]

    def searched(self) -> int | None:
        """The generation that readers see."""
        target = self.target()
        assert isinstance(target, Generational)
        return target.searched()

    def builds(self) -> list[int]:
        """What stands in the target."""
        return [number for number in range(10) if self.stands(number)]

    def stands(self, generation: int) -> bool:
        with contextlib.closing(self.target().open(generation)) as writer:
            return writer.identity() is not None

    @contextlib.contextmanager
    def running(self, patience: float = 30.0) -> Iterator[threading.Event]:
        """A run that goes on in this process, by the code at hand; at work, or `patience` seconds old."""
        stop = threading.Event()
        failed: list[BaseException] = []
        pipeline = self.pipeline()

        def work() -> None:
            try:
                run(pipeline, stop=stop, on_progress=seen, every=0.05)
            except BaseException as error:
                failed.append(error)

        at_work = threading.Event()

        def seen(gauges: dict[str, Any], _: object) -> None:
            self.gauges = gauges["mappings"]
            if self.gauges:
                at_work.set()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            deadline = time.monotonic() + patience
            while thread.is_alive() and not at_work.wait(0.05) and time.monotonic() < deadline:
                pass
            yield stop
        finally:
            stop.set()
            thread.join()
        if failed:
            raise failed[0]

    def killed(self, action: Callable[[RecoveryWorld], object], spec: str) -> bool:
        """Whether an action in a process of its own came to a point, where it was killed."""
        code = in_process(_act_and_die, self, action, spec)
        assert code in (0, -9), f"{action} at {spec} ended with {code}"
        return code == -9


def saved_world(root: Path) -> RecoveryWorld:
    """Filled and saved."""
    world = RecoveryWorld(root)
    world.fill()
    world.run()
    snapshot(world.pipeline())
    return world


def wipe(world: RecoveryWorld) -> None:
    """What a healer does to a host: everything is gone but the repository."""
    (world.root / "search").rename(world.root / "gone")
    shutil.rmtree(world.root / "gone", ignore_errors=True)


def soon(true: Callable[[], object], within: float = 60.0) -> None:
    """Waits until something is true."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _act_and_die(world: RecoveryWorld, action: Callable[[RecoveryWorld], object], spec: str) -> None:
    from lockstep.engine import points

    points.die_at(spec)
    action(world)
