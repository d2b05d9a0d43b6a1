"""Every type that a column of SQLite may be declared as, with every class of storage under it."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from uuid import UUID

from lockstep.datatypes.civil import days_of
from lockstep.datatypes.far import FarDate, FarDatetime, FarTime
from tests.types.kinds import NO_NUMBER, Case, Kind
from tests.types.postgres_kinds import LONG


def stuck(literal: str, holds: str, note: str = "", shown: str = "") -> Case:
    return Case(literal, stuck={"source": holds}, note=note, shown=shown)


_AS_IS = ("Any", "as it is stored", "by what it holds", "JSON TEXT")

COLUMNS: tuple[Kind, ...] = (
    Kind(
        "INTEGER",
        "int",
        "number",
        "`long`",
        "INTEGER",
        (
            Case("-9223372036854775808", -(2**63)),
            Case("9223372036854775807", 2**63 - 1),
            Case("'7'", 7, note="SQLite makes it a number"),
            Case("5.0", 5, note="SQLite makes it an integer"),
            stuck("9223372036854775808", "holds a real", "a real, as it does not fit"),
            stuck("1.5", "holds a real"),
            stuck("'abc'", "holds a text"),
            stuck("'99999999999999999999'", "holds a real"),
            stuck("x'00'", "holds a blob"),
        ),
    ),
    Kind(
        "REAL",
        "float",
        "number, by its shortest text",
        "`double`",
        "REAL",
        (
            Case("0.1", 0.1),
            Case("1", 1.0, note="looks like an integer; 1 and 1.0 are equal"),
            Case("-0.0", -0.0),
            Case("5e-324", 5e-324),
            Case("9007199254740993", 9007199254740992.0),
            Case("1e999", math.inf, NO_NUMBER),
            stuck("'x'", "holds a text"),
        ),
    ),
    Kind(
        "DECIMAL(10,2)",
        "Decimal",
        "number",
        "`scaled_float`",
        "DECIMAL TEXT",
        (
            Case("1.10", Decimal("1.1")),
            Case("7", Decimal(7)),
            Case("0.1", Decimal("0.1"), note="a real by its shortest text"),
            Case("12345678901234567890", Decimal("12345678901234567000"), note="SQLite keeps a double"),
            stuck("'1,5'", "holds a text"),
        ),
    ),
    Kind(
        "DECIMAL TEXT",
        "Decimal",
        "number",
        "`keyword`",
        "DECIMAL TEXT",
        (
            Case("'1.1'", Decimal("1.1")),
            Case(f"'{LONG}'", Decimal(LONG), shown="1,000 digits"),
            stuck("'1.10'", "holds a text", "not its shortest spelling"),
        ),
    ),
    Kind(
        "TEXT",
        "str",
        "text",
        "`keyword` or `text`",
        "TEXT",
        (
            Case("''", ""),
            Case("'a\"\\ü雪𝄞😀'", 'a"\\ü雪𝄞😀'),
            Case("7", "7", note="SQLite makes it a text"),
            Case("1.50", "1.5"),
            Case("'a' || char(0) || 'b'", "a\0b", note="NUL"),
            stuck("x'61'", "holds a blob"),
            stuck("CAST(x'61ff' AS TEXT)", "UTF-8", "not UTF-8"),
        ),
    ),
    Kind("BLOB", "bytes", "base64", "`binary`", "BLOB", (Case("x''", b""), Case("x'00ff'", b"\0\xff"), stuck("'x'", "holds a text"), stuck("5", "holds an integer"))),
    Kind("BOOLEAN", "bool", "boolean", "`boolean`", "BOOLEAN", (Case("TRUE", True), Case("0", False), stuck("2", "holds an integer"), stuck("'yes'", "holds a text"))),
    Kind(
        "DATE",
        "dt.date",
        "text, ISO 8601",
        "`date`",
        "DATE",
        (
            Case("'2026-03-08'", dt.date(2026, 3, 8)),
            Case("'-0043-03-15'", FarDate(days_of(-43, 3, 15))),
            Case("'infinity'", FarDate(math.inf)),
            stuck("'2026-02-30'", "holds a text"),
            stuck("20260308", "holds an integer"),
        ),
    ),
    Kind(
        "DATETIME",
        "dt.datetime",
        "text, ISO 8601",
        "`date`",
        "DATETIME",
        (
            Case("'2026-03-08 09:30'", dt.datetime(2026, 3, 8, 9, 30)),  # noqa: DTZ001 - no zone is meant
            Case("'2026-03-08T09:30:00.000001Z'", dt.datetime(2026, 3, 8, 9, 30, 0, 1, dt.UTC)),
            Case("'2026-03-08 09:30:00+02:00'", dt.datetime(2026, 3, 8, 7, 30, tzinfo=dt.UTC)),
            Case("'-infinity'", FarDatetime(-math.inf, True)),
            stuck("1767225600", "holds an integer", "seconds since 1970 are no text"),
        ),
    ),
    Kind("TIME", "dt.time", "text, ISO 8601", "`keyword`", "TIME", (Case("'09:30'", dt.time(9, 30)), Case("'24:00:00'", FarTime()), stuck("'25:00'", "holds a text"))),
    Kind(
        "JSON",
        "Any",
        "as it is",
        "object",
        "JSON",
        (
            Case("'{\"a\": 1, \"a\": 1.10}'", {"a": Decimal("1.1")}, note="of double names the last"),
            Case("'[9007199254740993, null, \"\\u0000\"]'", [2**53 + 1, None, "\0"]),
            Case("'5'", 5),
            Case("'null'", None),
            stuck("'nonsense'", "holds a text"),
            stuck("'\"\\ud800\"'", "surrogate", "half a pair of surrogates"),
        ),
    ),
    Kind("UUID", "UUID", "text, lower case", "`keyword`", "UUID", (Case("'00000000-0000-0000-0000-00000000000a'", UUID(int=10)), stuck("'00000000-0000-0000-0000-00000000000A'", "holds a text", "as `str` of a UUID writes it"))),
    Kind("", *_AS_IS, (Case("5", 5), Case("5.5", 5.5), Case("'5'", "5"), Case("x'00'", b"\0", {}, note="base64")), note="without a type"),
    Kind("POINT", *_AS_IS, (Case("'(1,2)'", "(1,2)"), Case("'5'", 5, note="SQLite makes it a number")), note="of a type that is not here"),
)  # fmt: skip
