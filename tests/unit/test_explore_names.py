"""What tables are called in Python, and which systems a URL names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lockstep.errors import DeclarationError
from lockstep.exploration import names
from lockstep.exploration.system import connect, redacted


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("companies", "Company"),
        ("user_tags", "UserTag"),
        ("UserTags", "UserTag"),
        ("Album", "Album"),
        ("USERS", "User"),
        ("public.users", "User"),
        ("statuses", "Status"),
        ("status", "Status"),
        ("addresses", "Address"),
        ("houses", "House"),
        ("boxes", "Box"),
        ("people", "Person"),
        ("news", "News"),
        ("analyses", "Analysis"),
        ("data", "Data"),
        ("2024_sales", "Table2024Sale"),
        ("exceptions", "ExceptionRecord"),
        ('public."a.b"', "AB"),
        ("größen", "Größen"),
        ("🙂", "Table"),
    ],
)
def test_the_class_of_a_table(table: str, expected: str) -> None:
    assert names.class_name(table, ()) == expected


def test_a_class_that_is_taken_gets_its_schema_then_a_number() -> None:
    taken: set[str] = set()
    for table in ("public.users", "billing.users", "user", "User"):
        taken.add(names.class_name(table, taken))
    assert taken == {"User", "BillingUser", "UserRecord", "User_2"}


def test_urls_are_shown_without_secrets() -> None:
    assert redacted("postgresql://ana:s3cret@db/app") == "postgresql://ana@db/app"
    assert redacted("postgresql://ana:p@ss:w@db/app") == "postgresql://ana@db/app"
    assert "s3cret" not in redacted("postgresql://db/app?user=ana&password=s3cret")
    assert redacted("sqlite:///app.db") == "sqlite:///app.db"


def test_a_url_that_nobody_serves(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError) as caught:
        connect("mysql://root:secret@db/app")
    assert "secret" not in str(caught.value)
    with pytest.raises(DeclarationError, match="there is no file"):
        connect(str(tmp_path / "none.db"))


def test_a_missing_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("psycopg", "lockstep.systems.postgres"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DeclarationError) as caught:
        connect("postgresql://db/app")
    assert "pip install 'lockstep-sync[postgres]'" in caught.value.remedy
