"""docs/types.md, written from the list of types: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lockstep.forms.canonical import as_json
from tests.types.kinds import Case, Kind
from tests.types.postgres_kinds import HELD, KINDS, OLDER
from tests.types.sqlite_kinds import COLUMNS

PAGE = Path(__file__).parents[2] / "docs" / "types.md"

HEAD = """# Types

<!-- Written by `make docs` from tests/types, where every line of a type is a test. -->

Every value of every type is carried exactly, or its key is stuck with the reason; nothing is rounded, cut or left out
in silence. Each line of the tables of types, the last ones on this page, is a test: it is read in a snapshot, inserted
live, changed from null, carried to every target, read back and compared; then one value is spoilt in the target, and
`verify` finds exactly that.

## What is equal

Source and target agree where their *canonical forms* are equal: numbers by value (1.10 is 1.1, -0 is 0), instants in
UTC, text as it is, lists in their order, objects by their names. Null differs from "", from [] and from a name that is
missing. JSON's null and SQL's NULL are one.

## What Python has no type for

| in the database | a mapping sees | it can |
| --- | --- | --- |
| a date or timestamp of infinity, before the year 1, after 9999; 24:00 | `ls.Far`: also a `dt.date`, `dt.datetime`, `dt.time` | compare; `text`, `infinite`, `year`, `month`, `day` |
| an interval with months, or parts of several signs | `ls.Interval`: also a `dt.timedelta` | `months`, `parts`, `text`; compute, if its length is fixed |
| a range | `ls.Range[…]`: also a dict `{gte, gt, lt, lte}` | `lower`, `upper`, `bounds`, `empty` |

Whatever Python would compute of one wrongly raises ValueError instead: `infinity` has no weekday, a month has no
number of seconds. So `None if isinstance(x, ls.Far) else x` says what a search index should hold of such a date.

## What a target does not take

| target | | so the key is stuck, or |
| --- | --- | --- |
| OpenSearch, Elasticsearch | NaN and infinite numbers, which JSON does not have | let the mapping say them in another way |
| | numbers of more than 1,000 digits; objects and lists more than 20 deep | hand them on as text; raise `index.mapping.depth.limit` |
| | a word of more than 32,766 bytes in a `keyword` | `ignore_above`; a `text` field cuts words by itself |
| | a date that its `date` field does not understand, such as `infinity` | a `keyword` field |
| Tantivy | nothing; a word of more than 65,530 bytes is held and not found | |
| SQLite | NaN; DECIMAL and JSON columns keep numbers to 15 digits | DECIMAL TEXT, JSON TEXT |
| PostgreSQL | NUL in text | BYTEA |
| every | half a pair of surrogates in JSON, which is no text; JSON of more than 1,000 levels | |
"""

KEYS = """
## Keys

A type can be a key, and a column to join by, where it says "yes". Key bytes have one order in every system: numbers by
value with -infinity first and infinity and NaN last, dates from -infinity to infinity, text by its bytes. NaN is equal
to NaN, as in PostgreSQL.
"""


def page() -> str:
    """The page as the list has it."""
    return "\n".join([HEAD.rstrip(), "", *_postgres(), KEYS.strip(), "", *_sqlite()]).rstrip() + "\n"


def _postgres() -> Iterator[str]:
    yield from (
        "## PostgreSQL",
        "",
        "A domain is as its base. A type that is not here, of an extension or not, is the text that the server writes.",
        "",
        "| type | in a model | canonical form | to search it | in SQLite | in PostgreSQL | a key |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    )
    for kind in (*KINDS, *OLDER):
        held = HELD.get(kind.declared, kind.declared)
        columns = (f"`{kind.python}`", kind.form, kind.search, kind.sqlite, held, kind.key)
        yield f"| {kind.declared} | {' | '.join(columns)} |"
    yield from ("", "### Its values", "", *_values((*KINDS, *OLDER)))


def _sqlite() -> Iterator[str]:
    yield from (
        "## SQLite",
        "",
        "SQLite stores a value as null, integer, real, text or blob, whatever its column was declared as. One that the",
        "declared type cannot mean makes its key stuck, with what is stored; a column without a type, or of one that is",
        "not here, is handed on as it is stored.",
        "",
        *_values(COLUMNS),
    )


def _values(kinds: Sequence[Kind]) -> Iterator[str]:
    yield from ("| type | value | canonical form, or why it is stuck | |", "| --- | --- | --- | --- |")
    for kind in kinds:
        name = kind.declared
        for case in kind.cases:
            note = "; ".join(filter(None, (case.note, kind.note if name else "")))
            yield f"| {name} | {_code(case.shown or case.literal)} | {_form(case)} | {note} |"
            name = ""


def _form(case: Case) -> str:
    if "source" in case.stuck:
        return f"stuck: {case.stuck['source']}"
    form = _short(as_json(case.value))
    stuck = "".join(f"; stuck in {_NAMES[target]}: {reason}" for target, reason in case.stuck.items())
    return f"{_code(form)}{stuck}"


_NAMES = {
    "opensearch": "a search cluster",
    "tantivy": "Tantivy",
    "sqlite": "SQLite",
    "postgres": "PostgreSQL",
}


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:25]}…{text[-10:]}"


def _code(text: str) -> str:
    shown = "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text)
    return "`" + shown.replace("|", "\\|").replace("`", "'") + "`"


def main() -> None:
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
