"""What a tenant can be set to. Zuora has settings and permissions for it; here it is one value."""

from __future__ import annotations

import msgspec

from .custom import Definitions, assert_defined
from .months import Partial


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's rules. The defaults are what Zuora's documents call the default, where they say."""

    zone: str = "UTC"
    """Dates of orders, of bill runs and of "today" are in this time zone."""

    split_by_term: bool = False
    """A renewal begins a new segment of each charge, instead of extending its last one."""

    require_activation: bool = False
    """A subscription without a ServiceActivation date is Pending Activation."""

    require_acceptance: bool = False
    """A subscription without a CustomerAcceptance date is Pending Acceptance."""

    prorate: bool = True
    """A part of a billing period costs its part of the price; else a begun period costs all of it."""

    partial: Partial = Partial.ACTUAL
    """What part of a period's price so many days are."""

    credit: bool = True
    """What was billed and is no longer due is credited; else it is kept."""

    custom_fields: Definitions | None = None
    """The fields of the tenant's own, by object: {"Account": {"Region__c": {"type": "picklist", "label":
    "Region", "options": ["north"]}}}. None: any name that ends with __c is taken, with any value."""

    unreadable: tuple[str, ...] = ()
    """Objects, by their API names, that the API user may not read: describe and queries refuse them."""

    order_seconds: float = 0.0
    """How long an order is at work, by the machine's clock. Meanwhile its account is locked."""

    orders_per_subscription: int = 1_000
    subscriptions_per_order: int = 50
    actions_per_order: int = 50

    requests_per_minute: int = 50_000
    """Over it: 429 with Retry-After, until the minute is over."""

    tokens_per_minute: int = 2_000
    concurrent: int = 200
    concurrent_heavy: int = 20
    """Uncompleted queries of large objects at once."""

    token_seconds: int = 3_600
    gateway_seconds: float = 120.0
    """After so long the gateway answers 504; the work goes on."""

    def __post_init__(self) -> None:
        assert_defined(self.custom_fields or {})
