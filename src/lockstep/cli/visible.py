"""What is data of others, made visible: a key may hold what a terminal obeys rather than shows."""

from __future__ import annotations

import json
import re

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tab and line feed, marks that turn the direction of writing, half characters."""


def visible(text: str) -> str:
    """The text, with escapes in place of what a terminal would obey."""
    return _OBEYED.sub(lambda found: _escape(found[0]), text)


def key_name(text: str) -> str:
    """A key on one line: as it is, or in quotes with escapes where nobody could tell what it is."""
    if text and text == text.strip() and not re.search(r"[\n\t]", text) and not _OBEYED.search(text):
        return text
    return visible(json.dumps(text, ensure_ascii=False))


def _escape(character: str) -> str:
    return f"\\u{ord(character):04x}"
