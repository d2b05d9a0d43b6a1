"""What describe answers, read: the documented form, what public clients know of it, and nonsense."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lockstep.errors import Refused
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.api.describe import described, object_names
from lockstep.systems.zuora.api.xml import NoTree, tree

DOCUMENTED = b"""<?xml version="1.0" encoding="UTF-8"?>
<object>
  <name>Account</name>
  <label>Customer Account</label>
  <fields>
    <field>
      <name>TaxMode</name>
      <label>Tax Mode</label>
      <type>picklist</type>
      <options><option>TaxExclusive</option><option> TaxInclusive </option></options>
      <contexts><context>export</context></contexts>
    </field>
    <field><name>Balance</name><label>Balance</label><type>Decimal</type><updateable>false</updateable></field>
    <field><name>Region__c</name><type>text</type><createable>true</createable><custom>true</custom></field>
    <field><name>NoType</name></field>
    <field><type>text</type></field>
  </fields>
  <related-objects>
    <object href="https://rest.example/v1/describe/Contact"><name>BillToContact</name>
      <fields><field><name>Stray</name><type>text</type></field></fields>
    </object>
    <object><name>DefaultPaymentMethod</name></object>
  </related-objects>
</object>
"""


class Saying:
    """A client whose every document is this one."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    def document(self, path: str, params: object = ()) -> bytes:
        return self._said


def saying(said: bytes) -> Client:
    return cast(Client, Saying(said))


def test_the_documented_form() -> None:
    found = described(saying(DOCUMENTED), "Account")
    assert (found.name, found.label) == ("Account", "Customer Account")
    assert [(one.column, one.type, one.custom) for one in found.fields] == [
        ("taxMode", "picklist", False),
        ("balance", "decimal", False),
        ("Region__c", "text", True),
    ]
    assert found.fields[0].options == ("TaxExclusive", "TaxInclusive")
    assert [one.updateable for one in found.fields] == [None, False, None], "what is not said is not known"
    assert found.fields[2].createable is True
    assert found.related == (("BillToContact", "Contact"), ("DefaultPaymentMethod", "DefaultPaymentMethod"))


def test_names_that_could_lead_elsewhere_are_no_objects() -> None:
    said = (
        b"<objects><object><name>Account</name></object><object/><object><name>../x</name></object></objects>"
    )
    assert object_names(saying(said)) == ("Account",)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"<html><body>Sign in</body></html>",
        b"<object><name>Invoice</name></object>",
        b"<object><fields/></object>",
        DOCUMENTED[:-20],
        b"\xff\xfe<object/>",
        b'<?xml version="1.0" encoding="no-such-thing"?><object><name>Account</name></object>',
        b"[1]",
    ],
)
def test_what_does_not_describe_the_object_is_refused(said: bytes) -> None:
    with pytest.raises(Refused, match="the answer is no description"):
        described(saying(said), "Account")


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><object><name>&b;</name></object>'
OUTSIDE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><object><name>&a;</name></object>'


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (BOMB, "document type"),
        (OUTSIDE, "document type"),
        (b'<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><object/>', "document type"),
        (BOMB.decode().encode("utf-16"), "document type"),
        (b"<a>" * 100_000, "deep"),
        (b"<object>" + b" " * (17 << 20) + b"</object>", "MB"),
        (b"<object>&nbsp;</object>", "undefined entity"),
    ],
)
def test_what_could_do_harm_is_not_read(said: bytes, why: str) -> None:
    with pytest.raises(NoTree, match=why):
        tree(said)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """The documented form with some of its bytes cut out, doubled or replaced."""
    said = DOCUMENTED
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(said)))
        end = min(len(said), start + draw(st.integers(0, 40)))
        said = said[:start] + draw(st.binary(max_size=6) | st.just(said[start:end] * 2)) + said[end:]
    return said


@settings(max_examples=400, deadline=None)
@given(mutated() | st.binary(max_size=80))
@example(
    b"<object><name>Account</name><fields><field><name>\xc3\xa9</name><type>x</type></field></fields></object>"
)
def test_any_answer_is_read_or_refused(said: bytes) -> None:
    try:
        found = described(saying(said), "Account")
    except Refused as error:
        assert "no description" in str(error)  # noqa: PT017 - what is refused need not be raised
        return
    assert found.name == "Account"
    assert all(one.name and one.type and one.column for one in found.fields)
    assert len({one.name for one in found.fields}) == len(found.fields)
