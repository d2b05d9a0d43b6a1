"""What pages show of Python is so: it is whole, names of `ls` are there, and take the arguments shown."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.docs.console import blocks
from tests.docs.test_pages import PAGES, prose, text

import lockstep as ls

_MAKERS = ("from_env", "from_events")  # a class's own: they answer with one of it


def trees(name: str) -> Iterator[ast.AST]:
    """Its blocks of Python, and what is between backticks and begins with `ls.`."""
    for block in blocks(text(name)):
        if block.language == "python":
            yield ast.parse("\n" * block.line + block.text)
    for said in re.findall(r"`((?:@pipeline|ls)\.[^`]+)`", prose(name)):
        try:
            yield ast.parse(re.sub(r"\[…\]", "", said).replace("…", "...").removeprefix("@"))
        except SyntaxError:
            continue  # a part of a statement


def meant(node: ast.expr, known: dict[str, Any]) -> Any:
    """The object that an expression names, or the class that a call of one answers with; None: who knows."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = meant(node.value, known)
        if owner is None:
            return None
        assert hasattr(owner, node.attr), f"line {node.lineno}: {ast.unparse(node)} is not there"
        return getattr(owner, node.attr)
    if isinstance(node, ast.Call):
        made = meant(node.func, known)
        if isinstance(node.func, ast.Attribute) and node.func.attr in _MAKERS:
            return meant(node.func.value, known)
        return made if inspect.isclass(made) else None
    return None


def takes(call: ast.Call, known: dict[str, Any]) -> None:
    """Raises AssertionError where what is called has no such argument."""
    asked = meant(call.func, known)
    if not callable(asked):
        return
    parameters = inspect.signature(asked).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return
    for keyword in call.keywords:
        assert keyword.arg is None or keyword.arg in parameters, (
            f"line {call.lineno}: {ast.unparse(call.func)} takes no {keyword.arg}"
        )


@pytest.mark.parametrize("name", PAGES)
def test_names_and_arguments_exist(name: str) -> None:
    known: dict[str, Any] = {"ls": ls, "pipeline": ls.Pipeline}
    for tree in trees(name):
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                known[node.targets[0].id] = meant(node.value, known)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                meant(node, known)
            elif isinstance(node, ast.Call):
                takes(node, known)
