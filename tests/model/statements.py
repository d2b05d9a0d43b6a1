"""What an application may do to the small world, one statement at a time."""

from __future__ import annotations

from hypothesis import strategies as st

_key = st.integers(1, 6).map(str)
_maybe = st.one_of(_key, st.just("NULL"))
_word = st.sampled_from(["", "x", "雪", "O''Hara", "nul", "long " * 50, "y", "z"])
_address = st.sampled_from(
    [
        "a1",
        "a2",
        "a3",
        "a1,a2",
        "a2,a3",
        "a4,a1",
        "a5",
        "a6,a5,a4",
        "",
        "nobody",
        "poison",
        "b1",
        "b2,b3",
        "b4",
    ]
)


def _of(template: str, **parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Statements of a template: {k} and {l} are keys, {m} a key or null, {w} a word, {a} addresses."""
    known = {"k": _key, "l": _key, "m": _maybe, "n": _maybe, "w": _word, "a": _address}
    used = {name: known[name] for name in known if f"{{{name}}}" in template}
    return st.fixed_dictionaries(used).map(lambda values: template.format(**values))


ROWS = (
    "INSERT INTO companies VALUES (1, 'Acme'), (2, 'Bolt'), (3, 'Coil')",
    "INSERT INTO users VALUES (1, 1, NULL, 'a1', 0), (2, 1, 1, 'a2,b1', 0), (3, 2, 2, 'b2', 0),"
    " (4, 2, 4, 'b3', 0), (5, NULL, 9, 'nobody', 0)",
    "INSERT INTO tags VALUES (1, 'red'), (2, 'blue'), (3, 'green')",
    "INSERT INTO users_tags VALUES (1, 1), (1, 2), (2, 2), (3, 3), (4, 5)",
    "INSERT INTO conversations VALUES (1, 1, 'one'), (2, 2, 'two'), (3, 3, 'three'), (4, 1, 'four')",
    "INSERT INTO messages VALUES (1, 1, 'm'), (2, 1, 'n'), (3, 2, 'o'), (4, 3, 'p'), (5, 4, 'q')",
)

_ANYWHERE = (
    "INSERT INTO companies VALUES ({k}, '{w}') ON CONFLICT (id) DO UPDATE SET name = excluded.name",
    "UPDATE companies SET name = '{w}' WHERE id = {k}",
    "UPDATE companies SET id = {k} WHERE id = {l}",
    "DELETE FROM companies WHERE id = {k}",
    "INSERT INTO users VALUES ({k}, {m}, {n}, '{a}', 0) ON CONFLICT (id) DO UPDATE SET"
    " email = excluded.email",
    "INSERT INTO users VALUES ({k}, {m}, {n}, '{a}', 0) ON CONFLICT (id) DO UPDATE SET"
    " company_id = excluded.company_id, manager_id = excluded.manager_id",
    "UPDATE users SET company_id = {m} WHERE id = {k}",
    "UPDATE users SET company_id = {m} WHERE company_id = {k}",
    "UPDATE users SET manager_id = {m} WHERE id = {k}",
    "UPDATE users SET email = '{a}' WHERE id = {k}",
    "UPDATE users SET email = '{a}' WHERE id = {k}",
    "UPDATE users SET last_seen = last_seen + 1",
    "UPDATE users SET id = {k} WHERE id = {l}",
    "UPDATE users SET id = id + 10 WHERE id = {k}",
    "DELETE FROM users WHERE id = {k}",
    "DELETE FROM users WHERE id > 10",
    "INSERT INTO tags VALUES ({k}, '{w}') ON CONFLICT (id) DO UPDATE SET name = excluded.name",
    "DELETE FROM tags WHERE id = {k}",
    "INSERT INTO users_tags VALUES ({k}, {l}) ON CONFLICT DO NOTHING",
    "UPDATE users_tags SET user_id = {k} WHERE tag_id = {l}",
    "UPDATE users_tags SET tag_id = {k} WHERE user_id = {l}",
    "DELETE FROM users_tags WHERE user_id = {k}",
    "INSERT INTO conversations VALUES ({k}, {l}, '{w}') ON CONFLICT (id) DO UPDATE SET"
    " user_id = excluded.user_id, title = excluded.title",
    "UPDATE conversations SET user_id = {k} WHERE id = {l}",
    "UPDATE conversations SET id = {k} WHERE id = {l}",
    "DELETE FROM conversations WHERE user_id = {k}",
    "INSERT INTO messages VALUES ({k}, {l}, '{w}') ON CONFLICT (id) DO UPDATE SET"
    " conversation_id = excluded.conversation_id, body = excluded.body",
    "UPDATE messages SET conversation_id = {k} WHERE conversation_id = {l}",
    "UPDATE messages SET id = {k} WHERE id = {l}",
    "DELETE FROM messages WHERE id = {k}",
)
_SQLITE = (
    "INSERT OR REPLACE INTO users VALUES ({k}, {m}, {n}, '{a}', 0)",
    "INSERT OR REPLACE INTO companies VALUES ({k}, '{w}')",
    "UPDATE OR REPLACE users SET id = {k} WHERE id = {l}",
    "UPDATE OR REPLACE users_tags SET user_id = {k} WHERE tag_id = {l}",
    "UPDATE OR REPLACE messages SET id = {k} WHERE id = {l}",
    "UPDATE OR IGNORE users_tags SET tag_id = {k} WHERE user_id = {l}",
)
SWAPS = (
    ("UPDATE users SET id = -1 WHERE id = {k}", "UPDATE users SET id = {k} WHERE id = {l}",
     "UPDATE users SET id = {l} WHERE id = -1"),
    ("UPDATE conversations SET id = -1 WHERE id = {k}", "UPDATE conversations SET id = {k} WHERE id = {l}",
     "UPDATE conversations SET id = {l} WHERE id = -1"),
    ("DELETE FROM users WHERE id = {k}", "INSERT INTO users VALUES ({k}, {l}, NULL, 'b1', 0)"),
)  # fmt: skip

statements = st.one_of([_of(template) for template in _ANYWHERE])
sqlite_statements = st.one_of([_of(template) for template in (*_ANYWHERE, *_SQLITE)])
swaps = st.tuples(st.sampled_from(SWAPS), st.integers(1, 6), st.integers(1, 6)).map(
    lambda drawn: [one.format(k=drawn[1], l=drawn[2]) for one in drawn[0]]
)
spoils = st.one_of(
    st.just("UPDATE people SET email = 'spoilt'"),
    _of("DELETE FROM people WHERE id = {k}"),
    st.just("DELETE FROM addresses"),
    st.just("UPDATE addresses SET company = 'spoilt', user = 77"),
    _of("UPDATE people SET tags = '[]' WHERE id < {k}"),
)
