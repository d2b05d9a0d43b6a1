"""The reference of shapes says what is so: its examples are run, and answer what it shows.

`sql` makes the source. `python` blocks are one module, in order. `json NAME KEY` is what the mapping of that
name derives for a key, `text NAME KEY` the error and its mend; after `python wrong`, `text` is what the
declaration raises.
"""

from __future__ import annotations
import __future__

import contextlib
import json
import sqlite3
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.docs.console import Block, blocks

import lockstep as ls
from lockstep.engine.deriving.derive import Derived, Deriver
from lockstep.forms import keys

PAGE = Path(__file__).parents[2] / "docs" / "shapes.md"
BLOCKS = blocks(PAGE.read_text())


class Page:
    """The page's module, over the page's tables."""

    def __init__(self, directory: Path) -> None:
        self._module = types.ModuleType("shapes_page")
        sys.modules[self._module.__name__] = self._module
        with contextlib.closing(sqlite3.connect(directory / "app.db")) as file:
            for block in BLOCKS:
                if block.language == "sql":
                    file.executescript(block.text)
        for block in BLOCKS:
            if block.language == "python" and not block.mark:
                self.execute(block)

    def execute(self, block: Block) -> None:
        code = "\n" * block.line + block.text  # a failure names the page's own line
        flags = __future__.annotations.compiler_flag
        exec(compile(code, str(PAGE), "exec", flags), vars(self._module))

    def derived(self, block: Block) -> Derived:
        name, key = block.mark.split()
        mapping = self._module.pipeline.named(name)
        with contextlib.closing(mapping.source.reader()) as reader:
            wanted = keys.encode((int(key),))
            return Deriver(mapping, reader).derive([wanted], time.time())[wanted]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    directory = tmp_path_factory.mktemp("page")
    with contextlib.chdir(directory):
        yield Page(directory)


def of(language: str, mark: bool) -> list[Any]:
    found = [block for block in BLOCKS if block.language == language and bool(block.mark) == mark]
    return [pytest.param(block, id=block.mark or str(block.line)) for block in found]


@pytest.mark.parametrize("block", of("json", mark=True))
def test_what_a_mapping_derives(page: Page, block: Block) -> None:
    derived = page.derived(block)
    assert derived.error is None
    wanted = json.loads(block.text)
    if isinstance(wanted, list):
        assert [[keys.decode(one.key)[0], one.record] for one in derived.desired] == wanted
    else:
        assert [one.record for one in derived.desired] == ([] if wanted is None else [wanted])


@pytest.mark.parametrize("block", of("text", mark=True))
def test_what_a_key_is_stuck_for(page: Page, block: Block) -> None:
    error = page.derived(block).error
    assert error is not None
    assert [str(error), error.remedy] == block.text.splitlines()


@pytest.mark.parametrize("block", of("python", mark=True))
def test_what_a_wrong_declaration_says(page: Page, block: Block) -> None:
    said = BLOCKS[BLOCKS.index(block) + 1]
    with pytest.raises(ls.DeclarationError) as error:
        page.execute(block)
    assert [str(error.value), error.value.remedy] == said.text.splitlines()


def test_the_page_has_examples() -> None:
    assert {block.language for block in BLOCKS} == {"sql", "python", "json", "text"}
    assert len(of("json", mark=True)) > 10
