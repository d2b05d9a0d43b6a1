"""Health means progress: what hangs, waits or stands still is ill, whether or not a process is there."""

from __future__ import annotations

import contextlib
import signal
import socket
import time

import pytest
from click.testing import CliRunner

import lockstep as ls
from lockstep.cli.main import cli
from lockstep.operations.standing import Ill
from lockstep.operations.status import status
from lockstep.systems.postgres.following.changes import Changes
from lockstep.testing.proxy import Proxy
from lockstep.values import Hint
from tests.accidents.world import Product
from tests.pairs.world import COLUMNS, Following, Person, document, until


def ills(product: Product, patience: float = 60.0) -> dict[str, Ill]:
    """What is ill, by subject, of what blocks."""
    found = status(product.root / "state", patience=patience).ills
    return {ill.subject: ill for ill in found if ill.blocks}


def probe(product: Product, *arguments: str) -> tuple[int, str]:
    asked = CliRunner().invoke(cli, ["--state", str(product.root / "state"), "status", *arguments])
    return asked.exit_code, asked.output


def test_nobody_runs_it(product: Product) -> None:
    product.run()
    assert ills(product)["run"].kind == "dead"
    code, said = probe(product, "--ready")
    assert code == 1
    assert said.startswith("not ready\nrun: nobody runs the pipeline. Start `lockstep run`.\n")
    assert "while nobody runs the pipeline, the server keeps its log for us" in said
    assert probe(product, "--alive")[0] == 1


def test_a_run_that_gets_on_is_ready_and_one_that_is_stopped_by_a_signal_is_not(product: Product) -> None:
    run = product.spawn(once=False)
    try:
        until(lambda: product.agrees() and not ills(product), 60)
        assert run.poll() is None, status(product.root / "state")
        assert probe(product, "--ready") == (0, "ready\n")
        assert probe(product, "--alive") == (0, "alive\n")
        run.send_signal(signal.SIGSTOP)
        until(lambda: "run" in ills(product, patience=3), 60)
        assert ills(product, patience=3)["run"].kind == "wedged"
        assert probe(product, "--ready", "--within", "3s")[0] == 1
        code, said = probe(product, "--alive", "--within", "3s")
        assert code == 1
        assert "has not shown itself" in said
        run.send_signal(signal.SIGCONT)
        until(lambda: not ills(product, patience=3), 60)
    finally:
        run.send_signal(signal.SIGCONT)
        run.kill()
        run.wait()
    until(lambda: ills(product)["run"].kind == "dead")


def test_an_unreachable_source_is_waited_for_only_so_long(product: Product) -> None:
    with Following(product):
        until(lambda: product.agrees() and not ills(product), 60)
        product.proxy.refuse()
        product.proxy.cut()
        name = f"source {product.pipeline().mappings['people'].source.name}"
        until(lambda: name in ills(product, patience=2), 60)
        ill = ills(product, patience=2)[name]
        assert ill.kind == "waiting"
        assert "refused" in ill.problem
        assert not ills(product, patience=300)
        assert probe(product, "--alive", "--within", "2s") == (0, "alive\n"), "a restart would not help"
        product.proxy.accept()
        until(lambda: not ills(product, patience=2), 60)


def nothing(changes: Changes) -> list[Hint]:
    changes.finished.clear()
    return []


def test_a_position_that_does_not_advance_while_the_source_does(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread goes round and nothing fails; only the position stands still."""
    monkeypatch.setattr("lockstep.engine.sources.capture._LAG_EVERY", 0.2)
    with Following(product):
        until(lambda: product.agrees() and not ills(product), 60)
        with monkeypatch.context() as stuck:
            stuck.setattr(Changes, "take_finished", nothing)
            stuck.setattr("lockstep.systems.postgres.following.feed.lsn.text", lambda position: "0/1")
            end = time.monotonic() + 60
            while not any(ill.kind == "behind" for ill in ills(product, patience=2).values()):
                product.do("UPDATE tags SET name = name || '.'")
                assert time.monotonic() < end
        until(lambda: not ills(product, patience=2), 60)


def test_verified_is_a_part_of_ready_where_it_is_asked_for(product: Product) -> None:
    with Following(product):
        until(lambda: product.agrees() and not ills(product), 60)
        assert probe(product, "--ready", "--verified-within", "1d")[1].splitlines()[1] == (
            "mapping people: it was never verified. Run `lockstep verify people`."
        )
        product.assert_agreement()
        assert probe(product, "--ready", "--verified-within", "1d") == (0, "ready\n")
        assert probe(product, "--ready", "--verified-within", "0s")[0] == 1
        product.spoil()
        ls.verify(product.pipeline(), "people", method="deep")
        code, said = probe(product, "--ready", "--verified-within", "1d")
        assert code == 1
        assert "it was not in agreement" in said
        assert "1 different" in said
        assert "not in agreement when it was verified" in probe(product)[1]


# Neighbours on one source


def boom(user: Person) -> dict[str, object]:
    raise ValueError("never any good")


def test_ill_neighbours_on_one_source_stop_nobody(product: Product) -> None:
    """A target that is down, one that hangs, and a mapping that always raises, beside one that is well."""
    product.do("INSERT INTO users SELECT n, 1, 'U' || n FROM generate_series(2001, 2080) n")
    hanging = socket.create_server(("127.0.0.1", 0), backlog=64)  # takes connections and never answers
    with contextlib.closing(hanging), Proxy("127.0.0.1", 1) as nobody:
        nobody.refuse()

        def pipeline() -> ls.Pipeline:
            made = ls.Pipeline("pairs", state=product.root / "state")
            source = ls.Postgres(product.url, slot=product.slot)
            out = ls.SQLite(product.root / "out")
            people = out.table("people", columns=COLUMNS, key=("id",))
            raises = out.table("raises", columns=COLUMNS, key=("id",))
            down = ls.OpenSearch(f"http://127.0.0.1:{nobody.port}").index("down")
            hangs = ls.OpenSearch(f"http://127.0.0.1:{hanging.getsockname()[1]}").index("hangs")
            made.mapping(source, to=people, name="people", version="1")(document)
            made.mapping(source, to=raises, name="raises", version="1")(boom)
            made.mapping(source, to=down, name="down", version="1")(document)
            made.mapping(source, to=hangs, name="hangs", version="1")(document)
            return made

        product.pipeline = pipeline  # type: ignore[method-assign]
        ill = {"mapping down", "mapping hangs", "mapping raises"}
        with Following(product):
            until(product.agrees, 60)
            for n in range(5):
                product.do(f"UPDATE users SET email = 'turn {n}' WHERE id = {n + 1}")
                until(product.agrees, 60)
            until(lambda: ill <= set(ills(product, 3)), 60)
            product.do("UPDATE users SET email = 'still' WHERE id = 9")
            until(product.agrees, 60)
            found = ills(product, 3)
            assert set(found) == ill
            assert found["mapping down"].kind == "waiting"
            assert found["mapping hangs"].kind == "wedged"
            assert found["mapping raises"].kind == "held"
            assert "keys failed" in found["mapping raises"].problem
            code, said = probe(product, "--ready", "--within", "3s")
            assert code == 1
            assert "people" not in said
            hanging.close()
