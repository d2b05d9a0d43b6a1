"""The decoder of the log's messages, by golden bytes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.systems.postgres.following.pgoutput import (
    UNCHANGED,
    Begin,
    Commit,
    Delete,
    Emitted,
    Insert,
    Message,
    Origin,
    Relation,
    RelationColumn,
    Truncate,
    Type,
    Update,
    decode,
    relation_of,
)

RELATION = (
    "52 00004001 7075626c696300 757365727300 64 0002"  # R, 16385, public, users, d
    "01 696400 00000017 ffffffff"  # identity, id, int4, -1
    "00 6e616d6500 00000413 0000000e"  # name, varchar(10)
)
ROW = "0003 74 00000001 37 6e 75"  # three columns: "7", null, unchanged

GOLDEN: list[tuple[str, Message]] = [
    ("42 00000001 6b374000 0002ab1c2d3e4f50 000002f3", Begin(0x16B374000, 0x2AB1C2D3E4F50, 755)),
    (
        "43 00 000000016b374000 000000016b374030 0002ab1c2d3e4f50",
        Commit(0x16B374000, 0x16B374030, 0x2AB1C2D3E4F50),
    ),
    ("4f 000000016b374000 7075623100", Origin(0x16B374000, "pub1")),
    (
        RELATION,
        Relation(
            16385,
            "public",
            "users",
            "d",
            (RelationColumn("id", True, 23, -1), RelationColumn("name", False, 1043, 14)),
        ),
    ),
    ("52 00000001 00 7400 6e 0000", Relation(1, "pg_catalog", "t", "n", ())),
    ("59 00004007 7075626c696300 6d6f6f6400", Type(16391, "public", "mood")),
    (f"49 00004001 4e {ROW}", Insert(16385, [b"7", None, UNCHANGED])),
    (f"55 00004001 4e {ROW}", Update(16385, None, False, [b"7", None, UNCHANGED])),
    (
        f"55 00004001 4b 0001 74 00000001 36 4e {ROW}",
        Update(16385, [b"6"], False, [b"7", None, UNCHANGED]),
    ),
    (f"55 00004001 4f {ROW} 4e 0000", Update(16385, [b"7", None, UNCHANGED], True, [])),
    ("44 00004001 4b 0001 74 00000002 c3a9", Delete(16385, ["é".encode()], False)),
    ("44 00004001 4f 0001 74 00000000", Delete(16385, [b""], True)),
    ("54 00000002 03 00004001 00004005", Truncate((16385, 16389), True, True)),
    ("54 00000001 00 00004001", Truncate((16385,), False, False)),
    (
        "4d 01 000000016b374000 6c6f636b7374657000 00000002 6869",
        Emitted(True, 0x16B374000, "lockstep", b"hi"),
    ),
]


def octets(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


@pytest.mark.parametrize(("text", "message"), GOLDEN, ids=lambda value: type(value).__name__)
def test_golden(text: str, message: Message) -> None:
    assert decode(octets(text)) == message


@pytest.mark.parametrize(("text", "message"), GOLDEN, ids=lambda value: type(value).__name__)
def test_a_message_that_ends_too_early_is_an_error(text: str, message: Message) -> None:
    whole = octets(text)
    for size in range(1, len(whole)):
        try:
            found = decode(whole[:size])
        except ValueError:
            continue
        assert found != message
        assert isinstance(message, Emitted), "only its content may be cut"


def test_unknown_kinds_are_skipped() -> None:
    assert decode(b"S\0\0\0\1\1") is None
    assert decode(b"") is None


def test_the_relation_is_known_without_decoding() -> None:
    assert relation_of(octets(f"49 00004001 4e {ROW}")) == 16385


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        decode(data)


@pytest.mark.parametrize(
    "text", ["49 00004001 58 0000", "44 00004001 4e 0000", "55 00004001 4b 0000 58", "49 00004001 4e 0001 78"]
)
def test_letters_that_make_no_sense_are_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="makes no sense"):
        decode(octets(text))
