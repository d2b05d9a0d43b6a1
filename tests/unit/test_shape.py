"""Shapes: every form of relation resolves to the columns that are equal, or says what to choose from."""

from __future__ import annotations

import types
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

import lockstep.declaration.model as ls
from lockstep.declaration.shape import Node, resolve
from lockstep.errors import DeclarationError


class Company(ls.Model, table="companies"):
    id: int = ls.key()
    owner_id: int | None = ls.ref("User.id")
    name: str


class User(ls.Model, table="users"):
    id: int = ls.key()
    company_id: int | None = ls.ref("Company.id")
    manager_id: int | None = ls.ref("User.id")
    email: str


class Profile(ls.Model, table="profiles"):
    user_id: int = ls.key(ref="User.id")
    text: str


class Tag(ls.Model, table="tags"):
    id: int = ls.key()
    name: str


class UserTag(ls.Model, table="users_tags"):
    user_id: int = ls.key(ref="User.id")
    tag_id: int = ls.key(ref="Tag.id")


class Follow(ls.Model, table="follows"):
    follower_id: int = ls.key(ref="User.id")
    followed_id: int = ls.key(ref="User.id")


class Message(ls.Model, table="messages"):
    id: int = ls.key()
    author_id: int = ls.ref("User.id")
    reader_id: int | None = ls.ref("User.id")
    thread_id: int | None = ls.column("Thread Id")


class Order(ls.Model, table="orders"):
    shop: str = ls.key()
    number: int = ls.key()


class Line(
    ls.Model,
    table="lines",
    references=[ls.Reference(("order_number", "order_shop"), "Order", ("number", "shop"))],
):
    id: int = ls.key()
    order_shop: str
    order_number: int


def join(shape: type[ls.Model], field: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    (node,) = [child for child in resolve(shape).children if child.field == field]
    return node.down, node.up


def wrong(annotation: str, said: Any = None, base: type[ls.Model] = User) -> DeclarationError:
    """The error of a shape with one relation."""

    def body(namespace: dict[str, Any]) -> None:
        namespace.update(__annotations__={"x": annotation}, __module__=__name__, __qualname__="Wrong")
        if said is not None:
            namespace["x"] = said

    shape: Any = types.new_class("Wrong", (base,), {}, body)
    with pytest.raises(DeclarationError) as error:
        resolve(shape)
    return error.value


class Everything(User):
    company: Company | None
    owned: Company | None = ls.one(on=Company.owner_id)
    staffless: list[Company] = ls.many(on=Company.owner_id)
    manager: User | None
    reports: list[User]
    profile: Profile | None
    tags: list[Tag] = ls.many(through=UserTag)
    follows: list[User] = ls.many(through=Follow, on=(Follow.follower_id, Follow.followed_id))
    followers: list[User] = ls.many(through=Follow, on=(Follow.followed_id, Follow.follower_id))
    written: list[Message] = ls.many(on=Message.author_id)
    read: list[Message] = ls.many(on=Message.reader_id)


@pytest.mark.parametrize(
    ("field", "down", "up"),
    [
        ("company", "company_id", "id"),
        ("owned", "id", "owner_id"),
        ("staffless", "id", "owner_id"),
        ("manager", "manager_id", "id"),
        ("reports", "id", "manager_id"),
        ("profile", "id", "user_id"),
        ("tags", "id", "user_id"),
        ("follows", "id", "follower_id"),
        ("followers", "id", "followed_id"),
        ("written", "id", "author_id"),
        ("read", "id", "reader_id"),
    ],
)
def test_every_form_of_relation(field: str, down: str, up: str) -> None:
    assert join(Everything, field) == ((down,), (up,))


def test_a_link_table_is_a_node_of_its_own() -> None:
    nodes = {node.path: node for node in resolve(Everything).walk()}
    assert nodes["tags~users_tags"].cls is None
    assert (nodes["tags"].down, nodes["tags"].up) == (("tag_id",), ("id",))
    assert (nodes["follows"].down, nodes["followers"].down) == (("followed_id",), ("follower_id",))
    assert len(nodes) == 15


def test_joins_are_the_columns_a_feed_must_report() -> None:
    nodes: dict[str, Node] = {node.path: node for node in resolve(Everything).walk()}
    assert nodes["reports"].table.joins == ("manager_id",)
    assert nodes["company"].table.joins == ()
    assert nodes["profile"].table.joins == ()


def test_composite_keys_join_by_name_not_by_place() -> None:
    class Sale(Line):
        order: Order

    class Basket(Order):
        lines: list[Line]

    assert join(Sale, "order") == (("order_number", "order_shop"), ("number", "shop"))
    assert join(Basket, "lines") == (("number", "shop"), ("order_number", "order_shop"))


def test_on_names_a_column_that_is_no_foreign_key() -> None:
    class Thread(ls.Model, table="threads"):
        id: int = ls.key()

    class WithMessages(Thread):
        messages: list[Message] = ls.many(on=Message.thread_id)

    assert join(WithMessages, "messages") == (("id",), ("Thread Id",))


def test_columns_after_relations_and_shapes_of_shapes_to_any_depth() -> None:
    class Writer(User):
        profile: Profile | None
        nickname: str

    class Text(Message):
        author: Writer = ls.one(on=Message.author_id)

    class Desk(Company):
        people: list[User] = ls.many(on=User.company_id)
        size: int

    class Deep(Writer):
        written: list[Text] = ls.many(on=Message.author_id)

    assert [node.path for node in resolve(Deep).walk()] == [
        "",
        "profile",
        "written",
        "written.author",
        "written.author.profile",
    ]
    assert resolve(Desk).table.columns == ("id", "owner_id", "name", "size")


def test_link_with_one_side_named() -> None:
    class Half(User):
        follows: list[User] = ls.many(through=Follow, on=Follow.follower_id)

    (link,) = resolve(Half).children
    assert (link.up, link.children[0].down) == (("follower_id",), ("followed_id",))


def test_a_missing_foreign_key() -> None:
    error = wrong("list[Tag]")
    assert "no foreign key leads from Tag to Wrong" in str(error)
    assert "ls.many(on=Tag." in error.remedy
    error = wrong("Tag | None")
    assert "or back" in str(error)
    error = wrong("list[Tag]", ls.many(through=Follow))
    assert "Choose one" in error.remedy or "no foreign key" in str(error)


def test_two_foreign_keys_to_choose_from() -> None:
    error = wrong("list[Message]")
    assert "foreign keys of Message lead there" in str(error)
    assert error.remedy == "Choose one: on=Message.author_id or on=Message.reader_id."
    error = wrong("User", base=Message)
    assert error.remedy == "Choose one: on=Message.author_id or on=Message.reader_id."


def test_a_link_whose_sides_lead_to_one_table() -> None:
    error = wrong("list[User]", ls.many(through=Follow))
    assert "both sides of Follow lead to users" in str(error)
    assert "on=(Follow.follower_id, Follow.followed_id)" in error.remedy


def test_on_that_fits_nothing() -> None:
    error = wrong("list[Message]", ls.many(on=Tag.name))
    assert "names no column" in str(error)
    assert "on=Message.author_id" in error.remedy
    assert "is no field of a model" in str(wrong("list[Message]", ls.many(on="author_id")))


class Loop(User):
    manager: Loop | None


class Ping(User):
    written: list[Pong] = ls.many(on=Message.author_id)


class Pong(Message):
    author: Ping = ls.one(on=Message.author_id)


def test_a_shape_that_reaches_itself() -> None:
    with pytest.raises(DeclarationError, match="Loop → Loop") as error:
        resolve(Loop)
    assert (
        error.value.remedy
        == "Name the depth: annotate `manager` with a model without relations, such as User."
    )
    with pytest.raises(DeclarationError, match=r"Ping → Pong → Ping \(through written.author\)"):
        resolve(Ping)


class Letter(ls.Model, table="letters"):
    id: str = ls.key()
    sender: str | None = ls.ref("User.id")
    weight: Decimal | None = ls.ref("Tag.id")


class Stamp(ls.Model, table="stamps"):
    letter_id: str = ls.key(ref="Letter.id")
    tag_id: UUID = ls.key(ref="Tag.id")


class Sent(Letter):
    user: User | None = ls.one(on=Letter.sender)


class Received(User):
    letters: list[Letter]


class Stamped(Letter):
    tags: list[Tag] = ls.many(through=Stamp)


class Weighed(Letter):
    tag: Tag | None


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (Sent, "Sent.user: Sent.sender is a text and User.id is a number, and those are never equal"),
        (Received, "Received.letters: Received.id is a number and Letter.sender is a text"),
        (Stamped, "Stamped.tags: Stamp.tag_id is a uuid and Tag.id is a number"),
    ],
)
def test_columns_that_are_never_equal(shape: type[ls.Model], message: str) -> None:
    """They would join nothing, without a word."""
    with pytest.raises(DeclarationError) as error:
        resolve(shape)
    assert str(error.value).startswith(message)


def test_numbers_of_any_type_may_be_equal() -> None:
    assert join(Weighed, "tag") == (("weight",), ("id",))


def module(name: str, text: str) -> dict[str, Any]:
    """A module of its own, so that names may be the same in two."""
    import sys

    made = types.ModuleType(name)
    sys.modules[name] = made
    exec("from __future__ import annotations\nimport lockstep.declaration.model as ls\n" + text, vars(made))
    return vars(made)


def test_classes_of_one_name_in_two_modules() -> None:
    """A reference means what it means where it was written."""
    module(
        "billing_models",
        "class Company(ls.Model, table='payers'):\n  id: int = ls.key()\n"
        "class Account(ls.Model, table='accounts'):\n"
        "  id: int = ls.key()\n  company_id: int = ls.ref('Company.id')\n",
    )
    made = module(
        "app_shapes",
        "from billing_models import Account\nimport billing_models\n"
        "class Company(ls.Model, table='companies'):\n  id: int = ls.key()\n"
        "class Paid(Account):\n  company: billing_models.Company\n",
    )
    assert join(made["Paid"], "company") == (("company_id",), ("id",))


def test_classes_made_inside_a_function() -> None:
    class Room(ls.Model, table="rooms"):
        id: int = ls.key()

    class Seat(ls.Model, table="seats"):
        id: int = ls.key()
        room_id: int = ls.ref("Room.id")

    class Hall(Room):
        seats: list[Seat]

    assert join(Hall, "seats") == (("id",), ("room_id",))
