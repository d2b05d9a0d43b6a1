"""Everything that can happen to a relation: operations on one cell, each one transaction of SQL.

Keys are written `{1}`, `{2}`: the rows that are there; `{3}` and above: rows that are not. An operation
whose name ends in "=" leaves every document as it was.
"""

from __future__ import annotations

from collections.abc import Iterator

Operations = dict[str, list[str]]


def of_one(
    table: str, column: str, key: str = "id", form: str = "", *, constrained: bool = True
) -> Operations:
    """A root's column leads to a row: 1-1 or N-1."""
    one, two, three, nine = (f"{{{form}{n}}}" for n in (1, 2, 3, 9))
    new = _new(table, key, three)
    found = {
        "row inserted, then pointed at": [new, f"UPDATE hubs SET {column} = {three} WHERE id = {{1}}"],
        "row changed": [f"UPDATE {table} SET name = 'changed' WHERE {key} = {one}"],
        "row deleted": [f"DELETE FROM {table} WHERE {key} = {one}"],
        "row deleted and there again": [
            f"DELETE FROM {table} WHERE {key} = {one}",
            _new(table, key, one, 1),
            f"UPDATE hubs SET {column} = {one} WHERE id = {{1}}",
        ],
        "root points elsewhere": [
            f"UPDATE hubs SET {column} = NULL WHERE id = {{2}}",
            f"UPDATE hubs SET {column} = {two} WHERE id = {{1}}",
        ],
        "root points nowhere": [f"UPDATE hubs SET {column} = NULL WHERE id = {{1}}"],
        "two roots exchange": [
            f"UPDATE hubs SET {column} = NULL WHERE id = {{1}}",
            f"UPDATE hubs SET {column} = {one} WHERE id = {{2}}",
            f"UPDATE hubs SET {column} = {two} WHERE id = {{1}}",
        ],
        "row's key changed" + ("=" if constrained else ""): [
            f"UPDATE {table} SET {key} = {three} WHERE {key} = {one}"
        ],
        "row's key changed, and the row": [
            f"UPDATE {table} SET {key} = {three}, name = 'moved' WHERE {key} = {one}"
        ],
        "two rows exchange their keys" + ("=" if constrained else ""): [
            f"UPDATE {table} SET {key} = {nine} WHERE {key} = {one}",
            f"UPDATE {table} SET {key} = {one} WHERE {key} = {two}",
            f"UPDATE {table} SET {key} = {two} WHERE {key} = {nine}",
        ],
        "root and row deleted": [
            "DELETE FROM hubs WHERE id = {1}",
            f"DELETE FROM {table} WHERE {key} = {one}",
        ],
        "row and root deleted": [
            f"DELETE FROM {table} WHERE {key} = {one}",
            "DELETE FROM hubs WHERE id = {1}",
        ],
        "root before its row": [
            f"INSERT INTO hubs (id, name, {column}) VALUES ({{3}}, 'new', {three})",
            new,
        ],
        "shared by both, then changed": [
            f"UPDATE hubs SET {column} = NULL WHERE id = {{2}}",
            f"UPDATE hubs SET {column} = {one} WHERE id = {{2}}",
            f"UPDATE {table} SET name = 'shared' WHERE {key} = {one}",
        ],
    }
    if table == "profiles":  # one to one
        del found["two roots exchange"], found["shared by both, then changed"]
        found["root points elsewhere"].reverse()
        found["root points elsewhere"] = found["root points elsewhere"][::-1]
    return found


def of_many(table: str, column: str, parent: str = "hubs", *, constrained: bool = True) -> Operations:
    """Rows lead to the row they hang on."""
    put = f"INSERT INTO {table} (id, {column}, name) VALUES"
    found = {
        "child inserted": [f"{put} ({{3}}, {{1}}, 'new')"],
        "child changed": [f"UPDATE {table} SET name = 'changed' WHERE id = {{1}}"],
        "child deleted": [f"DELETE FROM {table} WHERE id = {{1}}"],
        "child moved": [f"UPDATE {table} SET {column} = {{2}} WHERE id = {{1}}"],
        "child moved and changed": [f"UPDATE {table} SET {column} = {{2}}, name = 'moved' WHERE id = {{1}}"],
        "child moved there and back": [
            f"UPDATE {table} SET {column} = {{2}} WHERE id = {{1}}",
            f"UPDATE {table} SET {column} = {{1}}, name = 'back' WHERE id = {{1}}",
        ],
        "child moved, then deleted": [
            f"UPDATE {table} SET {column} = {{2}} WHERE id = {{1}}",
            f"DELETE FROM {table} WHERE id = {{1}}",
        ],
        "child's key changed": [f"UPDATE {table} SET id = {{3}}, name = 'key' WHERE id = {{1}}"],
        "child's key changed and moved": [
            f"UPDATE {table} SET id = {{3}}, {column} = {{2}} WHERE id = {{1}}"
        ],
        "child deleted and there again": [
            f"DELETE FROM {table} WHERE id = {{1}}",
            f"{put} ({{1}}, {{1}}, 'again')",
        ],
        "child deleted and there again elsewhere": [
            f"DELETE FROM {table} WHERE id = {{1}}",
            f"{put} ({{1}}, {{2}}, 'again')",
        ],
        "child before its parent": [
            f"{put} ({{3}}, {{3}}, 'early')",
            f"INSERT INTO {parent} (id, name) VALUES ({{3}}, 'late')",
            *([] if parent == "hubs" else [_hang(parent)]),
        ],
        "parent and children deleted": [f"DELETE FROM {parent} WHERE id = {{1}}"],
        "child, then parent deleted": [
            f"DELETE FROM {table} WHERE id = {{1}}",
            f"DELETE FROM {parent} WHERE id = {{1}}",
        ],
        "child moved away, then its parent deleted": [
            f"UPDATE {table} SET {column} = {{2}} WHERE id = {{1}}",
            f"DELETE FROM {parent} WHERE id = {{1}}",
        ],
        "parent's key changed": [f"UPDATE {parent} SET id = {{3}}, name = 'moved' WHERE id = {{1}}"],
    }
    if table == "passports":  # one to one: the other's goes first
        for name, given in found.items():
            if any(f"{column} = {{2}}" in one or "{1}, {2}" in one for one in given):
                found[name] = ["DELETE FROM passports WHERE id = {2}", *given]
        found["child inserted"] = ["DELETE FROM passports WHERE id = {1}", *found["child inserted"]]
        return found
    found["child cut off"] = [f"UPDATE {table} SET {column} = NULL WHERE id = {{1}}"]
    found["two parents exchange children"] = [
        f"UPDATE {table} SET {column} = {{2}} WHERE id = {{1}}",
        f"UPDATE {table} SET {column} = {{1}} WHERE id = {{2}}",
    ]
    return found


def of_links(link: str, near: str, far: str, table: str, *, keyed: bool) -> Operations:
    """Rows of a link table lead both ways. `keyed`: the link has a key of its own."""
    third = ("{3}, " if keyed else "", "{4}, " if keyed else "")
    new = f"INSERT INTO {table} (id, name) VALUES ({{3}}, 'new')"
    return {
        "link inserted": [f"INSERT INTO {link} VALUES ({third[0]}{{1}}, {{2}})"],
        "link deleted": [f"DELETE FROM {link} WHERE {near} = {{1}}"],
        "link moved to another root": [f"UPDATE {link} SET {near} = {{2}} WHERE {near} = {{1}}"],
        "link moved to another row": [f"UPDATE {link} SET {far} = {{2}} WHERE {near} = {{1}}"],
        "two links exchanged": [
            f"UPDATE {link} SET {far} = {{2}} WHERE {near} = {{1}}",
            f"UPDATE {link} SET {far} = {{1}} WHERE {near} = {{2}}",
        ],
        "link before its row": [f"INSERT INTO {link} VALUES ({third[0]}{{1}}, {{3}})", new],
        "link before its root": [
            f"INSERT INTO {link} VALUES ({third[0]}{{3}}, {{1}})",
            "INSERT INTO hubs (id, name) VALUES ({3}, 'new')",
        ],
        "linked row changed": [f"UPDATE {table} SET name = 'changed' WHERE id = {{1}}"],
        "linked row shared, then changed": [
            f"INSERT INTO {link} VALUES ({third[0]}{{2}}, {{1}})",
            f"UPDATE {table} SET name = 'shared' WHERE id = {{1}}",
        ],
        "linked row deleted": [f"DELETE FROM {table} WHERE id = {{1}}"],
        "linked row's key changed": [f"UPDATE {table} SET id = {{3}}, name = 'moved' WHERE id = {{1}}"],
        "link and row deleted": [
            f"DELETE FROM {link} WHERE {near} = {{1}}",
            f"DELETE FROM {table} WHERE id = {{1}}",
        ],
        "link, row and root deleted": [
            f"DELETE FROM {table} WHERE id = {{1}}",
            "DELETE FROM hubs WHERE id = {1}",
        ],
        "link deleted and there again=": [
            f"DELETE FROM {link} WHERE {near} = {{1}}",
            f"INSERT INTO {link} VALUES ({third[0]}{{1}}, {{1}})",
        ],
    }


def _new(table: str, key: str, value: str, spare: int = 3) -> str:
    if table == "products":
        return f"INSERT INTO products VALUES ({{{spare}}}, {value}, 'new')"
    return f"INSERT INTO {table} ({key}, name) VALUES ({value}, 'new')"


def _hang(parent: str) -> str:
    above = {"items": "hub_id", "pieces": "item_id"}[parent]
    return f"UPDATE {parent} SET {above} = {{1}} WHERE id = {{3}}"


def of_roots() -> Operations:
    """What happens to the root itself."""
    return {
        "inserted": ["INSERT INTO hubs (id, name, boss_id) VALUES ({3}, 'new', {1})"],
        "changed": ["UPDATE hubs SET name = 'changed' WHERE id = {1}"],
        "deleted": ["DELETE FROM hubs WHERE id = {2}"],
        "its key changed": ["UPDATE hubs SET id = {3} WHERE id = {2}"],
        "its key changed, and the boss's": [
            "UPDATE hubs SET id = {3} WHERE id = {2}",
            "UPDATE hubs SET id = {4} WHERE id = {1}",
        ],
        "deleted and there again": [
            "DELETE FROM hubs WHERE id = {2}",
            "INSERT INTO hubs (id, name, sku) VALUES ({2}, 'again', {t1})",
        ],
        "two exchange their keys": [
            "UPDATE hubs SET id = {9} WHERE id = {1}",
            "UPDATE hubs SET id = {1} WHERE id = {2}",
            "UPDATE hubs SET id = {2} WHERE id = {9}",
        ],
        "a circle of two": ["UPDATE hubs SET boss_id = {2} WHERE id = {1}"],
        "a circle of two, turned": [
            "UPDATE hubs SET boss_id = {2} WHERE id = {1}",
            "UPDATE hubs SET boss_id = {2} WHERE id = {2}",
        ],
        "its own boss no more": ["UPDATE hubs SET boss_id = NULL WHERE id = {1}"],
        "the boss renamed": ["UPDATE hubs SET name = 'boss' WHERE id = {1}"],
        "the boss deleted": ["DELETE FROM hubs WHERE id = {1}"],
    }


def of_regions() -> Operations:
    """A composite key, half of which may be null: then it leads nowhere."""
    to = "UPDATE hubs SET region_a = {t2}, region_b = {2} WHERE id = {1}"
    return {
        "half of it null": ["UPDATE hubs SET region_b = NULL WHERE id = {1}"],
        "the other half null": ["UPDATE hubs SET region_a = NULL WHERE id = {1}"],
        "half null, and whole again=": [
            "UPDATE hubs SET region_b = NULL WHERE id = {1}",
            "UPDATE hubs SET region_b = {1} WHERE id = {1}",
        ],
        "points elsewhere": [to],
        "row changed": ["UPDATE regions SET name = 'changed' WHERE b = {1}"],
        "half of the row's key changed": ["UPDATE regions SET b = {3}, name = 'moved' WHERE b = {1}"],
        "row deleted": ["DELETE FROM regions WHERE b = {1}"],
        "row before": [
            "UPDATE hubs SET region_a = {t3}, region_b = {3} WHERE id = {1}",
            "INSERT INTO regions VALUES ({t3}, {3}, 'new')",
            "INSERT INTO cells VALUES ({t3}, {3}, 1, 'new')",
        ],
        "child inserted": ["INSERT INTO cells VALUES ({t1}, {1}, 2, 'new')"],
        "child moved": ["UPDATE cells SET a = {t2}, b = {2}, n = 7 WHERE b = {1}"],
        "child deleted": ["DELETE FROM cells WHERE b = {1}"],
        "shared, then changed": [to, "UPDATE regions SET name = 'shared' WHERE b = {2}"],
    }


def chain() -> Operations:
    """Four to seven levels below the root, each level in its turn."""
    found: Operations = {}
    levels = (("items", "part_id", "parts"), ("parts", "maker_id", "makers"))
    levels += (("makers", "city_id", "cities"), ("cities", "country_id", "countries"))  # type: ignore[assignment]
    levels += (("countries", "planet_id", "planets"),)  # type: ignore[assignment]
    for above, column, table in levels:
        found |= {
            f"{table} changed": [f"UPDATE {table} SET name = 'changed' WHERE id = {{1}}"],
            f"{table} deleted": [f"DELETE FROM {table} WHERE id = {{1}}"],
            f"{table} of another": [f"UPDATE {above} SET {column} = {{2}} WHERE id = {{1}}"],
            f"{table} of another, then the old one deleted": [
                f"UPDATE {above} SET {column} = {{2}} WHERE id = {{1}}",
                f"DELETE FROM {table} WHERE id = {{1}}",
            ],
            f"{table} with another key": [f"UPDATE {table} SET id = {{3}}, name = 'moved' WHERE id = {{1}}"],
        }
    return found


def every(schema: str = "") -> Iterator[tuple[str, list[str]]]:
    """(name, statements) of every operation on every kind of relation."""
    groups = {
        "1-1 on the parent": of_one("profiles", "profile_id"),
        "first of two to one table": of_one("texts", "question_id"),
        "second of two to one table": of_one("texts", "answer_id"),
        "unique column, no key": of_one("products", "sku", "sku", "t"),
        "uuid": of_one("badges", "badge_id", form="u"),
        "numeric": of_one("rates", "rate_id", form="r"),
        "text": of_one("labels", "label_id", form="t"),
        "other schema": of_one(f"{schema}partners", "partner_id"),
        "no foreign key, one": of_one("ghosts", "ghost_id", constrained=False),
        "1-1 on the child": of_many("passports", "hub_id"),
        "1-N": of_many("items", "hub_id"),
        "1-N below": of_many("pieces", "item_id", "items"),
        "1-N far below": of_many("chips", "piece_id", "pieces"),
        "no foreign key, many": of_many("notes", "about", constrained=False),
        "N-M": of_links("hub_tags", "hub_id", "tag_id", "tags", keyed=False),
        "N-M with a key": of_links("markings", "hub_id", "mark_id", "marks", keyed=True),
        "composite": of_regions(),
        "root": of_roots(),
        "levels": chain(),
    }
    for group, operations in groups.items():
        for name, statements in operations.items():
            yield f"{group}: {name}", statements
