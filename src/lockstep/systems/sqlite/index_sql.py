"""The parts and the predicate of an index, out of its CREATE INDEX text.

SQLite tells an index's columns, but the text of an expression and of the WHERE of a partial index stand
only in the statement that made it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_QUOTES = {"'": "'", '"': '"', "`": "`", "[": "]"}
_TAIL = re.compile(r"\s+(?:ASC|DESC|COLLATE\s+(?:\"[^\"]*\"|\w+))\s*$", re.IGNORECASE)


def split(sql: str) -> tuple[list[str], str | None]:
    """The texts of an index's parts, without order and collation, and its predicate."""
    parts: list[str] = []
    predicate: str | None = None
    depth = 0
    start = 0
    for at, token in _tokens(sql):
        if token == "(":
            depth += 1
            if depth == 1 and not parts:
                start = at + 1
        elif (token == "," and depth == 1) or (token == ")" and depth == 1):
            if predicate is None:
                parts.append(_bare(sql[start:at]))
                start = at + 1
            depth -= token == ")"
        elif token == ")":
            depth -= 1
        elif depth == 0 and predicate is None and token.upper() == "WHERE":
            predicate = sql[at + len(token) :].strip()
    return parts, predicate


def _bare(part: str) -> str:
    part = part.strip()
    while (shorter := _TAIL.sub("", part)) != part:
        part = shorter
    return part


def _tokens(sql: str) -> Iterator[tuple[int, str]]:
    """Words, signs, and quoted texts and comments as a whole, each with its place."""
    at = 0
    while at < len(sql):
        sign = sql[at]
        end = at + 1
        if sign in _QUOTES:
            end = _closing(sql, at, _QUOTES[sign])
        elif sql.startswith("--", at):
            end = _after(sql, "\n", at)
            at = end
            continue
        elif sql.startswith("/*", at):
            at = _after(sql, "*/", at + 2)
            continue
        elif sign.isalnum() or sign == "_" or ord(sign) > 127:
            while end < len(sql) and (sql[end].isalnum() or sql[end] in "_$" or ord(sql[end]) > 127):
                end += 1
        if not sign.isspace():
            yield at, sql[at:end]
        at = end


def _closing(sql: str, at: int, quote: str) -> int:
    end = at + 1
    while (end := sql.find(quote, end)) >= 0:
        if quote == "]" or sql[end + 1 : end + 2] != quote:
            return end + 1
        end += 2
    return len(sql)


def _after(sql: str, mark: str, at: int) -> int:
    end = sql.find(mark, at)
    return len(sql) if end < 0 else end + len(mark)
