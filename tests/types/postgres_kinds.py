"""Every type of PostgreSQL, with the values that are hard for it."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any
from uuid import UUID

from lockstep.datatypes.civil import days_of
from lockstep.datatypes.far import DAY, FarDate, FarDatetime, FarTime
from lockstep.datatypes.interval import Interval
from lockstep.datatypes.ranges import Range
from tests.types.kinds import DEEP, NO_NAN, NO_NUMBER, TOO_LONG, Case, Kind

SETUP = (
    "CREATE SCHEMA other",
    "CREATE TYPE mood AS ENUM ('sad', 'ok', 'ÄH', 'a,b', '')",
    "CREATE TYPE other.mood AS ENUM ('up', 'down')",
    "CREATE TYPE inner_pair AS (x float8, d date)",
    'CREATE TYPE pair AS (a int, "B c" text, m mood, n numeric[], p inner_pair)',
    "CREATE DOMAIN plus AS int CHECK (value >= 0)",
    "CREATE DOMAIN more AS plus CHECK (value > 1)",
    "CREATE DOMAIN tags AS text[]",
    "CREATE DOMAIN doc AS jsonb",
    "CREATE TYPE floats AS RANGE (subtype = float8)",
)
"""What some of the types need."""


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type,misc]


def local(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - no zone is meant


def far(year: int, month: int, day: int, micros: int = 0, *, aware: bool) -> FarDatetime:
    return FarDatetime(days_of(year, month, day) * DAY + micros, aware)


def zone(seconds: int) -> dt.timezone:
    return dt.timezone(dt.timedelta(seconds=seconds))


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


LONG = "123456789" * 111 + "0"  # 1,000 digits
_INT = {"form": "number", "search": "`long`", "sqlite": "INTEGER"}
_TEXT = {"form": "text", "search": "`keyword` or `text`", "sqlite": "TEXT"}
_TREE = {"form": "object", "search": "object, `flat_object`", "sqlite": "JSON"}
_LIST = {"form": "list", "search": "its elements' mapping", "sqlite": "JSON"}
_RANGE = {"form": "object `{gte, gt, lt, lte}`", "search": "range fields", "sqlite": "JSON"}
_NO_LIST = "no: a list"
_NO_TREE = "no: an object"
_NO_ORDER = "no: without a btree order"

KINDS: tuple[Kind, ...] = (
    Kind("bool", "bool", "boolean", "`boolean`", "BOOLEAN", (Case("true", True), Case("false", False))),
    Kind("int2", "int", cases=(Case("-32768", -32768), Case("32767", 32767), Case("0", 0)), **_INT),
    Kind("int4", "int", cases=(Case("-2147483648", -(2**31)), Case("2147483647", 2**31 - 1)), **_INT),
    Kind(
        "int8",
        "int",
        cases=(
            Case("-9223372036854775808", -(2**63)),
            Case("9223372036854775807", 2**63 - 1),
            Case("9007199254740993", 2**53 + 1, note="2^53 + 1, which no double holds"),
        ),
        **_INT,
    ),
    Kind("oid", "int", cases=(Case("4294967295", 2**32 - 1), Case("0", 0)), **_INT),
    Kind("xid8", "str", cases=(Case("'18446744073709551615'", "18446744073709551615"),), **_TEXT),
    Kind(
        "float8",
        "float",
        "number, by its shortest text",
        "`double`",
        "REAL",
        (
            Case("0.1", 0.1),
            Case("1.7976931348623157e308", 1.7976931348623157e308),
            Case("5e-324", 5e-324, note="the smallest there is"),
            Case("-2.2250738585072014e-308", -2.2250738585072014e-308),
            Case("'-0'", -0.0, note="is 0"),
            Case("9007199254740993", 9007199254740992.0),
            Case("'NaN'", math.nan, NO_NAN),
            Case("'Infinity'", math.inf, NO_NUMBER),
            Case("'-Infinity'", -math.inf, NO_NUMBER),
        ),
    ),
    Kind(
        "float4",
        "float",
        "number, by its shortest text",
        "`float`",
        "REAL",
        (
            Case("3.3", 3.3, note="not 3.299999952316284"),
            Case("3.4028235e38", 3.4028235e38),
            Case("1e-45", 1e-45),
            Case("'-0'", -0.0),
            Case("'NaN'", math.nan, NO_NAN),
            Case("'-Infinity'", -math.inf, NO_NUMBER),
        ),
    ),
    Kind(
        "numeric",
        "Decimal",
        "number, by value: 1.10 is 1.1",
        "`scaled_float`, `keyword`; `double` rounds",
        "DECIMAL TEXT; DECIMAL holds 15 digits",
        (
            Case("1.10", Decimal("1.10")),
            Case("1.1", Decimal("1.1")),
            Case("-0.0", Decimal("0.0")),
            Case(f"{'7' * 76}", Decimal("7" * 76), shown="76 digits"),
            Case(LONG, Decimal(LONG), shown="1,000 digits"),
            Case(f"0.{'0' * 44}1", Decimal("1e-45"), shown="scale 45"),
            Case(f"0.{'3' * 1000}", Decimal(f"0.{'3' * 1000}"), TOO_LONG, shown="scale 1,000"),
            Case("1e-1000", Decimal("1e-1000"), TOO_LONG),
            Case("'NaN'", Decimal("NaN"), NO_NUMBER),
            Case("'Infinity'", Decimal("Infinity"), NO_NUMBER),
            Case("'-Infinity'", Decimal("-Infinity"), NO_NUMBER),
        ),
    ),
    Kind("numeric(12,4)", "Decimal", "number", "`scaled_float`", "DECIMAL TEXT; DECIMAL", (Case("-1.5", Decimal("-1.5000")),)),
    Kind("numeric(3,-2)", "Decimal", "number", "`long`", "DECIMAL TEXT; DECIMAL", (Case("12345", Decimal("12300")),)),
    Kind(
        "money",
        "Decimal",
        "number",
        "`scaled_float`",
        "DECIMAL TEXT; DECIMAL",
        (
            Case("'($1,234.11)'", Decimal("-1234.11")),
            Case("'0'", Decimal(0)),
            Case("'-92233720368547758.08'", Decimal("-92233720368547758.08")),
        ),
        key="no: its text depends on `lc_monetary`",
        note="how many decimals it has is `lc_monetary`'s to say, as for every session",
    ),
    Kind(
        "text",
        "str",
        cases=(
            Case("''", "", note="differs from null, and from a field that is missing"),
            Case("'a\"\\ü雪𝄞😀'", 'a"\\ü雪𝄞😀', note="every plane of Unicode"),
            Case("E'\\t\\n\\r\\x01\\x7f\\u2028'", "\t\n\r\x01\x7f\u2028"),
            Case("U&'\\+10FFFF\\FFFF\\0301e'", "\U0010ffff\uffff\u0301e"),
            Case("'_a'", "_a"),
            Case("' A '", " A "),
        ),
        **_TEXT,
    ),
    Kind("varchar(5)", "str", cases=(Case("'žš'", "žš"), Case("'ab  '", "ab  ")), **_TEXT),
    Kind(
        "char(5)",
        "str",
        cases=(Case("'ab'", "ab"), Case("''", ""), Case("' x'", " x")),
        note="without the blanks at its end, which mean nothing to the server",
        **_TEXT,
    ),
    Kind("name", "str", cases=(Case("'é" + "x" * 61 + "'", "é" + "x" * 61),), **_TEXT),
    Kind('"char"', "str", cases=(Case("'x'", "x"),), **_TEXT),
    Kind(
        "bytea",
        "bytes",
        "base64",
        "`binary`",
        "BLOB",
        (Case("'\\x'", b""), Case("'\\x00ff27'", b"\0\xff'"), Case("'\\x5c'", b"\\")),
    ),
    Kind("bit(4)", "str", cases=(Case("B'0101'", "0101"),), **_TEXT),
    Kind("varbit", "str", cases=(Case("B''", ""), Case(f"B'{'01' * 32}'", "01" * 32)), **_TEXT),
    Kind(
        "date",
        "dt.date",
        "text, ISO 8601",
        "`date`; refuses `infinity`",
        "DATE",
        (
            Case("'2026-03-08'", dt.date(2026, 3, 8)),
            Case("'0001-01-01'", dt.date(1, 1, 1)),
            Case("'1500-02-28'", dt.date(1500, 2, 28), note="one calendar, before 1582 too"),
            Case("'0002-11-30 BC'", FarDate(days_of(-1, 11, 30)), note="`-0001-11-30`: the year 0 is 1 BC"),
            Case("'4713-01-01 BC'", FarDate(days_of(-4712, 1, 1))),
            Case("'21016-11-04'", FarDate(days_of(21016, 11, 4)), note="`+21016-11-04`"),
            Case("'5874897-12-31'", FarDate(days_of(5874897, 12, 31))),
            Case("'infinity'", FarDate(math.inf), note="`infinity`"),
            Case("'-infinity'", FarDate(-math.inf)),
        ),
    ),
    Kind(
        "time",
        "dt.time",
        "text, ISO 8601",
        "`keyword`",
        "TIME",
        (
            Case("'00:00'", dt.time()),
            Case("'23:59:59.999999'", dt.time(23, 59, 59, 999_999)),
            Case("'24:00'", FarTime(), note="`24:00:00`"),
            Case("'23:59:60'", FarTime(), note="a leap second is the next minute, to the server"),
        ),
    ),
    Kind(
        "timetz",
        "dt.time",
        "text with its zone: `09:30:00+02:00`",
        "`keyword`",
        "TEXT",
        (
            Case("'09:30+02'", dt.time(9, 30, tzinfo=zone(7200))),
            Case("'07:30+00'", dt.time(7, 30, tzinfo=dt.UTC), note="the same moment, another value"),
            Case("'09:30-01:00:15'", dt.time(9, 30, tzinfo=zone(-3615))),
            Case("'24:00+05:30'", FarTime(zone(19800))),
        ),
        key="no: different values are equal to Python",
    ),
    Kind(
        "timestamp",
        "dt.datetime",
        "text, ISO 8601 without zone",
        "`date`; refuses `infinity`",
        "DATETIME",
        (
            Case("'1970-01-01'", local(1970, 1, 1)),
            Case("'2026-03-29 02:30'", local(2026, 3, 29, 2, 30), note="in no zone, so no gap"),
            Case("'2016-12-31 23:59:60'", local(2017, 1, 1), note="a leap second"),
            Case("'9999-12-31 23:59:59.999999'", local(9999, 12, 31, 23, 59, 59, 999_999)),
            Case("'0044-03-15 12:00 BC'", far(-43, 3, 15, DAY // 2, aware=False)),
            Case("'294276-12-31 23:59:59.999999'", far(294276, 12, 31, DAY - 1, aware=False)),
            Case("'infinity'", FarDatetime(math.inf, False)),
            Case("'-infinity'", FarDatetime(-math.inf, False)),
        ),
    ),
    Kind("timestamp(0)", "dt.datetime", "text, ISO 8601", "`date`", "DATETIME", (Case("'2026-03-08 09:30:00.6'", local(2026, 3, 8, 9, 30, 1)),)),
    Kind("timestamp(3)", "dt.datetime", "text, ISO 8601", "`date`", "DATETIME", (Case("'2026-03-08 09:30:00.1236'", local(2026, 3, 8, 9, 30, 0, 124_000)),)),
    Kind(
        "timestamptz",
        "dt.datetime",
        "text, ISO 8601 in UTC: `…Z`",
        "`date`; refuses `infinity`",
        "DATETIME",
        (
            Case("'2026-03-08 09:30:00.000001+02'", utc(2026, 3, 8, 7, 30, 0, 1)),
            Case("'2026-10-25 02:30 Europe/Berlin'", utc(2026, 10, 25, 1, 30), note="in the overlap: the later one"),
            Case("'2026-03-29 02:30 Europe/Berlin'", utc(2026, 3, 29, 1, 30), note="in the gap"),
            Case("'0001-01-01 00:00+00'", utc(1, 1, 1)),
            Case("'9999-12-31 23:59:59.999999-01'", far(10000, 1, 1, 3_599_999_999, aware=True)),
            Case("'4713-01-01 BC UTC'", far(-4712, 1, 1, aware=True)),
            Case("'294276-12-31 23:59:59.999999+00'", far(294276, 12, 31, DAY - 1, aware=True)),
            Case("'infinity'", FarDatetime(math.inf, True), note="later than every moment"),
            Case("'-infinity'", FarDatetime(-math.inf, True)),
        ),
    ),
    Kind(
        "interval",
        "dt.timedelta",
        "text, ISO 8601: `P14M3DT14706.78S`",
        "`keyword`",
        "TEXT",
        (
            Case("'3 days 04:05:06.5'", dt.timedelta(3, 14706, 500_000)),
            Case("'-1 day'", dt.timedelta(-1), note="`-P1DT0S`"),
            Case("'1 year 2 mons 3 days 04:05:06.78'", Interval(14, 3, 14_706_780_000)),
            Case("'-1 mon +2 days -03:00'", Interval(-1, 2, -10_800_000_000), note="a sign for each part"),
            Case("'36:00'", Interval(0, 0, 129_600_000_000), note="is not a day and twelve hours"),
            Case("'178000000 years'", Interval(2_136_000_000)),
            Case("'infinity'", Interval.endless()),
            Case("'-infinity'", Interval.endless(-1)),
        ),
        key="no: different values are equal",
        note="`ls.Interval` where a timedelta does not say all",
    ),
    Kind("uuid", "UUID", "text, lower case", "`keyword`", "UUID", (Case("'FFFFFFFF-ffff-ffff-ffff-ffffffffffff'", UUID(int=2**128 - 1)), Case("'00000000-0000-0000-0000-000000000000'", UUID(int=0)))),
    Kind(
        "json",
        "Any",
        "as it is; the last of double names counts",
        "object, `flat_object`",
        "JSON",
        (
            Case("'null'", None, note="JSON's null and SQL's are one"),
            Case("'{}'", {}),
            Case("'{\"a\": 1, \"a\": 2}'", {"a": 2}, note="a name that is there twice"),
            Case("'[9007199254740993, 1.10, -0, 1e400]'", [2**53 + 1, Decimal("1.1"), 0, Decimal("1e400")]),
            Case("'{\"b\": [], \"a\": null, \"\": \"\"}'", {"b": [], "a": None, "": ""}),
            Case("'\"\\u0000\\ud834\\udd1e\"'", "\0𝄞", note="NUL, and a pair of surrogates"),
            Case("(repeat('[', 120) || repeat(']', 120))::json", deep(120), DEEP, shown="120 levels deep"),
            Case("'\"\\ud800\"'", stuck={"source": "JSON that cannot be kept exactly"}, note="half a pair: no text"),
            Case("(repeat('[', 2000) || repeat(']', 2000))::json", stuck={"source": "JSON that cannot be kept exactly"}, shown="2,000 levels deep"),
        ),
        key=_NO_ORDER,
    ),
    Kind("jsonb", "Any", cases=(Case("'{\"x\": 1.50, \"y\": [true, null, \"\\\"\"]}'", {"x": Decimal("1.5"), "y": [True, None, '"']}), Case("'9007199254740993'", 2**53 + 1), Case("'null'", None)), key=_NO_TREE, **_TREE),
    Kind("jsonpath", "str", cases=(Case("'$.a[*] ? (@ > 1)'", '$."a"[*]?(@ > 1)'),), key=_NO_ORDER, **_TEXT),
    Kind("inet", "str", cases=(Case("'10.0.0.1/8'", "10.0.0.1/8"), Case("'10.0.0.1'", "10.0.0.1"), Case("'::ffff:1.2.3.4'", "::ffff:1.2.3.4"), Case("'::'", "::")), form="text", search="`ip`, without a netmask", sqlite="TEXT"),
    Kind("cidr", "str", cases=(Case("'10.0.0.0/8'", "10.0.0.0/8"), Case("'10.1.2.3'", "10.1.2.3/32")), **_TEXT),
    Kind("macaddr", "str", cases=(Case("'08-00-2B-01-02-03'", "08:00:2b:01:02:03"), Case("'000000000000'", "00:00:00:00:00:00")), **_TEXT),
    Kind("macaddr8", "str", cases=(Case("'ffffffffffffffff'", "ff:ff:ff:ff:ff:ff:ff:ff"),), **_TEXT),
    Kind("pg_lsn", "str", cases=(Case("'ffffffff/FFFFFFFF'", "FFFFFFFF/FFFFFFFF"), Case("'0/0'", "0/0")), **_TEXT),
    Kind("tsvector", "str", cases=(Case("'b:2A a:1'", "'a':1 'b':2A"), Case("''", "")), **_TEXT),
    Kind("tsquery", "str", cases=(Case("'a & !b'", "'a' & !'b'"),), **_TEXT),
    *(
        Kind(name, "str", cases=(Case(literal, text),), key=_NO_ORDER, **_TEXT)
        for name, literal, text in [
            ("point", "'(1.5,-2)'", "(1.5,-2)"),
            ("line", "'{1,-1,0}'", "{1,-1,0}"),
            ("lseg", "'[(0,0),(1,1e300)]'", "[(0,0),(1,1e+300)]"),
            ("box", "'(0,0),(1,1)'", "(1,1),(0,0)"),
            ("path", "'((0,0),(1,1),(2,0))'", "((0,0),(1,1),(2,0))"),
            ("polygon", "'((0,0),(1,1),(2,0))'", "((0,0),(1,1),(2,0))"),
            ("circle", "'<(0,0),0>'", "<(0,0),0>"),
        ]
    ),
    Kind("mood", "str", cases=(Case("'ÄH'", "ÄH"), Case("'a,b'", "a,b"), Case("''", "")), form="text, its label", search="`keyword`", sqlite="TEXT"),
    Kind("other.mood", "str", cases=(Case("'down'", "down"),), form="text, its label", search="`keyword`", sqlite="TEXT"),
    Kind("plus", "int", cases=(Case("0", 0),), note="a domain is as its base", **_INT),
    Kind("more", "int", cases=(Case("2", 2),), note="a domain over a domain", **_INT),
    Kind("tags", "list[str]", cases=(Case("'{a,b}'", ["a", "b"]),), key=_NO_LIST, note="a domain over an array", **_LIST),
    Kind("doc", "Any", cases=(Case("'{\"a\": 0.10}'", {"a": Decimal("0.1")}),), key=_NO_TREE, note="a domain over jsonb", **_TREE),
    Kind(
        "int4[]",
        "list[int]",
        cases=(
            Case("'{}'", []),
            Case("'{NULL}'", [None]),
            Case("'{1,NULL,-3}'", [1, None, -3]),
            Case("'{{1,2},{3,4}}'", [[1, 2], [3, 4]], note="dimensions are lists of lists"),
            Case("'{{{1},{2}}}'", [[[1], [2]]]),
            Case("'[2:3]={1,2}'", [1, 2], note="from which number it counts is not kept"),
        ),
        key=_NO_LIST,
        **_LIST,
    ),
    *(
        Kind(name, python, cases=(Case(literal, value),), key=_NO_LIST, **_LIST)
        for name, python, literal, value in (
            ("int8[][]", "list[list[int]]", "'{{9007199254740993,NULL}}'", [[2**53 + 1, None]]),
            ("bool[]", "list[bool]", "'{t,f,NULL}'", [True, False, None]),
            ("numeric[]", "list[Decimal]", f"'{{1.10,{LONG}}}'", [Decimal("1.1"), Decimal(LONG)]),
            ("money[]", "list[Decimal]", "'{$1.50}'", [Decimal("1.50")]),
            ("oid[]", "list[int]", "'{4294967295}'", [2**32 - 1]),
            ("float4[]", "list[float]", "'{3.3,-0}'", [3.3, -0.0]),
            ("float8[]", "list[float]", "'{0.1,5e-324}'", [0.1, 5e-324]),
            ("text[]", "list[str]", "ARRAY['a,b', 'NULL', NULL, '\"', '{}', '', 'é\\']", ["a,b", "NULL", None, '"', "{}", "", "é\\"]),
            ("char(4)[]", "list[str]", "'{ab}'", ["ab"]),
            ("bytea[]", "list[bytes]", "ARRAY['\\x00ff'::bytea]", [b"\0\xff"]),
            ("date[]", "list[dt.date]", "'{infinity,2026-03-08,NULL}'", [FarDate(math.inf), dt.date(2026, 3, 8), None]),
            ("time[]", "list[dt.time]", "'{24:00}'", [FarTime()]),
            ("timetz[]", "list[dt.time]", "'{09:30+02}'", [dt.time(9, 30, tzinfo=zone(7200))]),
            ("timestamp[]", "list[dt.datetime]", "'{-infinity}'", [FarDatetime(-math.inf, False)]),
            ("timestamptz[]", "list[dt.datetime]", "'{2026-03-08 00:00+00}'", [utc(2026, 3, 8)]),
            ("interval[]", "list[dt.timedelta]", "'{1 day,1 mon}'", [dt.timedelta(1), Interval(1)]),
            ("uuid[]", "list[UUID]", "'{00000000-0000-0000-0000-000000000000}'", [UUID(int=0)]),
            ("jsonb[]", "list[Any]", "ARRAY['{\"a\": 1.5}'::jsonb, 'null', NULL]", [{"a": Decimal("1.5")}, None, None]),
            ("inet[]", "list[str]", "'{10.0.0.1,::1/64}'", ["10.0.0.1", "::1/64"]),
            ("bit(3)[]", "list[str]", "'{101}'", ["101"]),
            ("box[]", "list[str]", "'{(1,1),(0,0);(2,2),(1,1)}'", ["(1,1),(0,0)", "(2,2),(1,1)"]),
            ("mood[]", "list[str]", "'{sad,NULL,\"a,b\"}'", ["sad", None, "a,b"]),
            ("plus[]", "list[int]", "'{5}'", [5]),
            ("tags[]", "list[list[str]]", "ARRAY['{a}'::tags, '{\"b,c\"}'::tags]", [["a"], ["b,c"]]),
            ("int4range[]", "list[ls.Range[int]]", "ARRAY['[1,5)'::int4range, 'empty', NULL]", [Range(1, 5), Range.nothing(), None]),
            ("pair[]", "list[dict[str, Any]]", "ARRAY[ROW(1, 'x', NULL, '{1.10}', NULL)::pair]", [{"a": 1, "B c": "x", "m": None, "n": [Decimal("1.1")], "p": None}]),
        )
    ),
    Kind(
        "int4range",
        "ls.Range[int]",
        cases=(
            Case("'[1,5]'", Range(1, 6), note="as the server writes it"),
            Case("'empty'", Range.nothing(), note="`{empty: true}`"),
            Case("'(,)'", Range(), note="`{}`"),
            Case("'[5,5]'", Range(5, 6)),
        ),
        key=_NO_TREE,
        **_RANGE,
    ),
    *(
        Kind(name, python, cases=(Case(literal, value),), key=_NO_TREE, **_RANGE)
        for name, python, literal, value in (
            ("int8range", "ls.Range[int]", "'(,9007199254740993]'", Range(None, 2**53 + 2)),
            ("numrange", "ls.Range[Decimal]", "'(1.10,]'", Range(Decimal("1.1"), None, "(]")),
            ("daterange", "ls.Range[dt.date]", "'[2026-03-08,infinity]'", Range(dt.date(2026, 3, 8), FarDate(math.inf), "[]")),
            ("tsrange", "ls.Range[dt.datetime]", "'[2026-03-08 09:30,2026-03-09 00:00]'", Range(local(2026, 3, 8, 9, 30), local(2026, 3, 9), "[]")),
            ("tstzrange", "ls.Range[dt.datetime]", "'[-infinity,2026-03-08 09:30+02)'", Range(FarDatetime(-math.inf, True), utc(2026, 3, 8, 7, 30))),
            ("floats", "ls.Range[float]", "'[0.1,1e300)'", Range(0.1, 1e300)),
        )
    ),
    Kind("int4multirange", "list[ls.Range[int]]", cases=(Case("'{}'", []), Case("'{[1,3),[5,)}'", [Range(1, 3), Range(5, None)])), key=_NO_LIST, **_LIST),
    Kind("datemultirange", "list[ls.Range[dt.date]]", cases=(Case("'{(,2026-03-08)}'", [Range(None, dt.date(2026, 3, 8))]),), key=_NO_LIST, **_LIST),
    Kind(
        "pair",
        "dict[str, Any]",
        cases=(
            Case("ROW(NULL, 'a\"b\\,()', 'a,b', '{{1},{2}}', ROW(-0.5, 'infinity'))", {"a": None, "B c": 'a"b\\,()', "m": "a,b", "n": [[1], [2]], "p": {"x": -0.5, "d": FarDate(math.inf)}}),
            Case("ROW(1, '', NULL, '{}', NULL)", {"a": 1, "B c": "", "m": None, "n": [], "p": None}),
        ),
        key=_NO_TREE,
        note="a composite type, by its fields",
        **_TREE,
    ),
    Kind("vector(3)", "str", cases=(Case("'[1,2.5,-3]'", "[1,2.5,-3]"),), key="no: of an extension", note="so is every type that is not here: its text", form="text", search="`keyword`", sqlite="TEXT"),
)  # fmt: skip

HELD = {
    "oid": "int8",
    "money": "numeric",
    "name": "text",
    '"char"': "text",
    **dict.fromkeys(("mood", "other.mood", "xml", "citext", "ltree"), "text"),
    **dict.fromkeys(("plus", "more"), "int4"),
    "tags": "text[]",
    "money[]": "numeric[]",
    "oid[]": "int8[]",
    "int8[][]": "int8[]",
    "plus[]": "int4[]",
    **dict.fromkeys(("doc", "pair", "floats", "hstore"), "jsonb"),
    **dict.fromkeys(
        ("inet[]", "bit(3)[]", "box[]", "mood[]", "tags[]", "int4range[]", "pair[]", "ltree[]"), "jsonb"
    ),
}
"""In a table of PostgreSQL's, where it is not the type itself."""

OLDER: tuple[Kind, ...] = (
    Kind("xml", "str", cases=(Case("'<a b=\"1\">é&amp;</a>'", '<a b="1">é&amp;</a>'),), key=_NO_ORDER, **_TEXT),
    Kind("hstore", "dict[str, str | None]", cases=(Case("'a=>1, b=>NULL, \"c \\\"d\"=>\"x,=>\"'", {"a": "1", "b": None, 'c "d': "x,=>"}), Case("''", {})), key="no: of an extension", **_TREE),
    Kind("citext", "str", cases=(Case("'AbC'", "AbC"),), key="no: different values are equal", **_TEXT),
    Kind("ltree", "str", cases=(Case("'Top.Science'", "Top.Science"),), key="no: of an extension", **_TEXT),
    Kind("ltree[]", "list[str]", cases=(Case("'{Top.A,Top.B}'", ["Top.A", "Top.B"]),), key=_NO_LIST, **_LIST),
)  # fmt: skip
"""Those that the test's newest server is built without."""
