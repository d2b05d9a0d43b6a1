"""The streaming replication protocol, over libpq's COPY BOTH as psycopg's wrapper has it.

psycopg itself knows nothing of replication. This speaks just what a reader of a logical slot needs; what
the messages say is for `pgoutput`.
"""

from __future__ import annotations

import select
import socket
import time
from contextlib import suppress
from struct import Struct as Packed
from typing import TYPE_CHECKING

import psycopg
from psycopg import pq

from lockstep.errors import Unreachable
from lockstep.systems.postgres import lsn
from lockstep.systems.postgres.client import Address
from lockstep.systems.postgres.faults import mapped, translated
from lockstep.systems.postgres.names import literal, quoted

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn, PGresult

_EPOCH = 946_684_800  # 2000-01-01, where PostgreSQL counts from, in Unix time
_STATUS = Packed("!cQQQQB")
_KEEPALIVE_SIZE = 18
_DATA, _KEEPALIVE = 0x77, 0x6B
CLOSING_SECONDS = 5.0
ANSWER_SECONDS = 60.0
_HEADER = 25  # of XLogData: kind, start, end, time


def epoch_seconds(micros: int) -> float:
    """A time of the log in seconds since 1970."""
    return micros / 1_000_000 + _EPOCH


class Stream:
    """A connection on which the log arrives, once `start` was called. Used by one thread."""

    def __init__(self, address: Address) -> None:
        self.end = 0
        """How far the server has read its log for us, as its last keepalive said."""
        self.asked = False
        """The server wants an answer now."""
        self.asked_since: float | None = None
        """Since when it wants nothing but answers, as it does while it shuts down."""
        self.unanswered: float | None = None
        """Since when the server, though asked, has said nothing at all."""
        self._address = address
        self._streaming = False
        self._connection = address.replication()
        self._pgconn: PGconn = self._connection.pgconn
        self._poll = select.poll()
        self._poll.register(self._pgconn.socket, select.POLLIN | select.POLLHUP | select.POLLERR)
        self._bell, self._listening = socket.socketpair()
        self._listening.setblocking(False)

    def identify(self) -> dict[str, str]:
        """systemid, timeline, xlogpos, dbname."""
        result = self._ask("IDENTIFY_SYSTEM")
        return {
            (result.fname(place) or b"").decode(): (result.get_value(0, place) or b"").decode()
            for place in range(result.nfields)
        }

    def query(self, text: str) -> list[tuple[str | None, ...]]:
        """The rows of plain SQL, as texts."""
        result = self._ask(text)
        values = [
            [result.get_value(row, place) for place in range(result.nfields)] for row in range(result.ntuples)
        ]
        return [tuple(None if value is None else value.decode() for value in row) for row in values]

    def start(self, slot: str, position: str, publication: str) -> None:
        """Begins to stream what was committed after a position."""
        options = f"proto_version '1', publication_names {literal(quoted(publication))}"
        command = f"START_REPLICATION SLOT {quoted(slot)} LOGICAL {position} ({options})"
        with mapped(f"following slot {slot}"):
            result = self._answer(command)
            if result.status != pq.ExecStatus.COPY_BOTH:
                raise _gone(_refusal(result)) from None
        self.end = lsn.number(position)
        self._poll.register(self._listening, select.POLLIN)
        self._streaming = True

    def ring(self) -> None:
        """Ends a wait for the next message. Any thread may, until the stream is closed."""
        self._bell.send(b"!")

    def receive(self, timeout: float) -> bytes | None:
        """The next message of the plugin, None if none came in time. Keepalives are noted on the way."""
        try:
            while True:
                size, data = self._pgconn.get_copy_data(1)
                if size == 0:
                    if timeout > 0:
                        self._poll.poll(timeout * 1000)
                        with suppress(BlockingIOError):
                            self._listening.recv(64)
                        timeout = 0
                    self._pgconn.consume_input()
                    size, data = self._pgconn.get_copy_data(1)
                    if size == 0:
                        return None
                if size < 0:
                    break
                self.unanswered = None
                if data[0] == _DATA:
                    self.asked_since = None
                    return bytes(data[_HEADER:])
                if data[0] == _KEEPALIVE and size >= _KEEPALIVE_SIZE:
                    self._kept_alive(int.from_bytes(data[1:9], "big"), data[17] == 1)
        except psycopg.Error as error:
            raise Unreachable(
                f"the connection to {self._address.name} broke while its log was followed: "
                f"{str(error).strip()}",
                "Lockstep connects again by itself and goes on where it was.",
            ) from error
        raise self._ended()

    def _kept_alive(self, end: int, asked: bool) -> None:
        self.end = max(self.end, end)
        if not asked:
            self.asked_since = None
        elif self.asked_since is None:
            self.asked_since = time.monotonic()
        self.asked = self.asked or asked

    def send_status(self, flushed: int, *, ask: bool = False) -> None:
        """Says what is durable here. `ask`: the server shall say how far it has read."""
        now = int((time.time() - _EPOCH) * 1_000_000)
        self.asked = False
        if ask and self.unanswered is None:
            self.unanswered = time.monotonic()
        with mapped("reporting to the server what is durable"):
            # One that cannot be sent now is made up for by the next.
            self._pgconn.put_copy_data(_STATUS.pack(b"r", max(flushed, self.end), flushed, flushed, now, ask))
            self._pgconn.flush()

    def close(self) -> None:
        """Ends the stream and the connection.

        Asks the server first and waits for its yes, which comes once the slot is free: whoever follows
        again at once would find it taken otherwise.
        """
        try:
            if self._streaming:
                self._poll.unregister(self._listening)
            if self._streaming and self._pgconn.put_copy_end() == 1 and self._pgconn.flush() == 0:
                self._drain(time.monotonic() + CLOSING_SECONDS)
        except psycopg.Error:
            pass  # it is broken: the server will notice by itself
        finally:
            self._connection.close()
            self._bell.close()
            self._listening.close()

    def _drain(self, until: float) -> None:
        while True:
            size, _ = self._pgconn.get_copy_data(1)
            if size < 0:
                break
            if size == 0:
                if (left := until - time.monotonic()) <= 0:
                    return
                self._poll.poll(left * 1000)
                self._pgconn.consume_input()
        while self._result() is not None:
            pass

    def _ask(self, command: str) -> PGresult:
        with mapped(command):
            result = self._answer(command)
            if result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
                raise _refusal(result)
            while self._result() is not None:
                pass
        return result

    def _answer(self, command: str) -> PGresult:
        self._pgconn.send_query(command.encode())
        self._pgconn.flush()
        result = self._result()
        assert result is not None
        return result

    def _result(self) -> PGresult | None:
        """The next result of a command, waited for in a way that lets other threads work."""
        until = time.monotonic() + ANSWER_SECONDS
        while self._pgconn.is_busy():
            if not self._poll.poll(max(0.0, until - time.monotonic()) * 1000):
                raise psycopg.OperationalError(f"no answer within {ANSWER_SECONDS:.0f} seconds")
            self._pgconn.consume_input()
        return self._pgconn.get_result()

    def _ended(self) -> Exception:
        """Why the server ended the stream."""
        result = self._pgconn.get_result()
        if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
            return translated(_gone(_refusal(result)), "following the log")
        return Unreachable(
            f"{self._address.name} ended the stream of its log, as when it shuts down",
            "Lockstep connects again by itself and goes on where it was.",
        )


def _gone(error: psycopg.Error) -> Exception:
    """A slot or publication that is gone or invalid can be made again, so that is worth a try."""
    if not isinstance(error, psycopg.errors.UndefinedObject | psycopg.errors.ObjectNotInPrerequisiteState):
        return error
    return Unreachable(
        f"the log cannot be followed any more: {str(error).strip()}",
        "Lockstep prepares capture again by itself, and then compares everything.",
    )


def _refusal(result: PGresult) -> psycopg.Error:
    """The server's error, with its SQLSTATE."""
    state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
    words = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode("utf-8", "replace")
    if not state:
        return psycopg.OperationalError(result.get_error_message())
    try:
        return psycopg.errors.lookup(state)(words)
    except KeyError:
        return psycopg.DatabaseError(words)
