"""Byte strings, each once: a set that lies on disk beyond a bound."""

from __future__ import annotations

import heapq
import struct
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

MOST = 200_000
"""Byte strings that are held in memory."""

_length = struct.Struct("<I")


class Distinct:
    """What was added, in order and each once, however often it is iterated over.

    Beyond `MOST` it lies as sorted runs in temporary files, which go when it is closed; iterating merges.
    """

    def __init__(self) -> None:
        self._recent: set[bytes] = set()
        self._runs: list[IO[bytes]] = []

    def update(self, added: Iterable[bytes]) -> None:
        self._recent.update(added)
        if len(self._recent) >= MOST:
            self._runs.append(_written(sorted(self._recent)))
            self._recent = set()

    def close(self) -> None:
        for run in self._runs:
            run.close()

    def __bool__(self) -> bool:
        return bool(self._recent or self._runs)

    def count(self) -> int:
        """How many there are: reads the runs, where there are some."""
        return sum(1 for _ in self) if self._runs else len(self._recent)

    def __iter__(self) -> Iterator[bytes]:
        last: bytes | None = None
        for one in heapq.merge(sorted(self._recent), *(_read(run) for run in self._runs)):
            if one != last:
                yield one
            last = one


def _written(found: list[bytes]) -> IO[bytes]:
    run = tempfile.TemporaryFile(prefix="lockstep-")  # noqa: SIM115  closed with the set
    for one in found:
        run.write(_length.pack(len(one)))
        run.write(one)
    return run


def _read(run: IO[bytes]) -> Iterator[bytes]:
    run.seek(0)
    while head := run.read(_length.size):
        yield run.read(_length.unpack(head)[0])
