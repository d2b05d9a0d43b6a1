"""The law of `lockstep.ports.Repository` when the process that saves or restores is killed, as a test class.

The hook `elsewhere` says how another process reaches the target. It is killed (`SIGKILL`) after ever longer
waits, until one of them was long enough for it to end; what stands then must be all or nothing, and asking
again must bring it about.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from typing import ClassVar

import pytest

from lockstep.errors import TargetReplaced
from lockstep.ports import Repository, Target, Writer
from lockstep.testing.restorable_hooks import SEARCHED, RestorableHooks, restorable
from lockstep.testing.writer_hooks import change, write
from lockstep.values import version

_BODY = """
import sys
{imports}
target = {expression}
with __import__("contextlib").closing(target.repository()) as repository:
    print("ready", flush=True)
    repository.{call}
    print("done", flush=True)
"""


class KilledLaw(RestorableHooks):
    """What a killed process leaves behind harms nobody."""

    waits: ClassVar[tuple[float, ...]] = (0.0, 0.01, 0.03, 0.06, 0.1, 0.2, 0.4, 0.8)
    """Seconds between the call and the kill."""

    records: ClassVar[int] = 3000

    def killed(self, target: Target, call: str, wait: float) -> bool:
        """Calls the repository in another process and kills it; whether it had ended by then."""
        source = self.elsewhere(target)
        if source is None:
            pytest.skip("no hook `elsewhere`")
        imports, _, expression = source.rpartition(";")
        body = _BODY.format(imports=imports, expression=expression.strip(), call=call)
        process = subprocess.Popen([sys.executable, "-c", body], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n", "the other process does not get as far as the call"
            time.sleep(wait)
            process.kill()
            return process.stdout.readline() == "done\n"
        finally:
            process.stdout.close()
            process.wait()

    @pytest.fixture
    def filled(self, target: Target, writer: Writer) -> None:
        for start in range(0, self.records, 1000):
            numbers = range(start, min(start + 1000, self.records))
            write(writer, *(change(self.key(target, n), self.record(n), version(3, n + 1)) for n in numbers))

    def test_a_killed_save_is_whole_or_not_listed(
        self, target: Target, filled: None, repository: Repository
    ) -> None:
        before = self.held(target, SEARCHED)
        for n, wait in enumerate(self.waits):
            ended = self.killed(target, f"save({SEARCHED}, 'killed-{n}')", wait)
            listed = {one.name for one in repository.saved()}
            assert not ended or f"killed-{n}" in listed
            saved = repository.save(SEARCHED, f"killed-{n}")
            assert saved in repository.saved()
            assert repository.damage(f"killed-{n}") is None
            repository.restore(f"killed-{n}", self.into, f"of {n}")
            self.assert_restored(target, self.into, f"of {n}", before)
            restorable(target).remove(self.into, f"of {n}")
            if ended:
                break

    def test_a_killed_save_can_be_forgotten(
        self, target: Target, filled: None, repository: Repository
    ) -> None:
        for n, wait in enumerate(self.waits[:4]):
            self.killed(target, f"save({SEARCHED}, 'killed-{n}')", wait)
            repository.forget(f"killed-{n}")
            assert repository.saved() == []
        saved = repository.save(SEARCHED, "whole")
        assert repository.saved() == [saved]

    def test_a_killed_restore_is_brought_to_its_end(
        self, target: Target, filled: None, repository: Repository
    ) -> None:
        before = self.held(target, SEARCHED)
        repository.save(SEARCHED, "whole")
        for n, wait in enumerate(self.waits):
            ended = self.killed(target, f"restore('whole', {self.into}, 'of {n}')", wait)
            repository.restore("whole", self.into, f"of {n}")
            self.assert_restored(target, self.into, f"of {n}", before)
            restorable(target).remove(self.into, f"of {n}")
            self.assert_nothing(target, self.into)
            if ended:
                break
        self.assert_restored(target, SEARCHED, "law", before)

    def test_what_a_killed_restore_left_can_be_removed(
        self, target: Target, filled: None, repository: Repository
    ) -> None:
        repository.save(SEARCHED, "whole")
        for n, wait in enumerate(self.waits):
            ended = self.killed(target, f"restore('whole', {self.into}, 'of {n}')", wait)
            with contextlib.closing(target.open(self.into)) as half, contextlib.suppress(TargetReplaced):
                assert half.contents().records in range(self.records + 1)
            restorable(target).remove(self.into, f"of {n}")
            self.assert_nothing(target, self.into)
            if ended:
                break
