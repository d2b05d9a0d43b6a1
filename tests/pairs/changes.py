"""Changes of every kind, by the level of the document they reach."""

from __future__ import annotations

CHANGES = {
    "root": [
        "INSERT INTO users VALUES (100, 1, 'New@Example.com')",
        "UPDATE users SET email = 'Other@example.com' WHERE id = 1",
        "DELETE FROM users WHERE id = 2",
        "UPDATE users SET id = 200 WHERE id = 3",
    ],
    "parent": [
        "UPDATE companies SET name = 'Renamed' WHERE id = 2",
        "UPDATE users SET company_id = 3 WHERE id = 4",
        "UPDATE users SET company_id = NULL WHERE id = 5",
    ],
    "child": [
        "INSERT INTO conversations VALUES (1000, 6, 'new')",
        "UPDATE conversations SET title = 'other' WHERE user_id = 7",
        "DELETE FROM conversations WHERE user_id = 8",
        "UPDATE conversations SET user_id = 10 WHERE user_id = 9",
    ],
    "grandchild": [
        "INSERT INTO messages VALUES (1000, 20, 'new')",
        "UPDATE messages SET body = 'other' WHERE id = 2",
        "DELETE FROM messages WHERE id = 3",
        "UPDATE messages SET conversation_id = 5 WHERE id = 30",
    ],
    "links": [
        "INSERT INTO users_tags VALUES (11, 1) ON CONFLICT DO NOTHING",
        "DELETE FROM users_tags WHERE user_id = 12",
        "UPDATE users_tags SET tag_id = tag_id % 4 + 1 WHERE user_id = 13",
        "UPDATE tags SET name = 'renamed' WHERE id = 3",
    ],
    "truncate": ["TRUNCATE messages"],
    "together": [
        "DELETE FROM users WHERE id = 20",
        "INSERT INTO users VALUES (20, 5, 'again@example.com')",
        "UPDATE users SET id = 999 WHERE id = 21",
        "UPDATE users SET id = 21 WHERE id = 22",
        "UPDATE users SET id = 22 WHERE id = 999",
        "SAVEPOINT one",
        "DELETE FROM users",
        "ROLLBACK TO SAVEPOINT one",
    ],
}
