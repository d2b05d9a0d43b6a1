"""ZOQL: `select Id, Name from Account where Status = 'Active' and Balance > 0`, as SQL over the records.

Keywords in lower case; no joins, no *, no order by, no IN, no parentheses; `and` binds before `or`; at most
200 conditions. Orders cannot be asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .engine.tree import Refused
from .forms import same_instant

OBJECTS = {
    "Account": "accounts",
    "Contact": "contacts",
    "Product": "products",
    "ProductRatePlan": "product-rate-plans",
    "ProductRatePlanCharge": "product-rate-plan-charges",
    "ProductRatePlanChargeTier": "product-rate-plan-charge-tiers",
    "Subscription": "subscriptions",
    "RatePlan": "rate-plans",
    "RatePlanCharge": "rate-plan-charges",
    "RatePlanChargeTier": "rate-plan-charge-tiers",
    "Invoice": "invoices",
    "InvoiceItem": "invoice-items",
    "Payment": "payments",
}
"""What can be asked for, by API name: the kind of record."""

NAMES = {kind: name for name, kind in OBJECTS.items()}

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<word>[A-Za-z_]\w*|-?\d[\d.:TZ+-]*)|(?P<sign><=|>=|!=|=|<|>|,))"
)
_SIGNS = {"=": "=", "!=": "<>", "<": "<", ">": ">", "<=": "<=", ">=": ">="}
MOST_CONDITIONS = 200


@dataclass(frozen=True)
class Query:
    """What is asked: `fields` as they are spelt in the question, `condition` and `values` for SQLite."""

    kind: str
    fields: tuple[str, ...]
    condition: str
    values: tuple[Any, ...]
    named: tuple[str, ...]
    """All fields, those of the conditions too."""


@dataclass(frozen=True)
class Locator:
    """What is left of an answer that did not fit one page."""

    until: float
    query: Query
    ids: tuple[str, ...]
    size: int


def parsed(text: str) -> Query:
    """Raises Refused (malformed) where it is no ZOQL."""
    words = _words(text)
    if words[:1] != ["select"] or "from" not in words:
        raise _malformed("it is not `select … from …`")
    at = words.index("from")
    fields = words[1:at:2]
    if (
        not fields
        or words[2:at:2] != [","] * (len(fields) - 1)
        or any(not one[0].isalpha() for one in fields)
    ):
        raise _malformed("the fields are not names with commas between them")
    if at + 1 >= len(words) or words[at + 1] not in OBJECTS:
        said = words[at + 1] if at + 1 < len(words) else ""
        raise Refused(20, f"invalid object {said!r}; there are {', '.join(OBJECTS)}")
    kind = OBJECTS[words[at + 1]]
    rest = words[at + 2 :]
    if not rest:
        return Query(kind, tuple(fields), "TRUE", (), tuple(fields))
    if rest[0] != "where":
        raise _malformed(f"{rest[0]!r} where `where` is expected")
    condition, values, named = _where(rest[1:])
    return Query(kind, tuple(fields), condition, tuple(values), (*fields, *named))


def field_of(name: str) -> str:
    """The name in records: ZOQL has PascalCase, and MRR for mRR."""
    return name if name.endswith("__c") else name[0].lower() + name[1:]


def _where(words: list[str]) -> tuple[str, list[Any], list[str]]:
    parts: list[str] = []
    values: list[Any] = []
    named: list[str] = []
    while True:
        if len(words) < 3:
            raise _malformed("a condition is not complete")
        field, sign, value, words = words[0], words[1], words[2], words[3:]
        if not field[0].isalpha() or (sign not in _SIGNS and sign != "like"):
            raise _malformed(f"{field} {sign} {value} is no condition")
        sql, bound = _condition(f"(doc ->> '$.{field_of(field)}')" if field != "Id" else "id", sign, value)
        parts.append(sql)
        values += bound
        named.append(field)
        if len(named) > MOST_CONDITIONS:
            raise _malformed(f"more than {MOST_CONDITIONS} conditions")
        if not words:
            return " ".join(["(", *parts, ")"]), values, named
        if words[0] not in {"and", "or"}:
            raise _malformed(f"{words[0]!r} where `and` or `or` is expected")
        parts.append(words[0].upper())
        words = words[1:]


def _condition(column: str, sign: str, word: str) -> tuple[str, list[Any]]:
    if word.startswith("'"):
        text: Any = re.sub(r"\\(.)", r"\1", word[1:-1])
        if sign == "like":
            return f"{column} LIKE ?", [text]
    elif word == "null":
        if sign not in {"=", "!="}:
            raise _malformed("null is only equal or not equal")
        return f"{column} IS {'NOT ' if sign == '!=' else ''}NULL", []
    elif word in {"true", "false"}:
        text = int(word == "true")
    elif re.fullmatch(r"-?\d+(\.\d+)?", word):
        text = float(word)
    else:
        text = same_instant(word)  # a date or an instant, without quotes
    if sign == "like":
        raise _malformed("like needs a text in quotes")
    return f"{column} {_SIGNS[sign]} ?", [text]


def _words(text: str) -> list[str]:
    words, at = [], 0
    text = text.strip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _malformed(f"{text[at : at + 20]!r} is not understood")
        words.append(found.group().strip())
        at = found.end()
    return words


def _malformed(why: str) -> Refused:
    return Refused(90, f"You have an error in your ZOQL syntax: {why}")
