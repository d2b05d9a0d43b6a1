"""How psycopg makes Python values of what the server sends, where its own way is not exact.

What has no exact Python value raises psycopg's DataError, as its own loaders do for what they cannot hold;
the reader then says which column of which table it was.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
import psycopg
from psycopg.adapt import AdaptersMap, Buffer, Loader
from psycopg.pq import Format
from psycopg.types.array import ArrayBinaryLoader

_json: Callable[[Buffer], Any] = msgspec.json.Decoder(float_hook=Decimal).decode
_interval = struct.Struct("!qii")
_array_head = struct.Struct("!iiIii")


class _Json(Loader):
    """Whole numbers as int, others as Decimal. Of a name that is there twice the last counts."""

    format = Format.BINARY

    def load(self, data: Buffer) -> Any:
        try:
            return _json(data)
        except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError) as error:
            raise psycopg.DataError(f"JSON that cannot be kept exactly: {error}") from error


class _Jsonb(_Json):
    def load(self, data: Buffer) -> Any:
        return super().load(bytes(data)[1:])  # the first byte is the version of the format


class _Interval(Loader):
    """A span of time without months, which have no fixed length."""

    format = Format.BINARY

    def load(self, data: Buffer) -> dt.timedelta:
        micros, days, months = _interval.unpack(data)
        if months:
            raise psycopg.DataError("an interval with months in it has no fixed length")
        try:
            return dt.timedelta(days=days, microseconds=micros)
        except OverflowError as error:
            raise psycopg.DataError(f"an interval longer than Python's: {error}") from error


class _Array(ArrayBinaryLoader):
    """An array that a list can stand for: one dimension, counted from 1."""

    def load(self, data: Buffer) -> Any:
        if len(data) >= 20:
            dimensions, _, _, _, first = _array_head.unpack_from(data)
            if dimensions != 1 or first != 1:
                raise psycopg.DataError(
                    "an array of several dimensions, or one not counted from 1, is no list"
                )
        return super().load(data)


@cache
def adapters() -> psycopg.abc.AdaptContext:
    """psycopg's own adapters with ours in front."""
    context = _Context()
    context.adapters.register_loader("json", _Json)
    context.adapters.register_loader("jsonb", _Jsonb)
    context.adapters.register_loader("interval", _Interval)
    for info in psycopg.postgres.types:
        if info.array_oid:
            context.adapters.register_loader(info.array_oid, _Array)
    return context


class _Context:
    connection = None

    def __init__(self) -> None:
        self.adapters = AdaptersMap(psycopg.adapters)
