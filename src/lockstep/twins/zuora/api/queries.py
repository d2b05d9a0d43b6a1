"""POST /v1/action/query and queryMore."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from ..engine.custom import custom_of
from ..engine.tree import Refused
from ..zoql import NAMES, Locator, Query, field_of, parsed
from .accounts import ACCOUNT, CONTACT
from .call import Answer, Call

PAGE = 2_000
LOCATOR_SECONDS = 15 * 60


class Asked(msgspec.Struct, rename="camel"):
    query_string: str


class More(msgspec.Struct, rename="camel"):
    query_locator: str


def query(call: Call) -> Answer:
    asked = parsed(call.said(Asked).query_string)
    call.tenant.assert_may_read(NAMES[asked.kind])
    _known(call, asked)
    found = call.tenant.store.where(asked.kind, asked.condition, list(asked.values))
    ids = tuple(doc["id"] for doc in found[PAGE:])
    return _answer(call, asked, found[:PAGE], ids, len(found))


def query_more(call: Call) -> Answer:
    left = call.tenant.locators.pop(call.said(More).query_locator, None)
    if left is None or left.until < time.time():
        raise Refused(20, "invalid queryLocator: it is of no query, was used, or is older than 15 minutes")
    # What was deleted since is left out; what was changed is shown as it is now.
    docs = [doc for id in left.ids[:PAGE] if (doc := call.tenant.store.get(left.query.kind, id)) is not None]
    return _answer(call, left.query, docs, left.ids[PAGE:], left.size)


def _answer(call: Call, asked: Query, docs: list[dict[str, Any]], ids: tuple[str, ...], size: int) -> Answer:
    """Fields that are null are left out, as a real tenant does; Id is always there."""
    names = {name: field_of(name) for name in ("Id", *asked.fields)}
    body: dict[str, Any] = {
        "size": size,
        "done": not ids,
        "records": [
            {name: doc[field] for name, field in names.items() if doc.get(field) is not None} for doc in docs
        ],
    }
    if ids:
        locator = f"{call.tenant.store.id()}-{PAGE}"
        call.tenant.locators[locator] = Locator(time.time() + LOCATOR_SECONDS, asked, ids, size)
        body["queryLocator"] = locator
    return Answer(body)


def _known(call: Call, asked: Query) -> None:
    """Fields that no record could have are an error, as far as one of the kind shows which there are."""
    defined = call.tenant.settings.custom_fields
    for name in custom_of(dict.fromkeys(asked.named)):
        if defined is not None and name not in defined.get(NAMES[asked.kind], {}):
            raise Refused(20, f"invalid field for query: {name}")
    one = call.tenant.store.where(asked.kind, "TRUE", [], "LIMIT 1")
    if not one:
        return
    known = {*one[0], *ACCOUNT, *CONTACT, "postalCode", "nickName", "description", "postedDate", "postedBy"}
    for name in asked.named:
        if field_of(name) not in known and not name.endswith("__c"):
            raise Refused(20, f"invalid field for query: {name}")
