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

A value of any type either arrives exactly, or its key is stuck with the reason. Nothing is rounded, cut or left out in
silence.

Look up what a column becomes under [PostgreSQL](#postgresql) or [SQLite](#sqlite). Each line of those tables is a test:
the value is read in a snapshot, inserted live, changed from null, carried to every target, read back and compared. Then
one value is spoilt in the target, and `verify` must find exactly that one.

## What is equal

Source and target agree if their *canonical forms* are equal:

| | compared |
| --- | --- |
| numbers | by value: 1.10 is 1.1, -0 is 0 |
| instants | in UTC |
| text | as it is |
| lists | in their order |
| objects | by their names |
| null | differs from "", from [] and from a missing name. JSON's null and SQL's NULL are the same |

## What Python has no type for

| in the database | a mapping sees | it can |
| --- | --- | --- |
| a date or timestamp of infinity, before the year 1, after 9999; 24:00 | `ls.Far`: also a `dt.date`, `dt.datetime`, `dt.time` | compare; `text`, `infinite`, `year`, `month`, `day` |
| an interval with months, or parts of several signs | `ls.Interval`: also a `dt.timedelta` | `months`, `parts`, `text`; compute, if its length is fixed |
| a range | `ls.Range[…]`: also a dict `{gte, gt, lt, lte}` | `lower`, `upper`, `bounds`, `empty` |

Where Python would compute nonsense with one, it raises ValueError instead: `infinity` has no weekday, a month has no
number of seconds. In a mapping for a search index, say what such a date should become:
`None if isinstance(x, ls.Far) else x`.

## What a target does not take

| target | does not take | so the key is stuck, unless you use |
| --- | --- | --- |
| OpenSearch, Elasticsearch | NaN and infinite numbers, which JSON does not have | another form, which the mapping chooses |
| | numbers of more than 1,000 digits; objects and lists more than 20 deep | text; a higher `index.mapping.depth.limit` |
| | a word of more than 32,766 bytes in a `keyword` | `ignore_above`; or a `text` field, which cuts words by itself |
| | a date that its `date` field does not understand, such as `infinity` | a `keyword` field |
| Tantivy | (takes everything; a word of more than 65,530 bytes is held, but not found) | |
| SQLite | NaN; numbers of more than 15 digits in DECIMAL and JSON columns | DECIMAL TEXT, JSON TEXT |
| PostgreSQL | NUL in text | BYTEA |
| every target | half a pair of surrogates in JSON, which is not text; JSON of more than 1,000 levels | |
"""

KEYS = """
## Keys

Columns whose type says "yes" under "a key" can be keys, and relations can join by them. Keys have the same order in every
system: numbers by value, with -infinity first and infinity and NaN last; dates from -infinity to infinity; text by its
bytes. NaN is equal to NaN, as in PostgreSQL.
"""


def page() -> str:
    """The page as the list has it."""
    return "\n".join([HEAD.rstrip(), "", *_postgres(), KEYS.strip(), "", *_sqlite()]).rstrip() + "\n"


def _postgres() -> Iterator[str]:
    yield from (
        "## PostgreSQL",
        "",
        "A domain counts as its base type. Any type that is not listed, of an extension or not, arrives as the text that the",
        "server writes.",
        "",
        "| type | in a model | canonical form | to search it | in SQLite | in PostgreSQL | a key |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    )
    for kind in (*KINDS, *OLDER):
        held = HELD.get(kind.declared, kind.declared)
        columns = (_code(kind.python), kind.form, kind.search, kind.sqlite, held, kind.key)
        yield f"| {kind.declared} | {' | '.join(columns)} |"
    yield from ("", "### Its values", "", *_values((*KINDS, *OLDER)))


def _sqlite() -> Iterator[str]:
    yield from (
        "## SQLite",
        "",
        "SQLite stores a value as null, integer, real, text or blob, whatever type its column was declared with. If the",
        "declared type cannot mean the stored value, its key is stuck, and the message shows the value. A column without",
        "a type, or of a type that is not listed, is handed on as it is stored.",
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
