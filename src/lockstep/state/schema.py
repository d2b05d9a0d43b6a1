"""The schema of the ledger's store. One schema for every dialect; `migrations` lead to it.

Times are seconds since the epoch. Fingerprints, sums and versions are signed 64-bit integers. Keys are
key bytes, so that the database's order is the key order.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

# The right to work a partition, and the epoch it was drawn with. `scope`: "run", the one that captures;
# "build", a process that fills builds beside it; "follow", one that follows what it deployed. An epoch that
# is not here is over.
leases = sa.Table(
    "leases",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("until", sa.Double, nullable=False),
)

# One physical build of a target. `identity` names it as it was when last seen.
#   live      the one that is searched, and that `run` works
#   building  being filled beside the live one; scratch: the same for a rehearsal, always number 0
#   kept      was live before a deploy, and can be again
#   dropping  is to be removed
#   retired   never comes back
#   worker    "build" or "follow" where another process than the run works it
generations = sa.Table(
    "generations",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("marker", sa.Text, nullable=False),
    sa.Column("identity", sa.Text),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("worker", sa.Text),
    sa.UniqueConstraint("target", "number"),
)

# A mapping following one generation. `recipe` is how its source sums are made.
consumers = sa.Table(
    "consumers",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
    sa.Column("mapping", sa.Text, nullable=False),
    sa.Column("generation", sa.Integer, sa.ForeignKey("generations.id"), nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("recipe", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # running, stopped, retired
    sa.Column("reason", sa.Text),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.UniqueConstraint("mapping", "generation"),
)

# The offset up to which a consumer has settled a stream's lane, per partition.
positions = sa.Table(
    "positions",
    metadata,
    sa.Column("consumer", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column("lane", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What was last made true, per consumer and source key.
#   sent      fingerprint of the record sent, the wrapping sum where there are several; null: no record
#   held      the same of what the target then held, where it normalises; null: as sent
#   targets   null: one record at most, at the key that follows from the source key;
#             else msgpack [[target key, sent, held], …]
#   sum       the source sum it was derived from; null: unknown
#   void      the target's state is not known
#   due       when a mapping that asks the clock would answer differently
#   hint      msgpack [reason, position, time] of the last hint that wrote
ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("consumer", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.LargeBinary, primary_key=True),
    sa.Column("sent", sa.BigInteger),
    sa.Column("held", sa.BigInteger),
    sa.Column("targets", sa.LargeBinary),
    sa.Column("sum", sa.BigInteger),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("void", sa.Boolean(create_constraint=False), nullable=False),
    sa.Column("due", sa.Double),
    sa.Column("hint", sa.LargeBinary),
    sqlite_with_rowid=False,
)
sa.Index(
    "ledger_due",
    ledger.c.consumer,
    ledger.c.due,
    sqlite_where=ledger.c.due.is_not(None),
    postgresql_where=ledger.c.due.is_not(None),
)

# Keys whose record was removed, kept as long as a snapshot may bring it back.
tombstones = sa.Table(
    "tombstones",
    metadata,
    sa.Column("consumer", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.LargeBinary, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sqlite_with_rowid=False,
)

# Who owns a target key, where that does not follow from the source key.
claims = sa.Table(
    "claims",
    metadata,
    sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("target_key", sa.LargeBinary, primary_key=True),
    sa.Column("consumer", sa.Integer, nullable=False),
    sa.Column("key", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# What is about to be written, durable before it is sent. `body` is msgpack [[key, [target key, …]], …]; the
# rest is what the guard counts of it: `allowed` is msgpack {hold: changes that a person allowed under it}.
intents = sa.Table(
    "intents",
    metadata,
    sa.Column("consumer", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("updates", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("removes", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("allowed", sa.LargeBinary),
)

# What the guard has counted of what was settled, per generation and minute (since the epoch).
writes = sa.Table(
    "writes",
    metadata,
    sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("minute", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("updates", sa.BigInteger, nullable=False),
    sa.Column("removes", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What the guard holds, and what a person said to it.
#   kinds     msgpack of the kinds of change that are held: remove, update
#   keys      msgpack of some of the source keys
#   numbers   JSON, what the policy judged by
#   preview   JSON, lines of what the target said would follow of some of it; null where it said nothing
#   state     open, rejected, approved (an allowance of `most` changes until `until`, `used` of them),
#             closed (nothing asks for it any more, or the allowance is used up)
holds = sa.Table(
    "holds",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
    sa.Column("consumer", sa.Integer, nullable=False),
    sa.Column("mapping", sa.Text, nullable=False),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("kinds", sa.LargeBinary, nullable=False),
    sa.Column("keys", sa.LargeBinary, nullable=False),
    sa.Column("expected", sa.BigInteger, nullable=False),
    sa.Column("numbers", sa.Text, nullable=False),
    sa.Column("opened_at", sa.Double, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("decided_at", sa.Double),
    sa.Column("decided_by", sa.Text),
    sa.Column("why", sa.Text),
    sa.Column("most", sa.BigInteger),
    sa.Column("until", sa.Double),
    sa.Column("used", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("closed_at", sa.Double),
    sa.Column("preview", sa.Text),
)
sa.Index("holds_of", holds.c.consumer, holds.c.state)

# Keys whose derivation or write failed. `claim` is the target key it waits for; `retry_at` null: a
# person must ask for a retry.
stuck = sa.Table(
    "stuck",
    metadata,
    sa.Column("consumer", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.LargeBinary, primary_key=True),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("remedy", sa.Text, nullable=False),
    sa.Column("claim", sa.LargeBinary),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("first_at", sa.Double, nullable=False),
    sa.Column("last_at", sa.Double, nullable=False),
    sa.Column("retry_at", sa.Double),
    sqlite_with_rowid=False,
)
sa.Index("stuck_retry", stuck.c.consumer, stuck.c.retry_at)
sa.Index(
    "stuck_claim",
    stuck.c.claim,
    sqlite_where=stuck.c.claim.is_not(None),
    postgresql_where=stuck.c.claim.is_not(None),
)

# Passes over all keys of a root. `done` counts keys settled.
backfills = sa.Table(
    "backfills",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
    sa.Column("consumer", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("done", sa.BigInteger, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("finished_at", sa.Double),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.Column("outcome", sa.Text),
    sa.Column("gauges", sa.Text),  # JSON: what `status` shows of a live run
    sa.Column("command", sa.Text),  # NULL: of a version that did not note it
)

# What checks found. `body` is the whole report, as JSON.
reports = sa.Table(
    "reports",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
    sa.Column("consumer", sa.Integer, nullable=False),
    sa.Column("mapping", sa.Text, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
sa.Index("reports_of", reports.c.consumer, reports.c.id)

# Divergences by what they are of: a source key, or a target key where it says none. `method` and `report`
# are of the check that saw it last, `closed_at` is when one no longer saw it. `body`: as JSON.
divergences = sa.Table(
    "divergences",
    metadata,
    sa.Column("consumer", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("report", sa.Integer, nullable=False),
    sa.Column("first_at", sa.Double, nullable=False),
    sa.Column("last_at", sa.Double, nullable=False),
    sa.Column("closed_at", sa.Double),
    sa.Column("accepted_at", sa.Double),
    sa.Column("accepted_by", sa.Text),
    sa.Column("because", sa.Text),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Deep checks that have not come to their end.
#   owner   which check writes it: another may have gone on there
#   basis   JSON: what must be as it was for another one to go on
#   body    msgpack: how far it is
checks = sa.Table(
    "checks",
    metadata,
    sa.Column("consumer", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("basis", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("kept_at", sa.Double, nullable=False),
    sqlite_with_rowid=False,
)

# Source keys on which the sides differed when such a check looked at them.
check_keys = sa.Table(
    "check_keys",
    metadata,
    sa.Column("consumer", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.LargeBinary, primary_key=True),
    sa.Column("seen_at", sa.Double, nullable=False),
    sqlite_with_rowid=False,
)

# Saved states of targets.
#   state      taking, whole, failed, damaged, forgotten
#   body       JSON: per mapping its version, and the lowest version of a write that may not be in it
#   proven_at  when it was last restored and shown to agree
snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("begun_at", sa.Double, nullable=False),
    sa.Column("taken_at", sa.Double),
    sa.Column("records", sa.BigInteger),
    sa.Column("size", sa.BigInteger),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("proven_at", sa.Double),
)
sa.Index("snapshots_of", snapshots.c.target, snapshots.c.id)

# Rehearsals. `outcome`: running, passed, failed; `numbers` is JSON.
drills = sa.Table(
    "drills",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("snapshot", sa.Text, nullable=False),
    sa.Column("begun_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("numbers", sa.Text, nullable=False),
)

# What happened, for the timeline: what no other table tells. `kind` is one of `state.events`; `subject` a
# mapping, a source or a target; `who` and `why` are of a person; `numbers` is JSON.
events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("who", sa.Text),
    sa.Column("why", sa.Text),
    sa.Column("numbers", sa.Text),
)
sa.Index("events_at", events.c.at)

# What writers note of targets that have no place for it (`ports/notes.py`). `number`: of the generation.
notes = sa.Table(
    "notes",
    metadata,
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("key", sa.LargeBinary, primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
