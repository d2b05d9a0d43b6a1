"""What the guard holds back, on live systems: nothing destructive happens until a person has decided."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

import lockstep as ls
from lockstep.cli.main import cli
from lockstep.engine.holds import asking
from lockstep.operations.holds import Held
from tests.pairs.world import Following, World, document, until

MORE = "INSERT INTO users SELECT i, i % 5 + 1, 'U' || i || '@example.com' FROM generate_series(61, 500) i"
SAVED = "CREATE TABLE saved AS SELECT * FROM users"
BACK = "INSERT INTO users SELECT * FROM saved s WHERE s.id NOT IN (SELECT id FROM users)"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LOOK_AGAIN", 1.0)


def filled(world: World) -> None:
    world.do(MORE, SAVED)
    world.run()
    assert len(world.actual()) == 500


def standing(world: World) -> list[Held]:
    return ls.holds(Path(world.state))


def held(world: World) -> Held:
    """The one hold there is, once it is there."""
    until(lambda: len(standing(world)) == 1)
    return standing(world)[0]


def run_held(world: World) -> None:
    """A run that is to end does not wait for a person: it says so, and ends."""
    with pytest.raises(ls.HeldBack, match="held by the guard"):
        world.run()


def agrees(world: World) -> None:
    until(lambda: world.actual() == world.expected())
    assert ls.verify(world.pipeline(), "people", method="deep").agreement


@pytest.mark.parametrize("world", ["opensearch", "sql", "tantivy", "postgres"], indirect=True)
@pytest.mark.parametrize("how", ["TRUNCATE users CASCADE", "DELETE FROM users"])
def test_a_source_that_was_emptied_deletes_nothing(world: World, how: str) -> None:
    filled(world)
    with Following(world):
        world.do(how)
        one = held(world)
        assert (one.policy, one.mapping, one.state) == ("source-emptied", "people", "open")
        assert one.expected == 500
        assert "the source reads empty, where 500 were known" in one.reason
        until(lambda: ls.status(Path(world.state)).mappings[0].state == "held")
        assert [ill.kind for ill in ls.status(Path(world.state)).ills if ill.blocks] == ["held"]
        assert len(world.actual()) == 500
        world.do(BACK)  # somebody puts it right: nobody need decide anything
        until(lambda: standing(world) == [])
        agrees(world)
    (closed,) = ls.holds(Path(world.state), closed=True)
    assert (closed.state, closed.decided_by) == ("closed", None)


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_what_a_person_approves_happens_and_no_more(world: World) -> None:
    filled(world)
    with Following(world):
        world.do("DELETE FROM users WHERE id > 200")
        one = held(world)
        assert (one.policy, one.expected) == ("source-emptied", 300)
        assert len(world.actual()) == 500
        ls.approve(Path(world.state), one.id, why="they have left", by="ada", most=300)
        until(lambda: len(world.actual()) == 200)
        until(lambda: standing(world) == [])
        agrees(world)
        world.do("DELETE FROM users WHERE id > 180")  # an ordinary day: what was allowed does not count
        agrees(world)
        assert standing(world) == []
    (closed,) = ls.holds(Path(world.state), closed=True)
    assert (closed.decided_by, closed.why, closed.used) == ("ada", "they have left", 300)


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_what_does_not_fit_an_approval_is_held_anew(world: World) -> None:
    filled(world)
    with Following(world):
        world.do("DELETE FROM users WHERE id > 200")
        one = held(world)
        ls.approve(Path(world.state), one.id, why="some of them", by="ada", most=100)
        until(lambda: any(other.id != one.id for other in standing(world)))
        assert len(world.actual()) == 500, "a batch passes whole or not at all"
        world.do(BACK)
        until(lambda: standing(world) == [])
        agrees(world)


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_what_is_rejected_stays_held_until_the_source_is_mended(world: World) -> None:
    filled(world)
    with Following(world):
        world.do("DELETE FROM users WHERE id > 200")
        one = held(world)
        ls.reject(Path(world.state), one.id, why="nobody meant that", by="ada")
        with pytest.raises(ls.UsageError, match="rejected already by ada: nobody meant that"):
            ls.reject(Path(world.state), one.id, why="no", by="bob")
    with Following(world):  # it survives a restart
        until(lambda: ls.status(Path(world.state)).mappings[0].state == "held")
        until(lambda: standing(world)[0].seen_at > one.seen_at)
        assert (standing(world)[0].id, standing(world)[0].state) == (one.id, "rejected")
        assert len(world.actual()) == 500
        world.do(BACK)
        until(lambda: standing(world) == [])
        agrees(world)


@pytest.mark.parametrize("world", ["opensearch", "sql"], indirect=True)
def test_many_small_deletions_count_together(world: World) -> None:
    filled(world)
    with Following(world):
        for key in range(1, 131):
            world.do(f"DELETE FROM users WHERE id = {key}")
        one = held(world)
        assert one.policy == "removals"
        until(lambda: ls.status(Path(world.state)).mappings[0].state == "held")
        left = len(world.actual())
        assert 400 <= left < 480, "a hundred are free, each counted once"
    run_held(world)
    assert standing(world)[0].id == one.id
    assert len(world.actual()) == left, "a restart does not begin to count anew"


@pytest.mark.parametrize("world", ["sql"], indirect=True)
@pytest.mark.parametrize("point", ["intended:2", "written:2", "settled:2"])
def test_a_batch_that_a_crash_repeats_is_counted_once(world: World, point: str) -> None:
    filled(world)
    for start in (1, 31, 61):
        world.do(f"DELETE FROM users WHERE id BETWEEN {start} AND {start + 29}")
        world.spawn(crash=point).wait(60)
        world.run()
    assert standing(world) == []
    agrees(world)
    world.do("DELETE FROM users WHERE id BETWEEN 91 AND 101")
    run_held(world)
    assert [one.policy for one in standing(world)] == ["removals"]


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_of_two_who_decide_at_once_one_is_heard(world: World) -> None:
    filled(world)
    world.do("DELETE FROM users WHERE id > 200")
    run_held(world)
    one = held(world)
    heard: list[str] = []

    def decide(by: str) -> None:
        with contextlib.suppress(ls.UsageError):
            ls.approve(Path(world.state), one.id, why="yes", by=by)
            heard.append(by)

    threads = [threading.Thread(target=decide, args=(name,)) for name in ("ada", "bob", "eve", "joe")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(heard) == 1
    assert standing(world)[0].decided_by == heard[0]


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_limits_and_policies_of_ones_own(world: World) -> None:
    filled(world)

    def nobody_called_u7(numbers: ls.Numbers) -> str | None:
        return "never more than one at once" if numbers.updates > 1 else None

    pipeline = world.pipeline()
    pipeline.mappings.clear()
    source = ls.Postgres(world.url, slot=world.url.rpartition("/")[2])
    declared = world.pipeline().named("people")
    guard = ls.Guard(free=5, share=0.0, also=(nobody_called_u7,))
    pipeline.mapping(source, to=declared.target, name="people", version="1", guard=guard)(document)
    world.do("UPDATE users SET email = 'x' WHERE id = 7")
    ls.run(pipeline, once=True)
    assert standing(world) == []
    world.do("DELETE FROM users WHERE id < 8")
    with pytest.raises(ls.HeldBack, match="removals"):
        ls.run(pipeline, once=True)
    (one,) = standing(world)
    assert one.policy == "removals"
    ls.approve(Path(world.state), one.id, why="these", by="me")
    world.do("UPDATE users SET email = 'y' WHERE id IN (8, 9)")
    with pytest.raises(ls.HeldBack, match="never more than one at once"):
        ls.run(pipeline, once=True)
    assert [(hold.policy, hold.state, hold.kinds) for hold in standing(world)] == [
        ("nobody_called_u7", "open", ("update",)),
        ("removals", "approved", ("remove",)),
    ]
    ls.approve(Path(world.state), standing(world)[0].id, why="these too", by="me")
    ls.run(pipeline, once=True)
    assert standing(world) == []
    agrees(world)


@contextlib.contextmanager
def listening() -> Iterator[tuple[str, list[dict[str, object]]]]:
    got: list[dict[str, object]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_a_person_is_told_and_answers_by_the_command_line(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    filled(world)
    ran = tmp_path / "told.json"
    state = ["--state", str(world.state)]
    with listening() as (url, got), Following(world):
        monkeypatch.setenv("LOCKSTEP_NOTIFY_URL", url)
        monkeypatch.setenv("LOCKSTEP_NOTIFY_COMMAND", f"cat > '{ran}'")
        world.do("DELETE FROM users WHERE id > 200")
        one = held(world)
        until(lambda: bool(got) and ran.exists() and ran.stat().st_size > 0)
        assert (got[0]["event"], got[0]["id"], got[0]["mapping"]) == ("hold", one.id, "people")
        assert json.loads(ran.read_text())["text"].startswith("Lockstep holds people: the source")
        shown = CliRunner().invoke(cli, [*state, "holds"])
        assert shown.exit_code == 1
        assert "source-emptied, open" in shown.output
        assert f"lockstep approve {one.id}" in shown.output
        assert "hold" in CliRunner().invoke(cli, [*state, "status"]).output
        wrong = CliRunner().invoke(cli, [*state, "approve", "4711", "--why", "x"])
        assert (wrong.exit_code, "no hold 4711" in wrong.output) == (2, True)
        done = CliRunner().invoke(cli, [*state, "approve", str(one.id), "--why", "they left", "--json"])
        assert (done.exit_code, json.loads(done.stdout)["most"]) == (0, 300)
        agrees(world)
        until(lambda: CliRunner().invoke(cli, [*state, "holds"]).exit_code == 0)
        assert "approved by" in CliRunner().invoke(cli, [*state, "holds", "--all"]).output
    assert len(got) == 1, "once"
