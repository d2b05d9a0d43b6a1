"""Two mappings of one process write a tenant's accounts, and a change of one is of the other's account, too:
what either sends of it comes before or after what the other does, never late."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

from msgspec.structs import replace

import lockstep as ls
from lockstep.systems.zuora.writing.writer import ZuoraWriter
from lockstep.testing.http_proxy import HttpProxy
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.values import Change, Outcome
from tests.twins.api import Api
from tests.zuora import app
from tests.zuora.handing_over import DONE, WITHIN, account, begun, on, taken
from tests.zuora.notes import MemoryNotes
from tests.zuora.test_round_trip import change_of


def named(name: str, at: int) -> Change:
    """A-1 of that name, which returns S-1 no more."""
    return change_of(replace(account("A-1"), name=name), at)


class Late:
    """The second request that names an account "first" is on its way until it is let go; `met`: it was sent.
    `during` begins while the first one is at work."""

    def __init__(self, proxy: HttpProxy) -> None:
        self.met, self.let_go, self.during = threading.Event(), threading.Event(), threading.Event()
        self._seen = 0
        proxy.before, proxy.after = self._before, self._after

    def _before(self, path: str, body: bytes) -> None:
        if b'"first"' in body:
            self._seen += 1
            if self._seen == 2:
                self.met.set()
                assert self.let_go.wait(30)

    def _after(self, path: str, body: bytes) -> None:
        if b'"first"' in body and self._seen == 1:
            self.during.set()
            self.met.wait(1)  # or the other writer waits for this one


def test_what_another_writer_sends_again_does_not_put_back_what_is_older(
    api: Api, zuora_twin: ZuoraTwin, notes: MemoryNotes
) -> None:
    with ExitStack() as stack:
        proxy = stack.enter_context(HttpProxy(zuora_twin.url))
        one, two = (stack.enter_context(closing(writer(proxy, zuora_twin, notes))) for _ in range(2))
        begun(one)
        late = Late(proxy)
        stack.callback(late.let_go.set)
        threads = stack.enter_context(ThreadPoolExecutor(1))
        taking = threads.submit(_once, late.during, two)
        one.write([named("first", 2)])
        one.write([named("second", 3)])
        late.let_go.set()
        assert [outcome.status in DONE for outcome in taking.result(30)] == [True]
    assert api.get("/v1/accounts/A-1")["basicInfo"]["name"] == "second"
    assert on(api) == ("A-2", "A-2", "Active")


def _once(during: threading.Event, two: ZuoraWriter) -> list[Outcome]:
    assert during.wait(30)
    return two.write([taken()])


def writer(proxy: HttpProxy, twin: ZuoraTwin, notes: MemoryNotes) -> ZuoraWriter:
    tenant = ls.Zuora(proxy.url, client_id=twin.client_id, client_secret=twin.client_secret)
    return tenant.accounts(today=lambda: app.TODAY, transfers_within=WITHIN).noting(notes).open(1)
