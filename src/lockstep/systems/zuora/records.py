"""Accounts as records: what a mapping's result is to the engine, and back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, get_args, get_origin

import msgspec

from lockstep.effective import Timeline
from lockstep.errors import DataError
from lockstep.systems.zuora.models import Account, Subscription
from lockstep.values import Record

_LEAVES = (dt.date, dt.datetime, Decimal, bytes)


def record_of(account: Account) -> Record:
    """As a tree of names and values, just as the engine makes it of what a mapping returns."""
    return as_tree(account)


def as_tree(part: Account | Subscription) -> Record:
    """Any part of an account likewise."""
    made: Record = msgspec.to_builtins(
        part, builtin_types=_LEAVES, order="deterministic", str_keys=True, enc_hook=_opened
    )
    return made


def account_of(record: Record) -> Account:
    """The account that a record says. Raises DataError where it says none."""
    try:
        return msgspec.convert(record, Account, builtin_types=_LEAVES, dec_hook=_closed)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        if isinstance(error.__cause__, DataError):
            raise error.__cause__ from None
        raise DataError(
            f"the record is no Zuora account: {error}", "Return a zuora.Account from the mapping."
        ) from error


def encoded(account: Account) -> bytes:
    """To be noted; decimals as numbers with all their digits, as own fields say no type."""
    return _ENCODER.encode(account)


def decoded(note: bytes) -> Account:
    return _DECODER.decode(note)


def as_noted(account: Account) -> Record | None:
    """The record of it that a note brings back; None where it has what cannot be noted, or what is no value
    of an own field: NaN, half of a character, a list."""
    if any(isinstance(value, list | tuple | Mapping) for own in _customs(account) for value in own.values()):
        return None
    try:
        return record_of(decoded(encoded(account)))
    except (TypeError, ValueError, msgspec.MsgspecError):
        return None


def _customs(account: Account) -> Iterator[Mapping[str, Any]]:
    """The own fields of an account and of all that hangs on it."""
    yield account.custom
    for one in account.subscriptions:
        yield one.custom
        for timeline in one.charges.values():
            for span in timeline:
                yield from (rate.custom for rate in span.value.values())


def _opened(value: Any) -> Any:
    if isinstance(value, Timeline):
        return value.form()
    raise TypeError(f"{type(value).__name__} in an account")


def _closed(kind: Any, value: Any) -> Any:
    """A timeline of days, or of instants, from the list that a record holds of it."""
    if get_origin(kind) is not Timeline and kind is not Timeline:
        raise TypeError(f"{kind} in an account")
    of = get_args(kind)[0]
    told = [(_moment(one["start"]), _moment(one["end"]), one["value"]) for one in value]
    return Timeline((start, end, msgspec.convert(one, of)) for start, end, one in told)


def _moment(value: Any) -> dt.date | None:
    """A day or an instant, as itself or as a text."""
    if not isinstance(value, str):
        return msgspec.convert(value, dt.date | None) if not isinstance(value, dt.datetime) else value
    return dt.datetime.fromisoformat(value) if "T" in value else dt.date.fromisoformat(value)


_ENCODER = msgspec.json.Encoder(enc_hook=_opened, decimal_format="number")
_DECODER = msgspec.json.Decoder(Account, dec_hook=_closed, float_hook=Decimal)
