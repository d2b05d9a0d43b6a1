"""Pipelines: loading a file, and everything that can be wrong with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lockstep.declaration.model as ls
from lockstep.declaration.pipeline import Pipeline
from lockstep.declaration.pipeline_file import load
from lockstep.errors import DeclarationError
from lockstep.values import Table
from tests.support.memory import MemorySource, MemoryTarget

HEAD = """
from __future__ import annotations
import lockstep.declaration.model as ls
from lockstep.declaration.pipeline import Pipeline
from lockstep.systems.sqlite import SQLite
class User(ls.Model, table="users"):
    id: int = ls.key()
    email: str
"""
GOOD = (
    HEAD
    + """
pipeline = Pipeline("acme")
app = SQLite("app.db")
@pipeline.mapping(app, to=app.table("out"))
def doc(user: User) -> dict[str, object]:
    return {"email": user.email}
"""
)


@pytest.fixture(autouse=True)
def _imports() -> Iterator[None]:
    """What a pipeline file leaves in the interpreter goes again."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def file(directory: Path, text: str, name: str = "a_pipeline.py") -> Path:
    path = directory / name
    path.write_text(text)
    return path


def test_a_good_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCKSTEP_STATE", raising=False)
    found = load(file(tmp_path, GOOD))
    assert (found.name, list(found.mappings)) == ("acme", ["doc"])
    assert found.state == tmp_path / ".lockstep"
    assert found.named("doc").shape.__name__ == "User"
    monkeypatch.setenv("LOCKSTEP_STATE", str(tmp_path / "elsewhere"))
    assert load(file(tmp_path, GOOD)).state == tmp_path / "elsewhere"


def test_models_lie_beside_it(tmp_path: Path) -> None:
    file(tmp_path, HEAD, "beside_models.py")
    text = GOOD.replace(
        HEAD, "from beside_models import *\nfrom beside_models import User, Pipeline, SQLite\n"
    )
    assert load(file(tmp_path, text)).named("doc").shape.__name__ == "User"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 +", "failed when it was imported: SyntaxError"),
        ("\n\nraise ValueError('boo')", r"ValueError: boo \(line 3\)"),
        ("import no_such_module_at_all", "ModuleNotFoundError"),
        (HEAD, "defines no pipeline"),
        (GOOD + "other = Pipeline('other')", "defines 2 pipelines"),
        (HEAD + "pipeline = Pipeline('acme')", "pipeline acme has no mapping"),
        (GOOD.replace("user: User", "user: int"), "first parameter is no shape"),
        (GOOD.replace("'email': str", "") + "x = Pipeline('No Name')", "cannot name a slot"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DeclarationError, match=words) as error:
        load(file(tmp_path, text))
    assert error.value.remedy


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"no pipeline file gone\.py in "):
        load(tmp_path / "gone.py")
    with pytest.raises(DeclarationError, match="no pipeline file"):
        load(tmp_path)
    with pytest.raises(DeclarationError, match="Python file"):
        load(file(tmp_path, GOOD, "pipeline.txt"))


def test_a_file_named_like_a_module_takes_nobody_s_place(tmp_path: Path) -> None:
    assert load(file(tmp_path, GOOD, "json.py")).name == "acme"
    assert sys.modules["json"] is json


def test_one_name_in_two_pipelines(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one = load(file(tmp_path, GOOD))
    other = load(file(tmp_path / "other", GOOD.replace("email: str", "mail: str").replace(".email", ".mail")))
    assert one.named("doc").root.table.columns == ("id", "email")
    assert other.named("doc").root.table.columns == ("id", "mail")


class User(ls.Model, table="users"):
    id: int = ls.key()
    company_id: int | None = ls.ref("Company.id")


class Company(ls.Model, table="companies"):
    id: int = ls.key()


class Firm(Company):
    users: list[User]


class Short(ls.Model, table="users"):
    company_id: int = ls.key()


def doc(firm: Firm) -> dict[str, object]:
    return {}


def user_doc(user: User) -> dict[str, object]:
    return {}


def test_tables_are_merged() -> None:
    made, source = Pipeline("p"), MemorySource()
    made.mapping(source, to=MemoryTarget("a"))(doc)
    made.mapping(source, to=MemoryTarget("b"))(user_doc)
    assert set(made.tables("memory")) == {
        Table("companies", ("id",), ("id",), (), (("id", "int"),)),
        Table(
            "users",
            ("id", "company_id"),
            ("id",),
            ("company_id",),
            (("id", "int"), ("company_id", "int")),
            (("company_id", "companies", "id"),),
        ),
    }
    assert made.tables("other") == ()

    def short(user: Short) -> dict[str, object]:
        return {}

    made.mapping(source, to=MemoryTarget("c"))(short)
    with pytest.raises(DeclarationError, match="name different keys"):
        made.tables("memory")


def test_names() -> None:
    made = Pipeline("p")
    made.mapping(MemorySource(), to=MemoryTarget("a"))(doc)
    with pytest.raises(DeclarationError, match="two mappings are named 'doc'"):
        made.mapping(MemorySource(), to=MemoryTarget("b"))(doc)
    made.mapping(MemorySource(), to=MemoryTarget("a"), name="second")(doc)
    assert made.shares_target(made.named("doc"))
    assert made.claims(made.named("doc"))
    with pytest.raises(DeclarationError, match="no mapping 'third'") as error:
        made.named("third")
    assert "doc, second" in error.value.remedy
    for name in ("", "1a", "Ab", "a-b", "a" * 42):
        with pytest.raises(DeclarationError):
            Pipeline(name)
