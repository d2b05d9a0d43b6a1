"""Chinook's customers in OpenSearch: who they are, who looks after them, and everything they bought.

One document a customer, from eight tables:

    customer ── support rep
             └─ invoices ── lines ── track ── genre
                                           └─ album ── artist

A change of any of these rows rewrites the documents that hold it: rename an artist, and all customers who
ever bought a track of theirs follow.
"""

# The models are beside this file; a type checker that starts in another directory does not find them.
# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

from decimal import Decimal

from models import Album, Artist, Customer, Employee, Genre, Invoice, InvoiceLine, Track

import lockstep as ls

chinook = ls.Postgres.from_env("CHINOOK_DATABASE_URL", slot="chinook", publication="chinook")
search = ls.OpenSearch.from_env("OPENSEARCH_URL")
pipeline = ls.Pipeline("chinook")


# Shapes: a model and what hangs on it. Each relation is found by its foreign key. `| None` where the
# column may be null: a customer without a rep is a customer, an album without an artist would be an error.


class AlbumWithArtist(Album):
    artist: Artist


class TrackOnAlbum(Track):
    album: AlbumWithArtist | None
    genre: Genre | None


class Line(InvoiceLine):
    track: TrackOnAlbum


class InvoiceWithLines(Invoice):
    lines: list[Line]


class FullCustomer(Customer):
    support_rep: Employee | None
    invoices: list[InvoiceWithLines]


# How OpenSearch indexes the documents: its own mappings, used when the index is made. "nested" keeps the
# fields of one line together, so that a query for an artist and a price means one and the same line.

keyword = {"type": "keyword"}
text = {"type": "text", "fields": {"raw": keyword}}
money = {"type": "scaled_float", "scaling_factor": 100}

customers_index = search.index(
    "chinook_customers",
    mappings={
        "properties": {
            "name": text,
            "email": keyword,
            "company": text,
            "city": keyword,
            "country": keyword,
            "support_rep": {"properties": {"name": text, "title": keyword, "email": keyword}},
            "spent": money,
            "first_invoice": {"type": "date"},
            "last_invoice": {"type": "date"},
            "artists": keyword,
            "invoices": {
                "type": "nested",
                "properties": {
                    "number": {"type": "integer"},
                    "date": {"type": "date"},
                    "total": money,
                    "lines": {
                        "type": "nested",
                        "properties": {
                            "track": text,
                            "album": text,
                            "artist": text,
                            "genre": keyword,
                            "price": money,
                            "quantity": {"type": "integer"},
                        },
                    },
                },
            },
        }
    },
)


@pipeline.mapping(chinook, to=customers_index)
def customers(customer: FullCustomer) -> dict[str, object]:
    """What a customer means in the index."""
    # Lists come in the order of their keys. Where a document is to show another one, sort, and sort a copy.
    newest_first = sorted(customer.invoices, key=lambda one: (one.invoice_date, one.invoice_id), reverse=True)
    dates = [invoice.invoice_date.date() for invoice in newest_first]  # the time of day is always midnight
    return {
        "name": f"{customer.first_name} {customer.last_name}",
        "email": customer.email.lower(),
        "company": customer.company,
        "city": customer.city,
        "country": customer.country,
        "support_rep": support_rep(customer.support_rep),
        "spent": sum((invoice.total for invoice in newest_first), Decimal("0.00")),  # money is exact
        "first_invoice": dates[-1] if dates else None,
        "last_invoice": dates[0] if dates else None,
        "artists": sorted({name for invoice in newest_first for name in artists(invoice)}),
        "invoices": [
            {
                "number": invoice.invoice_id,
                "date": invoice.invoice_date.date(),
                "total": invoice.total,
                "lines": [
                    bought(line) for line in sorted(invoice.lines, key=lambda one: one.invoice_line_id)
                ],
            }
            for invoice in newest_first
        ],
    }


def support_rep(employee: Employee | None) -> dict[str, object] | None:
    if employee is None:
        return None
    name = f"{employee.first_name} {employee.last_name}"
    return {"name": name, "title": employee.title, "email": employee.email}


def bought(line: Line) -> dict[str, object]:
    track = line.track
    return {
        "track": track.name,
        "album": track.album and track.album.title,
        "artist": track.album and track.album.artist.name,
        "genre": track.genre and track.genre.name,
        "price": line.unit_price,
        "quantity": line.quantity,
    }


def artists(invoice: InvoiceWithLines) -> list[str]:
    albums = [line.track.album for line in invoice.lines]
    return [album.artist.name for album in albums if album and album.artist.name]
