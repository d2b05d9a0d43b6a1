"""The proxy forwards, and fails in each of the ways it is told to."""

import socket
import threading
from collections.abc import Iterator

import pytest

from lockstep.testing.proxy import Proxy


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets, and ends when its client does."""

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                pass  # a cut connection

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=[connection], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    with Proxy("127.0.0.1", echo) as made:
        yield made


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def works(connection: socket.socket) -> bool:
    connection.sendall(b"ping")
    return connection.recv(4) == b"ping"


def gone(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_it_forwards_all_bytes_and_the_end_of_them(proxy: Proxy) -> None:
    sent = bytes(range(256)) * 8192
    with connect(proxy) as client, client.makefile("rb") as incoming:

        def send() -> None:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        assert incoming.read() == sent
        sender.join()


def test_cut_drops_what_is_there_and_takes_new_ones(proxy: Proxy) -> None:
    with connect(proxy) as first, connect(proxy) as second:
        assert works(first)
        assert works(second)
        proxy.cut()
        assert gone(first)
        assert gone(second)
    with connect(proxy) as third:
        assert works(third)


def test_refuse_keeps_what_is_there_and_its_port(proxy: Proxy) -> None:
    port = proxy.port
    with connect(proxy) as before:
        assert works(before)
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        assert works(before)
        proxy.accept()
    assert proxy.port == port
    with connect(proxy) as after:
        assert works(after)


def test_deaf_swallows_bytes_until_accept(proxy: Proxy) -> None:
    with connect(proxy) as before:
        assert works(before)
        proxy.deaf()
        with connect(proxy) as during:
            for connection in (before, during):
                connection.sendall(b"ping")
                connection.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    connection.recv(4)
                connection.settimeout(5)
            proxy.accept()
            assert gone(before)
            assert gone(during)
    with connect(proxy) as after:
        assert works(after)


def test_a_target_that_is_down_closes_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with Proxy("127.0.0.1", port) as proxy:
        try:
            client = connect(proxy)
        except ConnectionError:  # it was closed before the connection was handed to us
            return
        with client:
            assert gone(client)


@pytest.mark.parametrize("octets", [1, 1000, 70_000])
@pytest.mark.parametrize("answers", [False, True])
def test_cut_after_so_many_bytes(proxy: Proxy, octets: int, answers: bool) -> None:
    """Those that were let pass come back; then the line is dead, and a new one works."""
    with connect(proxy) as connection:
        assert works(connection)
        proxy.cut_after(octets, answers=answers)
        got = 0
        try:
            # answers are cut when all was asked: a line that breaks while we send may lose what was not read
            connection.sendall(b"x" * (octets if answers else 200_000))
            while data := connection.recv(65536):
                got += len(data)
        except OSError:
            pass  # cut while we were sending
        assert got <= octets
        assert not answers or got == octets
    assert proxy.cuts == 1
    with connect(proxy) as connection:
        assert works(connection)
