"""Every endpoint there is, with how it says no and the six digits its error codes begin with.

The digits are the stand-in's own, but for 90000011: which a real tenant gives to what is not published.
"""

from __future__ import annotations

from . import (
    accounts,
    callouts,
    catalogue,
    change_logs,
    control,
    describe,
    invoices,
    object_query,
    order_lists,
    orders,
    queries,
)
from . import subscriptions as subs
from .call import Handler, Route, Saying, crud, fault, plain, v1


def _route(
    method: str, template: str, handler: Handler, resource: str, no: Saying = v1, heavy: bool = False
) -> Route:
    return Route(method, template, handler, resource, no, heavy)


ROUTES = [
    _route("POST", "/v1/accounts", accounts.create, "510001"),
    _route("GET", "/v1/accounts/{key}", accounts.read, "500000"),
    _route("PUT", "/v1/accounts/{key}", accounts.update, "510002"),
    _route("POST", "/v1/contacts", accounts.create_contact, "511001"),
    _route("GET", "/v1/contacts/{key}", accounts.read_contact, "500000"),
    _route("PUT", "/v1/contacts/{key}", accounts.update_contact, "511002"),
    _route("POST", "/v1/object/product", catalogue.create_product, "520001", crud),
    _route("POST", "/v1/object/product-rate-plan", catalogue.create_plan, "520002", crud),
    _route("POST", "/v1/object/product-rate-plan-charge", catalogue.create_charge, "520003", crud),
    _route("GET", "/v1/catalog/products", catalogue.list_products, "500000"),
    _route("GET", "/v1/catalog/product/{key}", catalogue.read_product, "500000"),
    Route("POST", "/v1/orders", orders.create, "584100", v1, False, orders.account_of),
    _route("GET", "/v1/orders", order_lists.all_orders, "500000"),
    _route("POST", "/v1/orders/preview", order_lists.preview, "584101"),
    _route("GET", "/v1/orders/subscription/{key}", order_lists.of_subscription, "500000"),
    _route("GET", "/v1/orders/subscriptionOwner/{key}", order_lists.of_owner, "500000"),
    _route("GET", "/v1/orders/{key}", orders.read, "500000"),
    _route("DELETE", "/v1/orders/{key}", orders.delete, "500000"),
    _route("PUT", "/v1/orders/{key}/triggerDates", orders.trigger_dates, "584102"),
    _route("POST", "/v1/async/orders", order_lists.create_later, "584103"),
    _route("POST", "/v1/async/orders/preview", order_lists.preview_later, "584104"),
    _route("GET", "/v1/async-jobs/{key}", order_lists.read_job, "500000"),
    _route("GET", "/v1/subscriptions/accounts/{key}", subs.by_account, "500000"),
    _route("GET", "/v1/subscriptions/{key}", subs.read, "500000"),
    _route("PUT", "/v1/subscriptions/{key}/customFields", subs.set_custom_fields, "530001"),
    _route("GET", "/v1/subscriptions/{key}/versions/{version}", subs.read_version, "500000"),
    _route("GET", "/subscription-change-logs/{key}", change_logs.of_subscription, "500000"),
    _route("GET", "/subscription-change-logs/orders/{key}", change_logs.of_order, "500000"),
    _route("GET", "/subscription-change-logs/{key}/versions/{version}", change_logs.of_version, "500000"),
    _route("POST", "/v1/action/query", queries.query, "590001", fault, True),
    _route("POST", "/v1/action/queryMore", queries.query_more, "590002", fault, True),
    _route("GET", "/object-query/{kind}", object_query.listed, "591001", plain, True),
    _route("GET", "/object-query/{kind}/{key}", object_query.read, "591002", plain, True),
    _route("GET", "/v1/describe", describe.listed, "592001", plain),
    _route("GET", "/v1/describe/{object}", describe.read, "592002", plain),
    _route("POST", "/v1/bill-runs", invoices.create_run, "540001"),
    _route("GET", "/v1/bill-runs/{key}", invoices.read_run, "500000"),
    _route("PUT", "/v1/bill-runs/{key}/post", invoices.post_run, "540002"),
    _route("GET", "/v1/invoices/{key}", invoices.read_invoice, "500000"),
    _route("GET", "/v1/invoices/{key}/items", invoices.read_items, "500000"),
    _route("POST", "/v1/payments", invoices.create_payment, "550001"),
    _route("GET", "/v1/payments", invoices.list_payments, "500000"),
    _route("GET", "/v1/payments/{key}", invoices.read_payment, "500000"),
    _route("POST", "/notifications/notification-definitions", callouts.create, "560001", plain),
    _route("GET", "/notifications/notification-definitions/{key}", callouts.read, "560002", plain),
    _route("DELETE", "/notifications/notification-definitions/{key}", callouts.delete, "560003", plain),
    _route("GET", "/v1/notification-history/callout", callouts.histories, "500000"),
    _route("POST", "/notifications/callout-histories/resend", callouts.resend, "560004", plain),
    _route("GET", "/twin", control.state, "000000", plain),
    _route("PUT", "/twin/settings", control.change_settings, "000000", plain),
    _route("PUT", "/twin/clock", control.set_clock, "000000", plain),
    _route("PUT", "/twin/faults", control.set_faults, "000000", plain),
    _route("DELETE", "/twin/requests", control.forget_counts, "000000", plain),
]
