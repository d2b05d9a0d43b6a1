"""Numbers that hold what means something in a URL are those of their own accounts and subscriptions alone."""

from __future__ import annotations

from contextlib import closing

import pytest
from msgspec.structs import replace

from lockstep.effective import Timeline
from lockstep.systems.zuora.models import Account
from lockstep.testing.writer_hooks import same, write
from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api
from tests.zuora import app
from tests.zuora.notes import MemoryNotes
from tests.zuora.test_round_trip import change_of


def one(number: str, name: str = "Ada Ltd", region: str = "north", paused: bool = False) -> Account:
    plain = app.example()
    subscription = replace(
        plain.subscriptions[0],
        key=f"S{number}",
        custom={"Region__c": region},
        paused=Timeline([(app.TODAY, None, True)]) if paused else Timeline(),
    )
    return replace(plain, key=f"A{number}", name=name, subscriptions=(subscription,))


@pytest.mark.parametrize("odd", ["?1", "#1", "%3F1", " 1", "+1", "é"])
def test_an_account_is_written_and_read_by_its_own_number(api: Api, zuora_twin: ZuoraTwin, odd: str) -> None:
    target = app.tenant_of(zuora_twin).accounts(today=lambda: app.TODAY).noting(MemoryNotes())
    with closing(target.open(1)) as writer:
        writer.create("law")
        other = change_of(one(""), 1)
        write(writer, other)
        states = [one(odd), one(odd, "Other"), one(odd, "Other", "south"), one(odd, "Other", "south", True)]
        for at, state in enumerate(states, 2):
            change = change_of(state, at)
            write(writer, change)
            assert same(writer.read([change.key])[change.key].record, change.record)
            assert same(writer.read([other.key])[other.key].record, other.record)
