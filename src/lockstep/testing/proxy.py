"""A TCP proxy with a cable that can be pulled: puts a bad network between a connector and a real server."""

import contextlib
import socket
import struct
import threading
from typing import Self

_RESET = struct.pack("ii", 1, 0)  # linger for no time: closing sends a reset, as a broken line does


class Proxy:
    """Forwards a port of its own on the loopback interface to the target, until it is told otherwise."""

    def __init__(self, target_host: str, target_port: int) -> None:
        self._target = (target_host, target_port)
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._deaf = False
        self._left: dict[bool, int] = {}
        self.cuts = 0
        self._listener: socket.socket | None = None
        # Stays bound while the listener comes and goes, so that no one else is given the port.
        self._reserved = self._bound(0)
        self.port: int = self._reserved.getsockname()[1]
        self.accept()

    def accept(self) -> None:
        """Work: take connections and forward what they send."""
        if self._deaf:
            self.cut()  # they have lost bytes and cannot go on
            self._deaf = False
        if self._listener is None:
            self._listener = self._bound(self.port)
            self._listener.listen(128)
            threading.Thread(target=self._serve, args=[self._listener], daemon=True).start()

    def refuse(self) -> None:
        """Refuse new connections, as a stopped server does; those there are live on."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes up the thread that waits in accept()
            self._listener.close()
            self._listener = None

    def leads_to(self, host: str, port: int) -> None:
        """Forward to another server from now on, as when a name is given to another machine."""
        self._target = (host, port)
        self.cut()

    def deaf(self) -> None:
        """Take connections and bytes and forward nothing either way: a peer that hangs, until `accept()`."""
        self.accept()
        self._deaf = True

    def cut(self) -> None:
        """Drop all connections now; new ones are welcome unless refused."""
        with self._lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            self._close(connection)

    def cut_after(self, octets: int, *, answers: bool) -> None:
        """Lets so many more bytes of requests (or of answers) pass, all connections together, then cuts the
        connection in the middle of them, once: whoever was to get them gets exactly these. `cuts` counts."""
        with self._lock:
            self._left[answers] = octets

    def close(self) -> None:
        self.refuse()
        self.cut()
        self._reserved.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _bound(port: int) -> socket.socket:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        return bound

    @staticmethod
    def _close(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the other thread of the pair may have been faster
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            connection.shutdown(socket.SHUT_RDWR)  # wakes up the thread that reads from it
        connection.close()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(client)
            threading.Thread(target=self._carry, args=[client], daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.socket() as server:
            try:
                server.connect(self._target)
            except OSError:
                self._close(client)
            with self._lock:
                if client in self._connections:  # it may have been cut while we connected
                    self._connections.add(server)
                else:
                    self._close(server)
            back = threading.Thread(target=self._pump, args=(server, client, True), daemon=True)
            back.start()
            self._pump(client, server, False)
            back.join()
            with self._lock:
                self._connections -= {client, server}

    def _passing(self, octets: int, answers: bool) -> int | None:
        """How many of these bytes pass before the line is cut; None when all do."""
        with self._lock:
            left = self._left.get(answers)
            if left is None:
                return None
            if octets < left:
                self._left[answers] = left - octets
                return None
            del self._left[answers]
            self.cuts += 1
            return left

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        """Forward bytes, and the end of them as what it was: an orderly end or a reset."""
        try:
            while data := source.recv(65536):
                if self._deaf:
                    continue
                passes = self._passing(len(data), answers)
                if passes is not None:
                    sink.sendall(data[:passes])
                    sink.shutdown(socket.SHUT_WR)  # an orderly end: a reset would take back what was sent
                    self._close(source)
                    return
                sink.sendall(data)
            if not self._deaf:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(source)
            self._close(sink)
