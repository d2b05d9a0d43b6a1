"""Models: what an annotation says, and what is said when it says nothing or two things."""

from __future__ import annotations

import sys
import types
from typing import Any, ClassVar, Optional  # noqa: F401 - an annotation below names it

import pytest

import lockstep.declaration.model as ls
from lockstep.declaration.described import describe, model_named
from lockstep.errors import DeclarationError


class Company(ls.Model, table="companies"):
    id: int = ls.key()
    name: str


class User(ls.Model, table="users"):
    kind: ClassVar[str] = "person"
    id: int = ls.key()
    company_id: int | None = ls.ref("Company.id")
    email: str = ls.personal("email")
    title: str = ls.column("Job Title")


def test_columns() -> None:
    found = describe(User)
    assert [column.field for column in found.columns] == ["id", "company_id", "email", "title"]
    assert [column.name for column in found.columns] == ["id", "company_id", "email", "Job Title"]
    assert [column.nullable for column in found.columns] == [False, True, False, False]
    assert found.column("email").data_class == "email"
    assert [column.field for column in found.key] == ["id"]


def test_every_field_is_required_positional_and_frozen() -> None:
    user = User(1, None, "e", "t")  # type: ignore[call-arg]
    assert (user.id, user.title) == (1, "t")
    with pytest.raises(TypeError, match="Missing required argument"):
        User(1, None, "e")  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        user.email = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    "annotation",
    [
        "list[Company] | None",
        "list[Company | None]",
        "set[Company]",
        "dict[str, Company]",
        "tuple[Company, ...]",
        "Company | User",
        "Company | str",
        "list[list[Company]]",
        "Optional[list[Company]]",
    ],
)
def test_what_names_no_one_related_model_is_an_error(annotation: str) -> None:
    shape = types.new_class(
        "Wrong", (User,), {}, lambda body: body.update(__annotations__={"x": annotation}, __module__=__name__)
    )
    assert issubclass(shape, ls.Model)
    with pytest.raises(DeclarationError, match="does not name one related model") as error:
        describe(shape)
    assert "list[Company]" in error.value.remedy


def test_relations_as_annotated() -> None:
    class Firm(Company):
        users: list[User]
        best: User | None
        first: User

    firm = describe(Firm)
    assert [(r.field, r.many, r.optional) for r in firm.relations] == [
        ("users", True, False),
        ("best", False, True),
        ("first", False, False),
    ]


def test_many_needs_a_list_and_a_model() -> None:
    class One(Company):
        user: User | None = ls.many()  # type: ignore[assignment]

    class Plain(Company):
        user: int = ls.one()

    with pytest.raises(DeclarationError, match=r"One\.user"):
        describe(One)
    with pytest.raises(DeclarationError, match="cannot be a relation"):
        describe(Plain)


def test_an_unknown_name() -> None:
    class Lost(Company):
        user: Nowhere  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(DeclarationError, match=r"Lost.user: the annotation 'Nowhere'"):
        describe(Lost)


def test_no_table_no_key_no_column() -> None:
    class Bare(ls.Model):
        id: int = ls.key()

    class Keyless(ls.Model, table="keyless"):
        id: int

    with pytest.raises(DeclarationError, match="Bare names no table"):
        describe(Bare)
    with pytest.raises(DeclarationError, match="Keyless has no key"):
        describe(Keyless)
    with pytest.raises(DeclarationError, match="has no column 'emial'") as error:
        describe(User).column("emial")
    assert "email" in error.value.remedy


def test_a_reference_that_names_no_field_or_no_model() -> None:
    class Half(ls.Model, table="half"):
        id: int = ls.key()
        company_id: int = ls.ref("Company")

    with pytest.raises(DeclarationError, match="names no field of a model"):
        describe(Half).references()
    with pytest.raises(DeclarationError, match="refers to a model 'Nobody'"):
        model_named("Nobody", User)


def test_a_default_has_no_place_in_a_model() -> None:
    with pytest.raises(DeclarationError, match=r"Defaulted\.name has a default"):

        class Defaulted(ls.Model, table="defaulted"):
            id: int = ls.key()
            name: str = "x"


def test_forward_references_inside_a_list_that_is_no_text() -> None:
    """Without `from __future__ import annotations` a forward reference is a text inside the list."""
    made: dict[str, Any] = {"__name__": "forward"}
    module = types.ModuleType("forward")
    sys.modules["forward"] = module
    made = vars(module)
    exec(
        "import lockstep.declaration.model as ls\n"
        "from typing import Optional\n"
        "class Room(ls.Model, table='rooms'):\n"
        "    id: int = ls.key()\n"
        "    seats: list['Seat']\n"
        "    best: Optional['Seat']\n"
        "class Seat(ls.Model, table='seats'):\n"
        "    id: int = ls.key()\n"
        "    room_id: int = ls.ref('Room.id')\n",
        made,
    )
    try:
        found = describe(made["Room"])
        assert [(r.field, r.to.__name__, r.many) for r in found.relations] == [
            ("seats", "Seat", True),
            ("best", "Seat", False),
        ]
    finally:
        del sys.modules["forward"]
