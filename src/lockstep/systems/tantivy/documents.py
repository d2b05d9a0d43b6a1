"""A record as a document of the index, and back.

What is read back is the stored canonical form, so it is exact whatever the index makes of it. What can be
searched is made beside it: all texts in one field, and the record's tree in a JSON field, so that a query
may name a path. Numbers that the index cannot hold are searched by their text.

field       holds
_key        the key bytes as hexadecimal text: their order is the order of the keys
_body       the canonical form
_meta       mapping, source key, fingerprint and sum
_version    the version, as a column, so that the highest is found at once
_text       every text of the record
_record     the tree, texts cut into words
_exact      the declared exact fields of the tree, texts whole
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from lockstep.datatypes.far import Far, time_text
from lockstep.datatypes.interval import duration
from lockstep.errors import DataError, DeclarationError
from lockstep.forms.canonical import canonical
from lockstep.systems.tantivy.client import library
from lockstep.values import Change, Fingerprint, Held, Key, Meta, Record, Version

SEARCHED = ["_text", "_record", "_exact"]
_LONGEST_KEY = 32_000  # bytes; a longer term is dropped by the index without a word
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def schema() -> Any:
    """The same for every index."""
    builder = library().SchemaBuilder()
    builder.add_text_field("_key", stored=True, fast=True, tokenizer_name="raw", index_option="basic")
    builder.add_bytes_field("_body", stored=True)
    builder.add_bytes_field("_meta", stored=True)
    builder.add_integer_field("_version", stored=True, fast=True)
    builder.add_text_field("_text")
    builder.add_json_field("_record", expand_dots_enabled=True)
    builder.add_json_field("_exact", tokenizer_name="raw", index_option="basic", expand_dots_enabled=True)
    return builder.build()


def validate(fields: Mapping[str, str] | None) -> None:
    """Raises DeclarationError for a declared field of no kind."""
    for path, kind in (fields or {}).items():
        if kind not in ("text", "exact"):
            raise DeclarationError(
                f"field {path} is declared {kind!r}", 'Declare it "text" (cut into words) or "exact" (whole).'
            )


def term(key: Key) -> str:
    """A key as the index has it."""
    return key.hex()


def document(change: Change, fields: Mapping[str, str] | None) -> Any:
    """The document of a change. Raises DataError where the record cannot be one."""
    record, meta = change.record, change.meta
    assert record is not None
    body = canonical(record)
    if len(change.key) > _LONGEST_KEY:
        raise DataError(
            f"the key has {len(change.key)} bytes and the index takes {_LONGEST_KEY}", "Use a shorter key."
        )
    made = library().Document()
    made.add_text("_key", term(change.key))
    made.add_bytes("_body", body)
    made.add_bytes("_meta", msgspec.msgpack.encode((meta.mapping, meta.key, meta.fingerprint, meta.sum)))
    made.add_integer("_version", meta.version)
    tree = _tree(record)
    for text in _texts(tree):
        made.add_text("_text", text)
    if fields is None:
        made.add_json("_record", tree)
        return made
    for name, kind in (("_record", "text"), ("_exact", "exact")):
        only = _only(tree, frozenset(path for path, declared in fields.items() if declared == kind), "")
        if only:
            made.add_json(name, only)
    return made


def held(stored: Any) -> Held:
    """A stored document as a record with its metadata."""
    mapping, key, mark, total = msgspec.msgpack.decode(stored.get_first("_meta"))
    meta = Meta(mapping, Key(key), Fingerprint(mark), total, Version(stored.get_first("_version")))
    return Held(Key(bytes.fromhex(stored.get_first("_key"))), record_of(stored.get_first("_body")), meta)


def record_of(body: bytes) -> Record:
    """A canonical form as a record; its numbers exact, never through a float."""
    try:
        record = _decode(body)
    except msgspec.DecodeError:  # NaN and infinities, which are no JSON
        record = json.loads(body, parse_float=Decimal, parse_constant=Decimal, parse_int=_whole)
    assert isinstance(record, dict)
    return record


def _whole(digits: str) -> int | Decimal:
    # Python refuses to make an int of more than 4,300 digits from text; a Decimal is as exact.
    return int(digits) if len(digits) < 4000 else Decimal(digits)


def _tree(value: Any) -> Any:
    """A record as the JSON field takes it: what is searched, not what is held."""
    if isinstance(value, Mapping):
        return {name: _tree(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(item) for item in value]
    if isinstance(value, Decimal):
        if not value.is_finite():
            return str(value)
        return int(value) if _fits(value) and value == int(value) else float(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value) if _fits(value) else str(value)
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, Far):
        return value.text
    if isinstance(value, dt.datetime):
        return (
            value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z") if value.tzinfo else value.isoformat()
        )
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dt.time):
        return time_text(value)
    if isinstance(value, dt.timedelta):
        return duration(value)
    if isinstance(value, UUID):
        return str(value)
    return None if isinstance(value, bytes) else value


def _fits(value: int | Decimal) -> bool:
    return -(1 << 63) <= value < 1 << 63


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for item in tree.values():
            yield from _texts(item)
    elif isinstance(tree, list):
        for item in tree:
            yield from _texts(item)


def _only(tree: Any, paths: frozenset[str], path: str) -> Any:
    """The part of a tree that lies on these paths; lists do not lengthen a path."""
    if path in paths:
        return tree
    if isinstance(tree, dict):
        found = {name: _only(item, paths, f"{path}.{name}" if path else name) for name, item in tree.items()}
        return {name: item for name, item in found.items() if item not in (None, {}, [])}
    if isinstance(tree, list):
        kept = [_only(item, paths, path) for item in tree]
        return [item for item in kept if item not in (None, {}, [])]
    return None
