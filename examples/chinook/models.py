"""The models of Chinook, written by `lockstep explore`, then owned.

Taken out since: the tables of playlists, and columns that no mapping needs (a change of one of those is
no change for Lockstep). Marked since: personal data.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import lockstep as ls


class Artist(ls.Model, table="public.artist"):
    artist_id: int = ls.key()
    name: str | None


class Album(ls.Model, table="public.album"):
    album_id: int = ls.key()
    title: str
    artist_id: int = ls.ref("Artist.artist_id")


class Employee(ls.Model, table="public.employee"):
    employee_id: int = ls.key()
    last_name: str
    first_name: str
    title: str | None
    email: str | None


class Customer(ls.Model, table="public.customer"):
    customer_id: int = ls.key()
    first_name: str = ls.personal("name")
    last_name: str = ls.personal("name")
    company: str | None
    city: str | None
    country: str | None
    email: str = ls.personal("email")
    support_rep_id: int | None = ls.ref("Employee.employee_id")


class Genre(ls.Model, table="public.genre"):
    genre_id: int = ls.key()
    name: str | None


class Invoice(ls.Model, table="public.invoice"):
    invoice_id: int = ls.key()
    customer_id: int = ls.ref("Customer.customer_id")
    invoice_date: dt.datetime
    total: Decimal


class Track(ls.Model, table="public.track"):
    track_id: int = ls.key()
    name: str
    album_id: int | None = ls.ref("Album.album_id")
    genre_id: int | None = ls.ref("Genre.genre_id")


class InvoiceLine(ls.Model, table="public.invoice_line"):
    invoice_line_id: int = ls.key()
    invoice_id: int = ls.ref("Invoice.invoice_id")
    track_id: int = ls.ref("Track.track_id")
    unit_price: Decimal
    quantity: int
