"""The one table of types: what a column's values are in Python, in SQL and in the log.

type                          Python              remarks
bool                          bool
int2, int4, int8, oid         int
float4, float8                float               float4 by its shortest text: 0.1 is 0.1
numeric                       Decimal             never through a float; NaN and infinities too
money                         Decimal             its decimals are as the server's lc_monetary says
text, varchar, name, enums    str
char(n)                       str                 without the blanks at its end, which mean nothing
uuid                          UUID
date, timestamp, timestamptz  dt.date, datetime   timestamptz in UTC; beyond Python's calendar `far`
time, timetz                  dt.time             timetz with its zone; 24:00 is `FarTime`
interval                      dt.timedelta        with months, or parts of several signs, `Interval`
json, jsonb                   Any                 whole numbers int, others Decimal
bytea                         bytes
arrays of these               list[…]             lists of lists; from which number they count is not kept
ranges, multiranges           ls.Range[…], list   of their bounds' type
composite types               dict[str, Any]      of their fields
hstore                        dict[str, …]
domains over these            as their base
any other                     str                 the text that the server writes of it

A type is *keyable* if its values can be part of a key or a column to join by: one with a btree order of its
own (so not json, xml or geometry), whose values are no lists or dicts, and where what is equal is one value,
to the server and to Python (so not citext, nor interval: a month is equal to 30 days, nor timetz).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.postgres import types as registry

from lockstep.systems.postgres import binds, texts
from lockstep.systems.postgres.binds import Bind


@dataclass(frozen=True)
class Type:
    """A type of PostgreSQL, domains resolved.

    `parse` makes the value of the text that the log has. `bind` makes a parameter's text of a value of any
    type; None: no value of this type equals it. `param` is the parameter's type. `read` and `sum` are SQL
    with {} for the column: how it is selected, and its part in a row's hash; `decode` makes the value of what
    was selected, where the driver does not. `by_value`: where its order in an index is the order of key
    bytes: always, never, or (None) if its collation compares bytes. `own`: the name for SQL of a type whose
    parameters are texts to be cast, which `checked` says the server can try first. `parts`: the composite
    types, by the oid of their relation, that it is made of.
    """

    name: str
    oid: int
    python: str
    parse: Callable[[str], Any]
    bind: Bind
    param: str
    read: str = "{}"
    sum: str = "{}"
    by_value: bool | None = True
    quoted: bool = False
    enum: str | None = None
    array: bool = False
    keyable: bool = True
    decode: Callable[[str], Any] | None = None
    own: str | None = None
    checked: bool = False
    coarse: bool = False
    delimiter: str = ","
    parts: tuple[int, ...] = ()

    @property
    def cast(self) -> str:
        """What one parameter is cast to."""
        return self.enum or self.own or self.param


# The text that the type itself writes, as the log has it: a cast to text may be a user's, who writes another.
_OWN_TEXT = "CASE WHEN {} IS DISTINCT FROM NULL THEN format('%s', {}) END"


def _sent(function: str) -> str:
    return "encode(" + function + "({}), 'hex')"


def _builtin() -> dict[str, Type]:
    def make(name: str, python: str, parse: Any, bind: Bind, **more: Any) -> Type:
        return Type(name, registry[name].oid, python, parse, bind, name, **more)

    def whole(name: str, low: int, high: int, **more: Any) -> Type:
        return make(name, "int", int, binds.whole(low, high), **more)

    text: dict[str, Any] = {"by_value": None, "quoted": True}
    no_key: dict[str, Any] = {"keyable": False, "by_value": False}
    coarse: dict[str, Any] = {"coarse": True, **no_key}
    listed = [
        make("bool", "bool", texts.boolean, binds.of_bool),
        whole("int2", -(1 << 15), (1 << 15) - 1),
        whole("int4", -(1 << 31), (1 << 31) - 1),
        whole("int8", -(1 << 63), (1 << 63) - 1),
        whole("oid", 0, (1 << 32) - 1, read="{}::int8"),
        make("numeric", "Decimal", Decimal, binds.numeric),
        make(
            "money",
            "Decimal",
            texts.money,
            binds.nothing,
            read="{}::numeric",
            sum=_sent("cash_send"),
            **no_key,
        ),
        make("float4", "float", float, binds.single, read="{}::text::float8", sum=_sent("float4send")),
        make("float8", "float", float, binds.double, sum=_sent("float8send")),
        make("text", "str", str, binds.text, **text),
        replace(make("varchar", "str", str, binds.text, **text), param="text"),
        make("name", "str", str, binds.name, read="{}::text", **text),
        make("bpchar", "str", texts.char, binds.char, read="{}::text", sum="{}::text", **text),
        make("uuid", "UUID", UUID, binds.of_uuid),
        make("date", "dt.date", texts.date, binds.date, sum=_sent("date_send"), quoted=True),
        make("time", "dt.time", texts.time, binds.time(False), sum=_sent("time_send")),
        make("timetz", "dt.time", texts.timetz, binds.time(True), sum=_sent("timetz_send"), **coarse),
        _moment("timestamp", texts.timestamp, binds.timestamp(False)),
        _moment("timestamptz", texts.timestamptz, binds.timestamp(True)),
        make(
            "interval",
            "dt.timedelta",
            texts.interval,
            binds.interval,
            sum=_sent("interval_send"),
            **coarse,
            quoted=True,
        ),
        make("json", "Any", texts.json, binds.nothing, **no_key),
        make("jsonb", "Any", texts.json, binds.nothing, **no_key),
        make("bytea", "bytes", texts.blob, binds.of_bytes, sum="encode({}, 'hex')", quoted=True),
    ]
    return {type_.name: type_ for type_ in listed}


def _moment(name: str, parse: Any, bind: Bind) -> Type:
    sent = _sent(f"{name}_send")
    return Type(name, registry[name].oid, "dt.datetime", parse, bind, name, sum=sent, quoted=True)


BUILTIN = _builtin()
BY_OID = {type_.oid: type_ for type_ in BUILTIN.values()}


def enum(oid: int, name: str) -> Type:
    """An enum: its labels, which order by their place and not as texts do. `name` is quoted for SQL."""
    return Type(
        name, oid, "str", str, binds.text, "text", read=_OWN_TEXT, by_value=False, quoted=True, enum=name
    )


def textual(
    oid: int, name: str, *, out: str, send: str | None, keyable: bool, checked: bool, delimiter: str
) -> Type:
    """A type that has no counterpart in Python: the text that the server writes of it.

    `name`, `out` and `send` (its functions) are quoted for SQL. Its casts to text may write something else.
    """
    return Type(
        name,
        oid,
        "str",
        str,
        binds.text,
        "text",
        read=f"{out}({{}})::text",
        sum=_sent(send) if send else f"{out}({{}})::text",
        by_value=False,
        quoted=True,
        keyable=keyable,
        own=name,
        checked=checked,
        delimiter=delimiter,
    )


def citext(type_: Type) -> Type:
    """Text that compares without regard to case: what is one key to the server are several texts."""
    return replace(type_, read="{}::text", sum="{}", keyable=False, coarse=True)


def hstore(oid: int, name: str) -> Type:
    """A dict of texts."""
    return _nested(name, oid, "dict[str, str | None]", texts.hstore, "{}", ())


def composite(oid: int, name: str, relation: int, fields: Sequence[tuple[str, Type]]) -> Type:
    """A dict of its fields."""
    parse = texts.record([(field, type_.parse) for field, type_ in fields])
    inner = (part for _, type_ in fields for part in type_.parts)
    return _nested(name, oid, "dict[str, Any]", parse, _sent("record_send"), (relation, *inner))


def span(oid: int, name: str, of: Type) -> Type:
    """A range."""
    return _nested(name, oid, f"ls.Range[{of.python}]", texts.span(of.parse), _sent("range_send"), of.parts)


def spans(oid: int, name: str, of: Type) -> Type:
    """A multirange. `of`: its bounds."""
    python, send = f"list[ls.Range[{of.python}]]", _sent("multirange_send")
    return _nested(name, oid, python, texts.spans(of.parse), send, of.parts)


def _nested(name: str, oid: int, python: str, parse: Any, sums: str, parts: tuple[int, ...]) -> Type:
    """What is read as its text and made a value here."""
    return Type(
        name,
        oid,
        python,
        parse,
        binds.nothing,
        name,
        read=_OWN_TEXT,
        sum=sums,
        by_value=False,
        keyable=False,
        decode=parse,
        parts=parts,
    )


def array(of: Type, oid: int, *, of_domain: bool = False) -> Type:
    """An array of a type. Settings have a part in the text of those whose elements are sent in binary."""
    parse = texts.array(of.parse, of.delimiter)
    python = f"list[{of.python}]"
    if of.decode or of.own or of.array or of.enum:
        plain = of.sum == "{}" or of.coarse
        made = _nested(f"{of.name}[]", oid, python, parse, "{}" if plain else _sent("array_send"), of.parts)
        return replace(made, array=True)
    name = "text" if of.read == "{}::text" else {"money": "numeric", "oid": "int8"}.get(of.name, of.name)
    read = "{}"
    if of.name == "float4":
        read = "{}::text[]::float8[]"
    elif of_domain or name != of.name:
        read = "{}::" + name + "[]"
    plain = of.sum == "{}" or of.name == "bpchar"
    return Type(
        f"{of.name}[]",
        oid,
        python,
        parse,
        binds.nothing,
        f"{of.param}[]",
        read=read,
        sum="{}" if plain else _sent("array_send").replace("{}", "{}::" + of.name + "[]"),
        by_value=False,
        keyable=False,
        array=True,
    )


def builtin_arrays() -> dict[int, Type]:
    """The arrays of builtin types, by oid."""
    return {(oid := registry[of.name].array_oid): array(of, oid) for of in BUILTIN.values()}


def parser(oid: int, names: dict[int, tuple[str, str]]) -> Callable[[str], Any] | None:
    """How the log's text of a key's type is read; None where it cannot be part of a key.

    `names` are what the log calls types of users: a domain has its base's name there. What is not known here
    is read as a text.
    """
    schema, name = names.get(oid, ("", ""))
    type_ = BY_OID.get(oid) or (BUILTIN.get(name) if schema == "pg_catalog" else None) or _ARRAYS.get(oid)
    if type_ is None:
        return str
    return type_.parse if type_.keyable else None


_ARRAYS = builtin_arrays()


def array_literal(texts: list[str], quoted: bool) -> str:
    """An array parameter of texts that `bind` made."""
    if not quoted:
        return "{" + ",".join(texts) + "}"
    return '{"' + '","'.join(text.replace("\\", "\\\\").replace('"', '\\"') for text in texts) + '"}'
