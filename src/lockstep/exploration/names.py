"""Names: what a table or a column is called in Python.

A class is the singular of its table: companies → Company, user_tags → UserTag. A field is its column,
letter by letter, wherever Python allows that: whoever knows the database finds the name again.
"""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Container

IN_USE = frozenset({"int", "str", "float", "bool", "bytes", "list", "dict", "None", "dt", "ls"})
"""Names that annotations and defaults in a class body use. A field of one of them would hide it from the
lines below, for Python and for type checkers alike."""

_IMPORTED = frozenset({"Any", "Decimal", "UUID"})
_TAKEN = frozenset({*dir(builtins), *keyword.kwlist, *_IMPORTED, "dt", "ls", "annotations"})

_IRREGULAR = {
    "people": "person",
    "children": "child",
    "men": "man",
    "women": "woman",
    "feet": "foot",
    "teeth": "tooth",
    "geese": "goose",
    "mice": "mouse",
    "indices": "index",
    "vertices": "vertex",
    "matrices": "matrix",
    "appendices": "appendix",
    "criteria": "criterion",
    "phenomena": "phenomenon",
    "analyses": "analysis",
    "crises": "crisis",
    "diagnoses": "diagnosis",
    "hypotheses": "hypothesis",
    "synopses": "synopsis",
    "theses": "thesis",
    "axes": "axis",
    "lenses": "lens",
    "canvases": "canvas",
    "quizzes": "quiz",
    "leaves": "leaf",
    "shelves": "shelf",
    "halves": "half",
    "knives": "knife",
    "wives": "wife",
    "wolves": "wolf",
    "movies": "movie",
    "cookies": "cookie",
    "series": "series",
    "species": "species",
    "news": "news",
    "lens": "lens",
    "canvas": "canvas",
    "atlas": "atlas",
    "bias": "bias",
    "alias": "alias",
    "gas": "gas",
    "aws": "aws",
    "dns": "dns",
    "gps": "gps",
    "sms": "sms",
    "ops": "ops",
    "sales": "sale",
    "houses": "house",
    "heroes": "hero",
    "potatoes": "potato",
    "tomatoes": "tomato",
    "echoes": "echo",
    "caches": "cache",
    "headaches": "headache",
    "aliases": "alias",
    "biases": "bias",
    "gases": "gas",
    "atlases": "atlas",
}


def singular(word: str) -> str:
    """The singular of an English word in lower case. A word that is none stays as it is, mostly."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    if word.endswith(("sses", "shes", "ches", "xes", "zzes")):
        return word[:-2]
    if word.endswith("uses") and word[-5:-4] not in ("a", "o", "") and len(word) > 4:
        return word[:-2]  # statuses, bonuses; not houses, causes
    return word[:-1]


def plural(word: str) -> str:
    """The plural of an English word in lower case; a plural stays as it is."""
    for many, one in _IRREGULAR.items():
        if word in (many, one) and many != one:
            return many
    if singular(word) != word:
        return word
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + "es" if word.endswith(("s", "x", "ch", "sh")) else word + "s"


def words(name: str) -> list[str]:
    """The words of a name in lower case: UserTags, user_tags and "user tags" are user and tags."""
    apart = re.sub(r"(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [word.lower() for word in re.split(r"[\W_]+", apart) if word]


def class_name(table: str, taken: Container[str]) -> str:
    """The class of a table: singular, in CamelCase; with its schema, then numbered, where that is taken."""
    schema, plain = _parts(table)
    short = _camel(words(plain) or words(table))
    long = _camel(words(schema)) + short if schema else short
    for candidate in (short, long, f"{short}Record", f"{long}Record"):
        if candidate not in taken and candidate not in _TAKEN:
            return candidate
    return _numbered(f"{long}{'Record' if long in _TAKEN else ''}", taken)


def field_name(column: str, taken: Container[str]) -> str:
    """The field of a column: its own name, changed only as far as Python asks."""
    name = unicodedata.normalize("NFKC", column)
    if not name.isidentifier() or name.startswith("__"):
        name = unicodedata.normalize("NFKC", "_".join(words(name)))
        if not name.isidentifier():
            name = f"column_{name}".rstrip("_")
        if not name.isidentifier():  # signs that \w knows and Python does not
            name = "column"
    if keyword.iskeyword(name) or name in IN_USE or name in _IMPORTED:
        name += "_"
    return name if name not in taken and name != "_" else _numbered(name.rstrip("_") or "column", taken)


def snake(name: str) -> str:
    """A name as words joined by underscores."""
    return "_".join(words(name))


def _parts(table: str) -> tuple[str, str]:
    """Schema and table of a name; a part in double quotes may hold dots."""
    match = re.fullmatch(r'("(?:[^"]|"")+"|[^."]+)\.("(?:[^"]|"")+"|[^."]+)', table)
    return (match[1], match[2]) if match else ("", table)


def _camel(parts: list[str]) -> str:
    parts = [*parts[:-1], singular(parts[-1])] if parts else ["table"]
    name = unicodedata.normalize("NFKC", "".join(part[:1].upper() + part[1:] for part in parts))
    if name[:1].isdigit():
        name = f"Table{name}"
    return name if name.isidentifier() else "Table"


def _numbered(name: str, taken: Container[str]) -> str:
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
