"""Ways to change rows, in SQL that every dialect understands, and what hints must say of them.

Nothing here lists the hints that a statement makes. The state before and after is compared: whatever
differs must be hinted, whichever way it came about. So a connector adds a way by writing its statement.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lockstep.forms import keys
from lockstep.testing.source_world import Row, State, World, joins_of
from lockstep.values import Hint, Key, Table


@dataclass(frozen=True)
class Way:
    """Statements of one transaction, and the tables whose rows must differ after it.

    `first` is run and committed before the law looks.
    """

    name: str
    statements: tuple[str, ...]
    changes: tuple[str, ...]
    first: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


def way(name: str, changes: str, *statements: str, first: tuple[str, ...] = ()) -> Way:
    """A way; `changes` are the tables' names with ", " between."""
    return Way(name, statements, tuple(changes.split(", ")), first)


WAYS = (
    way("insert", "users", "INSERT INTO users(id, company_id) VALUES (5, 1)"),
    way("insert several", "tags", "INSERT INTO tags(id, name) VALUES (4, 'a'), (5, 'b'), (6, 'c')"),
    way(
        "insert from a query",
        "users",
        "INSERT INTO users(id, company_id) SELECT id + 10, company_id FROM users",
    ),
    way("insert a composite key", "users_tags", "INSERT INTO users_tags(user_id, tag_id) VALUES (4, 3)"),
    way("update", "users", "UPDATE users SET name = 'Anna' WHERE id = 1"),
    way("update to null", "users", "UPDATE users SET email = NULL WHERE id = 1"),
    way("update all", "users", "UPDATE users SET visits = 7"),
    way("update from a query", "users", "UPDATE users SET name = (SELECT name FROM tags WHERE id = 1)"),
    way("update a join column", "users", "UPDATE users SET company_id = 3 WHERE company_id = 1"),
    way("update a join column to null", "users", "UPDATE users SET company_id = NULL WHERE id = 1"),
    way("update a join column from null", "users", "UPDATE users SET company_id = 2 WHERE id = 4"),
    way("change a key", "messages", "UPDATE messages SET id = 200 WHERE id = 100"),
    way("change every key", "messages", "UPDATE messages SET id = id + 1000"),
    way("change a part of a key", "regions", "UPDATE regions SET country = 'at' WHERE country = 'de'"),
    way(
        "change key and join column",
        "messages",
        "UPDATE messages SET id = 7, conversation_id = 13 WHERE id = 100",
    ),
    way("move a link", "users_tags", "UPDATE users_tags SET tag_id = 3 WHERE user_id = 1 AND tag_id = 2"),
    way(
        "exchange two keys",
        "messages",
        "UPDATE messages SET id = -1 WHERE id = 100",
        "UPDATE messages SET id = 100 WHERE id = 101",
        "UPDATE messages SET id = 101 WHERE id = -1",
    ),
    way("delete", "messages", "DELETE FROM messages WHERE id = 100"),
    way(
        "delete by a query",
        "messages",
        "DELETE FROM messages WHERE id IN (SELECT id + 90 FROM conversations)",
    ),
    way("delete all", "messages", "DELETE FROM messages"),
    way("delete all with a condition", "messages", "DELETE FROM messages WHERE 1 = 1"),
    way(
        "delete what is referred to: cascade",
        "conversations, messages",
        "DELETE FROM conversations WHERE id = 10",
    ),
    way(
        "delete, two cascades", "users, users_tags, conversations, messages", "DELETE FROM users WHERE id = 1"
    ),
    way("delete, set null", "companies, users", "DELETE FROM companies WHERE id = 1"),
    way("delete all, cascades", "users, users_tags, conversations, messages", "DELETE FROM users"),
    way("change a key, cascade", "companies, users", "UPDATE companies SET id = 9 WHERE id = 1"),
    way("change a key, cascade into a key", "tags, users_tags", "UPDATE tags SET id = 9 WHERE id = 1"),
    way(
        "upsert that inserts",
        "accounts",
        "INSERT INTO accounts(id, login) VALUES (9, 'new') ON CONFLICT (id) DO UPDATE SET login = 'old'",
    ),
    way(
        "upsert that updates",
        "accounts",
        "INSERT INTO accounts(id, login, owner) VALUES (1, 'new', 4)"
        " ON CONFLICT (id) DO UPDATE SET login = excluded.login, owner = excluded.owner",
    ),
    way(
        "upsert on another unique index",
        "accounts",
        "INSERT INTO accounts(id, login, owner) VALUES (9, 'ann', 4)"
        " ON CONFLICT (login) DO UPDATE SET id = excluded.id, owner = excluded.owner",
    ),
    way(
        "upsert that does nothing, and one that inserts",
        "accounts",
        "INSERT INTO accounts(id, login) VALUES (1, 'x'), (8, 'y') ON CONFLICT DO NOTHING",
    ),
    way(
        "insert and delete and insert again",
        "tags",
        "INSERT INTO tags(id, name) VALUES (4, 'first')",
        "DELETE FROM tags WHERE id = 4",
        "INSERT INTO tags(id, name) VALUES (4, 'second')",
    ),
    way(
        "delete and insert again",
        "tags, users_tags",
        "DELETE FROM tags WHERE id = 3",
        "INSERT INTO tags VALUES (3, 'new')",
    ),
    way("an odd table", "Odd Table", 'UPDATE "Odd Table" SET "Owner\'s Id" = 3, "Select" = \'x\''),
    way("text with quotes in a key", "regions", "INSERT INTO regions VALUES ('it''s|\\', 1, NULL)"),
    way("numbers beyond 32 bits", "users", "UPDATE users SET visits = -9223372036854775807 WHERE id = 1"),
)


def differing(world: World, before: State, after: State) -> list[tuple[Table, Key, Row | None, Row | None]]:
    """Every key whose row is not as it was."""
    found = []
    for table in world.tables:
        old, new = before[table.name], after[table.name]
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                found.append((table, key, old.get(key), new.get(key)))
    return found


def assert_covered(world: World, before: State, after: State, hints: Iterable[Hint]) -> None:
    """Asserts that hints tell of every difference, with its join columns before and after."""
    by_key: dict[tuple[str, Key], list[Hint]] = {}
    whole: set[str] = set()
    for hint in hints:
        if hint.span is not None:
            whole.add(hint.table)
        for key in (*hint.keys, *([] if hint.key is None else [hint.key])):
            by_key.setdefault((hint.table, key), []).append(hint)
    for table, key, old, new in differing(world, before, after):
        if table.name in whole:
            continue
        mine = by_key.get((table.name, key), [])
        what = f"{table.name} {keys.text(key)}"
        assert mine, f"no hint of {what}"
        for name in table.joins:
            told_before = [hint.before[name] for hint in mine if hint.before is not None]
            told_after = [hint.after[name] for hint in mine if hint.after is not None]
            if new is not None:
                assert joins_of(table, new)[name] in told_after, f"{what}: {name} after"
            if old is not None and world.before_images:
                assert joins_of(table, old)[name] in told_before, f"{what}: {name} before"
