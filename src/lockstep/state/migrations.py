"""How the ledger's store becomes, step by step, what `schema` says. A released step never changes."""

from __future__ import annotations

from lockstep.database.migrations import Migration, statements

LEDGER = (
    Migration(
        "0001_spine",
        statements(
            "CREATE TABLE meta (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)",
            "CREATE TABLE leases (partition INTEGER PRIMARY KEY NOT NULL, epoch BIGINT NOT NULL,"
            ' holder TEXT NOT NULL, "until" DOUBLE PRECISION NOT NULL)',
            "CREATE TABLE generations (id INTEGER PRIMARY KEY NOT NULL, target TEXT NOT NULL,"
            " number INTEGER NOT NULL, state TEXT NOT NULL, marker TEXT NOT NULL, identity TEXT,"
            " created_at DOUBLE PRECISION NOT NULL, UNIQUE (target, number))",
            "CREATE TABLE consumers (id INTEGER PRIMARY KEY NOT NULL, mapping TEXT NOT NULL,"
            " generation INTEGER NOT NULL REFERENCES generations (id), source TEXT NOT NULL,"
            " version TEXT NOT NULL, recipe TEXT NOT NULL, state TEXT NOT NULL, reason TEXT,"
            " created_at DOUBLE PRECISION NOT NULL, UNIQUE (mapping, generation))",
            "CREATE TABLE positions (consumer INTEGER NOT NULL, stream TEXT NOT NULL, lane TEXT NOT NULL,"
            ' partition INTEGER NOT NULL, "offset" BIGINT NOT NULL,'
            " PRIMARY KEY (consumer, stream, lane, partition)) CLUSTERED",
            "CREATE TABLE ledger (consumer INTEGER NOT NULL, key BYTES NOT NULL, sent BIGINT, held BIGINT,"
            " targets BYTES, sum BIGINT, version BIGINT NOT NULL, void BOOLEAN NOT NULL,"
            " due DOUBLE PRECISION, hint BYTES, PRIMARY KEY (consumer, key)) CLUSTERED",
            "CREATE INDEX ledger_due ON ledger (consumer, due) WHERE due IS NOT NULL",
            "CREATE TABLE tombstones (consumer INTEGER NOT NULL, key BYTES NOT NULL, version BIGINT NOT NULL,"
            " at DOUBLE PRECISION NOT NULL, PRIMARY KEY (consumer, key)) CLUSTERED",
            "CREATE TABLE claims (generation INTEGER NOT NULL, target_key BYTES NOT NULL,"
            " consumer INTEGER NOT NULL, key BYTES NOT NULL, PRIMARY KEY (generation, target_key)) CLUSTERED",
            "CREATE TABLE intents (consumer INTEGER NOT NULL, version BIGINT NOT NULL, body BYTES NOT NULL,"
            " at DOUBLE PRECISION NOT NULL, PRIMARY KEY (consumer, version))",
            "CREATE TABLE stuck (consumer INTEGER NOT NULL, key BYTES NOT NULL, stage TEXT NOT NULL,"
            " error TEXT NOT NULL, remedy TEXT NOT NULL, claim BYTES, attempts INTEGER NOT NULL,"
            " first_at DOUBLE PRECISION NOT NULL, last_at DOUBLE PRECISION NOT NULL,"
            " retry_at DOUBLE PRECISION, PRIMARY KEY (consumer, key)) CLUSTERED",
            "CREATE INDEX stuck_retry ON stuck (consumer, retry_at)",
            "CREATE INDEX stuck_claim ON stuck (claim) WHERE claim IS NOT NULL",
            "CREATE TABLE backfills (id INTEGER PRIMARY KEY NOT NULL, consumer INTEGER NOT NULL,"
            " reason TEXT NOT NULL, total BIGINT NOT NULL, done BIGINT NOT NULL,"
            " started_at DOUBLE PRECISION NOT NULL, finished_at DOUBLE PRECISION)",
            "CREATE TABLE runs (id INTEGER PRIMARY KEY NOT NULL, holder TEXT NOT NULL,"
            " epoch BIGINT NOT NULL, started_at DOUBLE PRECISION NOT NULL,"
            " seen_at DOUBLE PRECISION NOT NULL, ended_at DOUBLE PRECISION, outcome TEXT, gauges TEXT)",
        ),
    ),
    Migration(
        "0002_reports",
        statements(
            "CREATE TABLE reports (id INTEGER PRIMARY KEY NOT NULL, consumer INTEGER NOT NULL,"
            " mapping TEXT NOT NULL, method TEXT NOT NULL, started_at DOUBLE PRECISION NOT NULL,"
            " verdict TEXT NOT NULL, body BYTES NOT NULL)",
            "CREATE INDEX reports_of ON reports (consumer, id)",
            "CREATE TABLE divergences (consumer INTEGER NOT NULL, subject TEXT NOT NULL, kind TEXT NOT NULL,"
            " method TEXT NOT NULL, report INTEGER NOT NULL, first_at DOUBLE PRECISION NOT NULL,"
            " last_at DOUBLE PRECISION NOT NULL, closed_at DOUBLE PRECISION,"
            " accepted_at DOUBLE PRECISION, accepted_by TEXT, because TEXT, body BYTES NOT NULL,"
            " PRIMARY KEY (consumer, subject, kind)) CLUSTERED",
        ),
    ),
    Migration(
        "0003_guard",
        statements(
            "ALTER TABLE intents ADD COLUMN updates INTEGER NOT NULL DEFAULT 0",
            "ALTER TABLE intents ADD COLUMN removes INTEGER NOT NULL DEFAULT 0",
            "ALTER TABLE intents ADD COLUMN allowed BYTES",
            "CREATE TABLE writes (generation INTEGER NOT NULL, minute INTEGER NOT NULL,"
            " updates BIGINT NOT NULL, removes BIGINT NOT NULL, PRIMARY KEY (generation, minute)) CLUSTERED",
            "CREATE TABLE holds (id INTEGER PRIMARY KEY NOT NULL, consumer INTEGER NOT NULL,"
            " mapping TEXT NOT NULL, policy TEXT NOT NULL, reason TEXT NOT NULL, kinds BYTES NOT NULL,"
            " keys BYTES NOT NULL, expected BIGINT NOT NULL, numbers TEXT NOT NULL,"
            " opened_at DOUBLE PRECISION NOT NULL, seen_at DOUBLE PRECISION NOT NULL, state TEXT NOT NULL,"
            " decided_at DOUBLE PRECISION, decided_by TEXT, why TEXT, most BIGINT,"
            ' "until" DOUBLE PRECISION, used BIGINT NOT NULL DEFAULT 0, closed_at DOUBLE PRECISION)',
            "CREATE INDEX holds_of ON holds (consumer, state)",
        ),
    ),
    Migration(
        "0004_recovery",
        statements(
            "CREATE TABLE leases_before AS SELECT * FROM leases",
            "DROP TABLE leases",
            "CREATE TABLE leases (scope TEXT NOT NULL, partition INTEGER NOT NULL, epoch BIGINT NOT NULL,"
            ' holder TEXT NOT NULL, "until" DOUBLE PRECISION NOT NULL, PRIMARY KEY (scope, partition))',
            "INSERT INTO leases SELECT 'run', partition, epoch, holder, \"until\" FROM leases_before",
            "DROP TABLE leases_before",
            "ALTER TABLE generations ADD COLUMN worker TEXT",
            "CREATE TABLE snapshots (id INTEGER PRIMARY KEY NOT NULL, target TEXT NOT NULL,"
            " generation INTEGER NOT NULL, name TEXT NOT NULL UNIQUE, state TEXT NOT NULL, reason TEXT,"
            " begun_at DOUBLE PRECISION NOT NULL, taken_at DOUBLE PRECISION, records BIGINT, size BIGINT,"
            " body TEXT NOT NULL, proven_at DOUBLE PRECISION)",
            "CREATE INDEX snapshots_of ON snapshots (target, id)",
            "CREATE TABLE drills (id INTEGER PRIMARY KEY NOT NULL, target TEXT NOT NULL,"
            " snapshot TEXT NOT NULL, begun_at DOUBLE PRECISION NOT NULL, ended_at DOUBLE PRECISION,"
            " outcome TEXT NOT NULL, reason TEXT, numbers TEXT NOT NULL)",
            "CREATE TABLE events (id INTEGER PRIMARY KEY NOT NULL, at DOUBLE PRECISION NOT NULL,"
            " kind TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL, who TEXT, why TEXT,"
            " numbers TEXT)",
            "CREATE INDEX events_at ON events (at)",
        ),
    ),
    Migration(
        "0005_notes",
        statements(
            "CREATE TABLE notes (target TEXT NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL,"
            " key BYTES NOT NULL, body BYTES NOT NULL, PRIMARY KEY (target, number, kind, key)) CLUSTERED",
        ),
    ),
    Migration("0006_preview", statements("ALTER TABLE holds ADD COLUMN preview TEXT")),
    Migration(
        "0007_checks",
        statements(
            "CREATE TABLE checks (consumer INTEGER PRIMARY KEY NOT NULL, owner TEXT NOT NULL,"
            " basis TEXT NOT NULL, body BYTES NOT NULL, kept_at DOUBLE PRECISION NOT NULL) CLUSTERED",
            "CREATE TABLE check_keys (consumer INTEGER NOT NULL, key BYTES NOT NULL,"
            " seen_at DOUBLE PRECISION NOT NULL, PRIMARY KEY (consumer, key)) CLUSTERED",
        ),
    ),
    Migration("0008_commands", statements("ALTER TABLE runs ADD COLUMN command TEXT")),
)
