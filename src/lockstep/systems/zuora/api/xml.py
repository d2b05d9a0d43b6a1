"""XML as a tree, read so that it can do no harm: no DTD, no entities, no depth and no size without end."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

MOST_BYTES = 16 << 20
MOST_DEPTH = 32


class NoTree(ValueError):
    """It is no XML, or none that is taken: with why."""


def tree(content: bytes) -> Element:
    """The root of a document. Raises NoTree."""
    if len(content) > MOST_BYTES:
        raise NoTree(f"it is longer than {MOST_BYTES >> 20} MB")
    builder = TreeBuilder()
    depth = 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MOST_DEPTH:
            raise NoTree(f"its elements lie more than {MOST_DEPTH} deep")
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def declared(*what: Any) -> None:
        raise NoTree("it declares a document type, which could define entities")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = declared
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError) as error:  # an encoding that is not known is a ValueError
        raise error if isinstance(error, NoTree) else NoTree(str(error)) from None
    except LookupError as error:
        raise NoTree(str(error)) from None
    return builder.close()
