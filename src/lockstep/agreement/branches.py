"""A shape, as a source that sums by itself is told of it."""

from __future__ import annotations

from lockstep.declaration.shape import Node
from lockstep.forms.canonical import path_constant
from lockstep.values import Branch


def branch(node: Node) -> Branch:
    """A node and all below it."""
    below = tuple(branch(child) for child in node.children)
    return Branch(node.table, path_constant(node.path), node.down, node.up, below)
