"""The last transaction that was read, to know the log by again.

A disk's snapshot that is put back over a server has the same system identifier and, without a restore, the
same timeline; once it has written more log than we have read, no position says that what lies before it
is not what we read. But its slot went back as well, to before that transaction. So where the slot stands
before it, as it also may after a crash of the server, the server is asked to send that transaction again: the
log that we know has it, at its place, with its id and its time.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from lockstep.errors import Unreachable
from lockstep.systems.postgres import lsn
from lockstep.systems.postgres.client import Address
from lockstep.systems.postgres.following import pgoutput
from lockstep.systems.postgres.following.replication import Stream

SECONDS = 600.0
"""How long the server may read its log until it comes to that place."""


class Landmark(NamedTuple):
    """Where a transaction's commit record lies, its id as the log has it, and its time in µs since 2000."""

    final: int
    xid: int
    at: int

    def __str__(self) -> str:
        return f"{lsn.text(self.final)} {self.xid} {self.at}"


def parse(text: str) -> Landmark:
    """The reverse of `str`."""
    final, xid, at = text.split()
    return Landmark(lsn.number(final), int(xid), int(at))


def stands(address: Address, slot: str, publication: str, landmark: Landmark) -> bool:
    """Whether the log of a slot that stands before a landmark has it. Acknowledges nothing.

    Raises Unreachable when the server does not come to that place in time.
    """
    stream = Stream(address)
    try:
        stream.start(slot, lsn.text(landmark.final), publication)
        until = asked = time.monotonic()
        until += SECONDS
        stream.send_status(0, ask=True)
        while time.monotonic() < until:
            message = stream.receive(0.5)
            if message is not None:
                first = pgoutput.decode(message)
                if isinstance(first, pgoutput.Begin):
                    return landmark == (first.final, first.xid, first.at)
            elif stream.end > landmark.final:
                return False  # it has read past that place, and there was nothing for us
            if stream.asked or time.monotonic() - asked > 1:
                asked = time.monotonic()
                stream.send_status(0, ask=True)
    finally:
        stream.close()
    raise Unreachable(
        f"{address.name} has not read its log up to {lsn.text(landmark.final)} within {SECONDS:.0f} seconds",
        "Lockstep asks again by itself.",
    )
