"""The journal under kill -9: what was acknowledged is there, all of it, and nothing torn."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from lockstep.database.files import FileDatabase
from lockstep.forms import keys
from lockstep.journal.sql import SqlJournal
from lockstep.journal.tables import migrations
from lockstep.values import Entry, Hint, Lane, source_stream

APPENDS = """
import sys
from pathlib import Path
from lockstep.forms import keys
from lockstep.database.files import FileDatabase
from lockstep.journal.sql import SqlJournal
from lockstep.journal.tables import migrations
from lockstep.values import Entry, FeedMark, Hint, Lane, source_stream
journal = SqlJournal(FileDatabase(Path(sys.argv[1]), migrations))
n = int(sys.argv[2])
while True:
    hints = tuple(Hint("t", key=keys.encode((n * 10 + at,))) for at in range(3))
    entries = [Entry(source_stream("s"), Lane.LIVE, hint_at, (hint,)) for hint_at, hint in enumerate(hints)]
    journal.append(entries, FeedMark("s", str(n), "id"))
    print(n, flush=True)
    n += 1
"""


def test_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    SqlJournal(FileDatabase(path, migrations)).close()
    begin = 0
    for _ in range(3):
        command = [sys.executable, "-c", APPENDS, str(path), str(begin)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            acknowledged = [int(process.stdout.readline()) for _ in range(40)]
            process.kill()
            acknowledged += [int(line) for line in process.stdout]
        last = acknowledged[-1]
        journal = SqlJournal(FileDatabase(path, migrations))
        entries = journal.read(source_stream("s"), Lane.LIVE, {}, 10_000)
        mark = journal.mark("s")
        assert mark is not None
        assert int(mark.position) in (last, last + 1), "one may be durable and not acknowledged yet"
        whole = int(mark.position) + 1
        wanted = [keys.encode((n * 10 + at,)) for n in range(whole) for at in range(3)]
        assert [hint.key for entry in entries for hint in entry.hints] == wanted
        assert [entry.offset for entry in entries] == sorted({entry.offset for entry in entries})
        begin = whole
        journal.close()


def test_reading_and_trimming(tmp_path: Path) -> None:
    journal = SqlJournal(FileDatabase(tmp_path / "journal.db", migrations))
    stream, other = source_stream("s"), source_stream("other")
    for number in range(600):
        hint = Hint("t", key=keys.encode((number,)))
        journal.append([Entry(stream, Lane.LIVE, number % 3, (hint,)), Entry(other, Lane.BULK, 0, (hint,))])
    assert len(journal.read(stream, Lane.LIVE, {}, 10_000)) == 600
    assert len(journal.read(stream, Lane.LIVE, {}, 7)) == 7
    assert len(journal.read(stream, Lane.LIVE, {}, 1)) == 1
    assert journal.read(stream, Lane.BULK, {}, 10) == []
    end = journal.end()
    assert journal.read(stream, Lane.LIVE, dict.fromkeys(range(3), end), 10) == []
    only = journal.read(stream, Lane.LIVE, {0: end, 1: 0, 2: end}, 10_000)
    assert [entry.partition for entry in only] == [1] * 200
    assert all(entry.origin == entry.offset for entry in only)
    assert journal.waiting(stream, Lane.LIVE, 0) == 600
    assert journal.waiting(stream, Lane.LIVE, only[100].offset) == 600 - 302
    assert journal.trim(stream, Lane.LIVE, only[100].offset, 0.0) == 0, "not before their time"
    assert journal.trim(stream, Lane.LIVE, only[100].offset, time.time() + 1) == 302
    journal.trim(stream, Lane.LIVE, end, time.time() + 1)
    journal.trim(other, Lane.BULK, end, time.time() + 1)
    assert journal.end() in (0, end), "offsets are never used again"
    journal.append([Entry(stream, Lane.LIVE, 0, (Hint("t"),))])
    assert journal.end() > end
    journal.close()


def test_hints_of_an_origin(tmp_path: Path) -> None:
    journal = SqlJournal(FileDatabase(tmp_path / "journal.db", migrations))
    stream = source_stream("s")
    journal.append([Entry(stream, Lane.LIVE, 0, (Hint("t", keys=(keys.encode((1,)), keys.encode((2,)))),))])
    goal = journal.end()
    journal.append(
        [Entry(stream, Lane.LIVE, 0, (Hint("t"),), goal), Entry(stream, Lane.LIVE, 0, (Hint("t"),))]
    )
    assert journal.waiting(stream, Lane.LIVE, 0) == 4
    assert journal.waiting(stream, Lane.LIVE, 0, goal) == 3
    journal.close()
