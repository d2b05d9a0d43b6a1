"""What `check` finds, and that the statement it names mends it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.systems.postgres_db import Db, table, wait_until

from lockstep.systems.postgres import Postgres
from lockstep.testing.servers import PostgresServer
from lockstep.values import Finding, Table

A = table("a", "id v name", joins="v")
DDL = (
    "CREATE TABLE a(id int PRIMARY KEY, v int, name text)",
    "ALTER TABLE a REPLICA IDENTITY FULL",
    "CREATE INDEX ON a(v)",
)


@pytest.fixture
def db(postgres_url: str) -> Iterator[Db]:
    with Db(postgres_url, *DDL) as db:
        yield db


def found(db: Db, *tables: Table) -> list[Finding]:
    return db.source.check(tables or [A])


def only(db: Db, *tables: Table) -> Finding:
    (finding,) = found(db, *tables)
    assert finding.problem
    assert finding.mend
    return finding


def mended(db: Db, finding: Finding) -> None:
    """Runs the statements that a finding names."""
    for statement in finding.mend.split(";"):
        if statement.strip():
            db.execute(statement)


def test_nothing_is_found_where_all_is_well_before_and_after_the_first_run(db: Db) -> None:
    assert found(db) == []
    db.follow(A)
    assert found(db) == []


def test_who_does_not_answer_or_refuses_is_one_finding(postgres_url: str) -> None:
    for url in (postgres_url.replace("postgres:", "postgres:wrong", 1), "postgresql://x@127.0.0.1:1/x"):
        (finding,) = Postgres(url).check([A])
        assert finding.blocks
        assert finding.subject.startswith("postgres:127.0.0.1:")
        assert "wrong" not in str(finding)


@pytest.mark.parametrize(
    ("asked", "problem", "mend"),
    [
        (table("aa", "id"), "there is no such table", "Did you mean 'public.a'?"),
        (table("a", "id nam"), "there is no such column", "Did you mean 'name'?"),
        (table("a", "id quantity"), "there is no such column", "Its columns are id, v, name."),
        (table("a", "id", "v"), "does not tell its rows apart: its key is (id)", "ADD PRIMARY KEY"),
    ],
)
def test_names_that_are_wrong_are_found_with_what_was_meant(
    db: Db, asked: Table, problem: str, mend: str
) -> None:
    finding = found(db, asked)[0]
    assert problem in finding.problem
    assert mend in finding.mend
    assert finding.blocks


def test_a_replica_identity_that_lacks_columns_blocks_and_is_mended(db: Db) -> None:
    db.execute("ALTER TABLE a REPLICA IDENTITY DEFAULT")
    finding = only(db)
    assert finding.mend == 'ALTER TABLE "public"."a" REPLICA IDENTITY FULL;'
    assert "old values of v" in finding.problem
    mended(db, finding)
    assert found(db) == []


def test_the_narrowest_replica_identity_is_named(db: Db) -> None:
    db.execute("ALTER TABLE a REPLICA IDENTITY NOTHING")
    bare = table("a", "id")
    assert only(db, bare).mend == 'ALTER TABLE "public"."a" REPLICA IDENTITY DEFAULT;'
    db.execute("ALTER TABLE a ALTER v SET NOT NULL", "CREATE UNIQUE INDEX both_of_a ON a(v, id)")
    finding = only(db)
    assert finding.mend == 'ALTER TABLE "public"."a" REPLICA IDENTITY USING INDEX "both_of_a";'
    mended(db, finding)
    assert found(db) == []
    db.execute(
        "CREATE TABLE d(id int, PRIMARY KEY (id) DEFERRABLE)",
    )
    assert only(db, table("d", "id")).mend == 'ALTER TABLE "public"."d" REPLICA IDENTITY FULL;'


def test_types_that_do_not_do_are_named(db: Db) -> None:
    db.execute(
        "CREATE TABLE x(id int PRIMARY KEY, v jsonb, r int4range, i int[],"
        " g int GENERATED ALWAYS AS (id) STORED)",
        "ALTER TABLE x REPLICA IDENTITY FULL",
    )
    findings = {one.subject: one for one in found(db, table("x", "id v r i g", joins="v r i g"))}
    assert set(findings) == {f"public.x.{name}" for name in "vrig"}
    assert "jsonb can be neither part of a key" in findings["public.x.v"].problem
    assert "int4range can be neither part of a key" in findings["public.x.r"].problem
    assert "integer[] can be neither part of a key" in findings["public.x.i"].problem
    assert "generated" in findings["public.x.g"].problem
    assert all(one.blocks for one in findings.values())


def test_tables_that_cannot_be_followed_are_named(db: Db) -> None:
    db.execute(
        "CREATE VIEW w AS SELECT * FROM a",
        "CREATE UNLOGGED TABLE u(id int PRIMARY KEY)",
        "CREATE TABLE n(id int UNIQUE)",
        "ALTER TABLE n REPLICA IDENTITY FULL",
    )
    assert "a view" in only(db, table("w", "id")).problem
    unlogged = only(db, table("u", "id"))
    mended(db, unlogged)
    assert found(db, table("u", "id")) == []
    nullable = only(db, table("n", "id"))
    assert "may be null" in nullable.problem
    mended(db, nullable)
    assert found(db, table("n", "id")) == []


def test_partitions_are_pointed_at(db: Db) -> None:
    db.execute(
        "CREATE TABLE p(id int PRIMARY KEY, v int) PARTITION BY RANGE (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
        "ALTER TABLE p REPLICA IDENTITY FULL",
    )
    p = table("p", "id v", joins="v")
    leaf = only(db, p)
    assert leaf.mend == 'ALTER TABLE "public"."p1" REPLICA IDENTITY FULL;'
    mended(db, leaf)
    assert found(db, p) == []
    db.execute("CREATE PUBLICATION lockstep FOR TABLE p WITH (publish_via_partition_root = true)")
    assert found(db, p) == [], "it is ours, and `prepare` mends it"


def test_a_publication_that_publishes_less_is_found_and_mended(db: Db) -> None:
    db.execute("CREATE PUBLICATION lockstep FOR TABLE a WITH (publish = 'insert')")
    finding = only(db)
    assert "every kind of change" in finding.problem
    db.execute(finding.mend.split(";")[0])
    assert found(db) == []
    db.execute("DROP PUBLICATION lockstep", "CREATE PUBLICATION lockstep FOR TABLE a WHERE (id > 5)")
    finding = only(db)
    assert "(id > 5)" in finding.problem
    mended(db, finding)
    assert found(db) == []
    db.execute("DROP PUBLICATION lockstep", "CREATE PUBLICATION lockstep FOR TABLE a (id, v)")
    finding = only(db)
    assert "columns other than name" in finding.problem
    mended(db, finding)
    assert found(db) == []


def test_a_join_column_of_a_large_table_without_an_index_is_pointed_at(db: Db) -> None:
    db.execute("DROP INDEX a_v_idx")
    assert found(db) == [], "small tables are read fast"
    db.execute("INSERT INTO a SELECT n FROM generate_series(1, 30000) n", "ANALYZE a")
    finding = only(db)
    assert not finding.blocks
    assert finding.mend == 'CREATE INDEX CONCURRENTLY ON "public"."a" ("v");'
    mended(db, finding)
    assert found(db) == []


def test_what_a_user_may_not_do_is_found_and_mended(db: Db) -> None:
    role = f"plain_{db.name}"
    db.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'", "ALTER TABLE a ENABLE ROW LEVEL SECURITY")
    plain = Postgres(f"postgresql://{role}:x@{db.url.split('@')[1]}", slot=db.name)
    problems = [
        "may not follow the log",
        "user plain_.* may not make it",
        "may not read it",
        "row security policy",
    ]
    findings = plain.check([A])
    assert all(one.blocks for one in findings)
    assert len(findings) == len(problems)
    for finding in findings:
        if "or, as" in finding.mend:  # the owner makes the publication
            db.execute(finding.mend.partition("owner: ")[2])
        else:
            mended(db, finding)
    assert plain.check([A]) == []
    db.execute("CREATE TABLE more(id int PRIMARY KEY)", f"GRANT SELECT ON more TO {role}")
    (missing,) = plain.check([A, table("more", "id")])
    assert "belongs to postgres" in missing.problem
    db.execute(missing.mend.partition(": ")[2])
    assert plain.check([A, table("more", "id")]) == []
    db.execute("DROP PUBLICATION lockstep", f"GRANT CREATE ON DATABASE {db.name} TO {role}")
    (owner,) = plain.check([A])
    assert "only the owner" in owner.problem
    db.execute(owner.mend.partition(": ")[2])
    assert plain.check([A]) == []
    db.execute(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_slots_are_looked_at(db: Db) -> None:
    db.execute(f"SELECT pg_create_physical_replication_slot('{db.name}')")
    finding = only(db)
    assert "a physical slot" in finding.problem
    assert finding.blocks
    db.execute(f"SELECT pg_drop_replication_slot('{db.name}')")
    follower = db.follow(A)
    with follower.open() as stream:
        next(stream)
        finding = only(db)
        assert "is following the slot" in finding.problem
        assert "application lockstep" in finding.problem
        assert not finding.blocks
    assert found(db) == []


def test_a_server_that_is_not_set_up_is_found_and_mended(private_postgres: PostgresServer) -> None:
    private_postgres.database("app")
    private_postgres._settings |= {
        "wal_level": "replica",
        "max_replication_slots": "1",
        "max_wal_senders": "1",
    }
    private_postgres.restart()
    with Db(private_postgres.url("app"), *DDL) as db:
        assert only(db).mend == "ALTER SYSTEM SET wal_level = logical;  and restart the server."
        db.execute("SELECT pg_create_physical_replication_slot('other')")
        assert any("all replication slots" in one.problem for one in found(db))
        db.execute("SELECT pg_drop_replication_slot('other')")
    del private_postgres._settings["wal_level"]
    private_postgres._settings["wal_level"] = "logical"
    private_postgres.restart()
    with Db(private_postgres.url("app")) as db:
        assert found(db) == []
        with db.follow(A).open() as stream:
            next(stream)
            other = Postgres(db.url, slot="other")
            problems = " ".join(one.problem for one in other.check([A]))
            assert "all replication slots" in problems
            assert "all WAL senders" in problems
        wait_until(lambda: found(db) == [])
