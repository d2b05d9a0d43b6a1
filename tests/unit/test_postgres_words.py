"""What a person is told to do when PostgreSQL answers with an error; a check tries nothing again."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from lockstep.database.postgres import state_error
from lockstep.errors import Unreachable
from lockstep.systems.postgres.faults import translated
from lockstep.systems.postgres.target.rejections import meaning

PASSING = ("08006", "40001", "40P01", "53100", "53300", "55006", "55P03", "57014", "57P01", "57P03")


def remedies(error: psycopg.Error) -> list[str]:
    """Of a source, a target, and a state store."""
    asked = meaning(DBAPIError("SELECT 1", None, error), "out")
    return [translated(error, "reading").remedy, asked.remedy, state_error(error, "the state store").remedy]


@pytest.mark.parametrize("state", PASSING)
def test_what_passes_is_tried_again_by_a_run_and_by_nobody_else(state: str) -> None:
    for said in remedies(psycopg.errors.lookup(state)("some words")):
        assert "Lockstep" not in said, said


@pytest.mark.parametrize(
    ("state", "words"), [("42703", "no such column"), ("0A000", "cached plan must not change result type")]
)
def test_so_is_a_table_that_was_altered(state: str, words: str) -> None:
    error = meaning(DBAPIError("SELECT 1", None, psycopg.errors.lookup(state)(words)), "out")
    assert isinstance(error, Unreachable)
    assert "Lockstep" not in error.remedy
    assert "a run tries again by itself" in error.remedy
