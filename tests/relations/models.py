"""The models and shapes of the world with every kind of relation, for a system with schemas or without."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import lockstep as ls
from lockstep.ports import Source, Target

COLUMNS = {"id": "INTEGER", "body": "JSON"}


def declare(pipeline: ls.Pipeline, source: Source, to: Target, table: Callable[[str], str]) -> None:
    """Adds the mapping `hubs`. `table` gives a table's full name."""

    class Planet(ls.Model, table=table("planets")):
        id: int = ls.key()
        name: str

    class Country(ls.Model, table=table("countries")):
        id: int = ls.key()
        planet_id: int | None = ls.ref("Planet.id")
        name: str

    class City(ls.Model, table=table("cities")):
        id: int = ls.key()
        country_id: int | None = ls.ref("Country.id")
        name: str

    class Maker(ls.Model, table=table("makers")):
        id: int = ls.key()
        city_id: int | None = ls.ref("City.id")
        name: str

    class Part(ls.Model, table=table("parts")):
        id: int = ls.key()
        maker_id: int | None = ls.ref("Maker.id")
        name: str

    class Profile(ls.Model, table=table("profiles")):
        id: int = ls.key()
        name: str

    class Text(ls.Model, table=table("texts")):
        id: int = ls.key()
        name: str

    class Region(ls.Model, table=table("regions")):
        a: str = ls.key()
        b: int = ls.key()
        name: str

    class Cell(ls.Model, table=table("cells"), references=[ls.Reference(("a", "b"), "Region", ("a", "b"))]):
        a: str = ls.key()
        b: int = ls.key()
        n: int = ls.key()
        name: str

    class Product(ls.Model, table=table("products")):
        id: int = ls.key()
        sku: str
        name: str

    class Badge(ls.Model, table=table("badges")):
        id: UUID = ls.key()
        name: str

    class Rate(ls.Model, table=table("rates")):
        id: Decimal = ls.key()
        name: str

    class Label(ls.Model, table=table("labels")):
        id: str = ls.key()
        name: str

    class Partner(ls.Model, table=table("partners")):
        id: int = ls.key()
        name: str

    class Ghost(ls.Model, table=table("ghosts")):
        id: int = ls.key()
        name: str

    class Hub(
        ls.Model,
        table=table("hubs"),
        references=[ls.Reference(("region_a", "region_b"), "Region", ("a", "b"))],
    ):
        id: int = ls.key()
        name: str
        boss_id: int | None = ls.ref("Hub.id")
        profile_id: int | None = ls.ref("Profile.id")
        question_id: int | None = ls.ref("Text.id")
        answer_id: int | None = ls.ref("Text.id")
        region_a: str | None
        region_b: int | None
        sku: str | None = ls.ref("Product.sku")
        badge_id: UUID | None = ls.ref("Badge.id")
        rate_id: Decimal | None = ls.ref("Rate.id")
        label_id: str | None = ls.ref("Label.id")
        partner_id: int | None = ls.ref("Partner.id")
        ghost_id: int | None

    class Passport(ls.Model, table=table("passports")):
        id: int = ls.key()
        hub_id: int = ls.ref("Hub.id")
        name: str

    class Item(ls.Model, table=table("items")):
        id: int = ls.key()
        hub_id: int | None = ls.ref("Hub.id")
        part_id: int | None = ls.ref("Part.id")
        name: str

    class Piece(ls.Model, table=table("pieces")):
        id: int = ls.key()
        item_id: int | None = ls.ref("Item.id")
        name: str

    class Chip(ls.Model, table=table("chips")):
        id: int = ls.key()
        piece_id: int | None = ls.ref("Piece.id")
        name: str

    class Tag(ls.Model, table=table("tags")):
        id: int = ls.key()
        name: str

    class HubTag(ls.Model, table=table("hub_tags")):
        hub_id: int = ls.key(ref="Hub.id")
        tag_id: int = ls.key(ref="Tag.id")

    class Mark(ls.Model, table=table("marks")):
        id: int = ls.key()
        name: str

    class Marking(ls.Model, table=table("markings")):
        id: int = ls.key()
        hub_id: int | None = ls.ref("Hub.id")
        mark_id: int | None = ls.ref("Mark.id")

    class Note(ls.Model, table=table("notes")):
        id: int = ls.key()
        about: int | None
        name: str

    class CountryOf(Country):
        planet: Planet | None

    class CityOf(City):
        country: CountryOf | None

    class MakerOf(Maker):
        city: CityOf | None

    class PartOf(Part):
        maker: MakerOf | None

    class PieceOf(Piece):
        chips: list[Chip]

    class ItemOf(Item):
        part: PartOf | None
        pieces: list[PieceOf]

    class RegionOf(Region):
        cells: list[Cell]

    class Whole(Hub):
        boss: Hub | None
        reports: list[Hub] = ls.many(on=Hub.boss_id)
        profile: Profile | None
        passport: Passport | None
        question: Text | None = ls.one(on=Hub.question_id)
        answer: Text | None = ls.one(on=Hub.answer_id)
        region: RegionOf | None
        product: Product | None
        badge: Badge | None
        rate: Rate | None
        label: Label | None
        partner: Partner | None
        ghost: Ghost | None = ls.one(on=Hub.ghost_id)
        items: list[ItemOf]
        tags: list[Tag] = ls.many(through=HubTag)
        marks: list[Mark] = ls.many(through=Marking)
        notes: list[Note] = ls.many(on=Note.about)

    @pipeline.mapping(source, to=to, version="1")
    def hubs(hub: Whole) -> dict[str, object]:
        return {"id": hub.id, "body": tree(hub)}


def tree(record: Any) -> dict[str, Any]:
    """A shape as names and relations."""
    relations = {
        name: [tree(item) for item in value] if isinstance(value, list) else value and tree(value)
        for name in record.__struct_fields__
        if isinstance(value := getattr(record, name), list | ls.Model) or name in OPTIONAL
    }
    return {"name": record.name, **relations}


OPTIONAL = frozenset(
    ("boss", "profile", "passport", "question", "answer", "region", "product", "badge", "rate", "label")
) | {"partner", "ghost", "part", "maker", "city", "country", "planet"}
