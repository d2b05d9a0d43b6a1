"""Users with their company and tags: the data, and a mapping to a search index or a table."""

from __future__ import annotations

from decimal import Decimal

import psycopg

import lockstep as ls

TABLES = ("users", "companies", "users_tags", "tags")

_SCHEMA = """
CREATE TABLE companies (id int PRIMARY KEY, name text NOT NULL, city text);
CREATE TABLE users (id int PRIMARY KEY, company_id int REFERENCES companies (id), name text NOT NULL,
  email text NOT NULL, score numeric NOT NULL, joined timestamptz NOT NULL, last_seen timestamptz);
CREATE TABLE tags (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE users_tags (user_id int NOT NULL REFERENCES users (id), tag_id int NOT NULL REFERENCES tags (id),
  PRIMARY KEY (user_id, tag_id));
INSERT INTO companies SELECT i, 'Company ' || i, 'City ' || i % 900 FROM generate_series(1, {companies}) i;
INSERT INTO tags SELECT i, 'tag ' || i FROM generate_series(1, 500) i;
INSERT INTO users SELECT i, i % {companies} + 1, 'Person ' || i, 'U' || i || '@example.com', i % 1000 / 10.0,
  timestamptz '2020-01-01Z' + i * interval '1 minute', now() FROM generate_series(1, {users}) i;
INSERT INTO users_tags SELECT i, (i * 7 + n * 131) % 500 + 1
  FROM generate_series(1, {users}) i, generate_series(1, i % 3) n;
CREATE INDEX ON users (company_id);
CREATE INDEX ON users_tags (tag_id);
CREATE SCHEMA out
"""


class Company(ls.Model, table="public.companies"):
    id: int = ls.key()
    name: str
    city: str | None


class User(ls.Model, table="public.users"):
    id: int = ls.key()
    company_id: int | None = ls.ref("Company.id")
    name: str
    email: str
    score: Decimal


class Tag(ls.Model, table="public.tags"):
    id: int = ls.key()
    name: str


class UserTag(ls.Model, table="public.users_tags"):
    user_id: int = ls.key(ref="User.id")
    tag_id: int = ls.key(ref="Tag.id")


class Person(User):
    company: Company | None
    tags: list[Tag] = ls.many(through=UserTag)


_COLUMNS = {
    "id": "integer",
    "name": "text",
    "email": "text",
    "company": "text",
    "city": "text",
    "tags": "jsonb",
}


def fill(database: str, users: int) -> None:
    """So many users in an empty database, a twentieth as many companies, one tag each on average."""
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in _SCHEMA.format(users=users, companies=max(1, users // 20)).split(";"):
            connection.execute(statement.encode())
        connection.execute("VACUUM ANALYZE")


def pipeline(database: str, target: str, state: str) -> ls.Pipeline:
    """`target`: `search|URL|INDEX`, or `table|URL|TABLE`."""
    kind, url, name = target.split("|")
    source = ls.Postgres(database, slot=f"bench_{name}_{kind}", publication=f"bench_{name}_{kind}")
    made = ls.Pipeline("bench", state=state)
    to = (
        ls.OpenSearch(url).index(name, settings={"number_of_replicas": 0})
        if kind == "search"
        else ls.Postgres(url).table(f"out.{name}", columns=_COLUMNS)
    )

    @made.mapping(source, to=to, name="people")
    def person(user: Person) -> dict[str, object]:
        return {
            "name": user.name,
            "email": user.email.lower(),
            "company": user.company and user.company.name,
            "city": user.company and user.company.city,
            "tags": [tag.name for tag in user.tags],
        }

    return made
