"""A subscription found by its number, whichever account it is on."""

from __future__ import annotations

from typing import Any

import msgspec

from lockstep.systems.zuora.accounts.found import FoundSubscription
from lockstep.systems.zuora.accounts.subscriptions import subscription
from lockstep.systems.zuora.accounts.tree import DETAIL, own_fields
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.api.failures import Declined
from lockstep.systems.zuora.api.paths import in_path


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """`payer`: the number of the account that is billed for it; None, as `currency`, where Zuora does not say
    it."""

    found: FoundSubscription
    custom: dict[str, Any]
    payer: str | None
    currency: str | None


def located(client: Client, number: str) -> Located | None:
    """One call. Raises DataError where the subscription cannot be expressed."""
    try:
        said = client.ask("GET", f"/v1/subscriptions/{in_path(number)}", params=[DETAIL])
    except Declined as error:
        if error.absent:
            return None
        raise
    return Located(
        found=subscription(said),
        custom=own_fields(said),
        payer=said.get("invoiceOwnerAccountNumber"),
        currency=said.get("currency"),
    )
