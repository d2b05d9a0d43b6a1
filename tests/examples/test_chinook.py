"""The example of Chinook, as its README tells it. The tests build on each other, in this order."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from decimal import Decimal

import pytest
from tests.examples.chinook_world import EXAMPLE, INDEX, Shop

import lockstep as ls
from lockstep.testing.servers import OpenSearchHandle, PostgresHandle

MENDS = [
    line
    for line in (EXAMPLE / "replica_identity.sql").read_text().splitlines()
    if line and not line.startswith("--")
]


@pytest.fixture(scope="module")
def shop(
    postgres_server: PostgresHandle,
    opensearch_server: OpenSearchHandle,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    with postgres_server.temporary_database() as url, pytest.MonkeyPatch.context() as patch:
        spec = importlib.util.spec_from_file_location("chinook_load", EXAMPLE / "load.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        loaded = module.load(url)
        assert (loaded["customer"], loaded["invoice"], loaded["invoice_line"]) == (59, 412, 2240)
        patch.setenv("CHINOOK_DATABASE_URL", url)
        patch.setenv("OPENSEARCH_URL", opensearch_server.url)
        patch.setenv("LOCKSTEP_STATE", str(tmp_path_factory.mktemp("chinook")))
        yield Shop(url, opensearch_server.url, ls.load(EXAMPLE / "pipeline.py"))


def test_check_asks_for_exactly_the_statements_of_the_example(shop: Shop) -> None:
    blocking = [finding for finding in ls.check(shop.pipeline) if finding.blocks]
    assert [finding.mend for finding in blocking] == MENDS
    shop.do(*MENDS)
    findings = ls.check(shop.pipeline)
    assert not [finding for finding in findings if finding.blocks]
    assert not [finding for finding in findings if finding.subject == "customers"]  # no remark on the mapping


def test_the_first_run_fills_the_index(shop: Shop) -> None:
    result = ls.run(shop.pipeline, once=True)
    assert result.outcome == "done"
    shop.assert_agreement()
    documents = shop.documents()
    assert len(documents) == 59
    first = documents["1"]
    assert first["name"] == "Luís Gonçalves"
    assert first["spent"] == Decimal("39.62")
    assert first["support_rep"] == {
        "name": "Jane Peacock",
        "title": "Sales Support Agent",
        "email": "jane@chinookcorp.com",
    }
    assert first["invoices"][-1] == {
        "number": 98,
        "date": "2022-03-11",
        "total": Decimal("3.98"),
        "lines": [
            {
                "track": title,
                "album": "Battlestar Galactica (Classic), Season 1",
                "artist": "Battlestar Galactica (Classic)",
                "genre": "Sci Fi & Fantasy",
                "price": Decimal("1.99"),
                "quantity": 1,
            }
            for title in ("Experiment In Terra", "Take the Celestra")
        ],
    }


def test_a_query_asks_about_one_and_the_same_line(shop: Shop) -> None:
    """What the nested mapping is for: who paid 1.99 for something of Battlestar Galactica?"""
    must = [
        {"match_phrase": {"invoices.lines.artist": "Battlestar Galactica (Classic)"}},
        {"term": {"invoices.lines.price": 1.99}},
    ]
    lines = {"nested": {"path": "invoices.lines", "query": {"bool": {"must": must}}}}
    answer = shop.ask("GET", f"/{INDEX}/_search", {"query": {"nested": {"path": "invoices", "query": lines}}})
    wanted = {
        key
        for key, document in shop.expected().items()
        for invoice in document["invoices"]
        for line in invoice["lines"]
        if line["artist"] == "Battlestar Galactica (Classic)" and line["price"] == Decimal("1.99")
    }
    assert {hit["_id"] for hit in answer["hits"]["hits"]} == wanted


def test_changes_at_every_level_while_nothing_runs(shop: Shop) -> None:
    shop.do(
        "UPDATE artist SET name = 'Battlestar' WHERE name = 'Battlestar Galactica (Classic)'",
        "UPDATE album SET artist_id = 90 WHERE artist_id = 50",  # Metallica's go to Iron Maiden
        "UPDATE track SET album_id = 1 WHERE track_id = 3247",
        "UPDATE genre SET name = 'Roll' WHERE name = 'Rock'",
        "INSERT INTO invoice_line VALUES (9001, 98, 1, 0.99, 2)",
        "DELETE FROM invoice_line WHERE invoice_line_id = 532",
        "UPDATE invoice_line SET invoice_id = 121 WHERE invoice_line_id = 767",
        "UPDATE invoice SET customer_id = 2, total = 5.95 WHERE invoice_id = 382",
        "UPDATE employee SET last_name = 'Peacock-Li' WHERE employee_id = 3",
        "UPDATE customer SET support_rep_id = NULL WHERE customer_id = 4",
        "DELETE FROM invoice_line WHERE invoice_id IN (SELECT invoice_id FROM invoice WHERE customer_id = 5)",
        "DELETE FROM invoice WHERE customer_id = 5",
        "DELETE FROM customer WHERE customer_id = 5",
        "INSERT INTO customer (customer_id, first_name, last_name, email) VALUES (60, 'Ada', 'B', 'A@B.c')",
    )
    ls.run(shop.pipeline, once=True)
    shop.assert_agreement()
    documents = shop.documents()
    assert "5" not in documents
    assert documents["60"] == {
        "name": "Ada B",
        "email": "a@b.c",
        "company": None,
        "city": None,
        "country": None,
        "support_rep": None,
        "spent": Decimal("0.00"),
        "first_invoice": None,
        "last_invoice": None,
        "artists": [],
        "invoices": [],
    }
    assert documents["4"]["support_rep"] is None
    first = documents["1"]
    assert first["support_rep"]["name"] == "Jane Peacock-Li"
    assert 382 not in [invoice["number"] for invoice in first["invoices"]]
    moved = next(invoice for invoice in documents["2"]["invoices"] if invoice["number"] == 382)
    assert moved["total"] == Decimal("5.95")
    oldest = first["invoices"][-1]
    assert [(line["track"], line["album"], line["artist"], line["quantity"]) for line in oldest["lines"]] == [
        ("Experiment In Terra", "For Those About To Rock We Salute You", "AC/DC", 1),
        ("For Those About To Rock (We Salute You)", "For Those About To Rock We Salute You", "AC/DC", 2),
    ]


def test_changes_at_every_level_while_it_runs(shop: Shop) -> None:
    """One after the other, so that each must be noticed by itself."""
    with shop.running():
        shop.follows("UPDATE artist SET name = 'AC⚡DC' WHERE artist_id = 1")
        shop.follows("UPDATE artist SET name = NULL WHERE artist_id = 22")
        shop.follows(
            "INSERT INTO artist VALUES (900, 'New')", "UPDATE album SET artist_id = 900 WHERE album_id = 1"
        )
        shop.follows("UPDATE album SET title = 'Renamed' WHERE album_id = 1")
        shop.follows("UPDATE track SET name = name || '!' WHERE track_id = 1")
        shop.follows("UPDATE track SET album_id = 5 WHERE track_id = 1")
        shop.follows("UPDATE track SET album_id = NULL, genre_id = NULL WHERE track_id = 1")
        shop.follows("UPDATE genre SET name = 'Noise' WHERE genre_id = 3")
        shop.follows("INSERT INTO invoice_line VALUES (9002, 121, 2, 1.29, 3)")
        shop.follows("UPDATE invoice_line SET unit_price = 0.29 WHERE invoice_line_id = 9002")
        shop.follows("UPDATE invoice_line SET track_id = 7 WHERE invoice_line_id = 9002")
        shop.follows("UPDATE invoice_line SET invoice_id = 382 WHERE invoice_line_id = 9002")
        shop.follows("DELETE FROM invoice_line WHERE invoice_line_id = 9002")
        shop.follows(
            "INSERT INTO invoice (invoice_id, customer_id, invoice_date, total)"
            " VALUES (901, 60, '2026-01-31', 2)"
        )
        shop.follows("UPDATE invoice SET customer_id = 59 WHERE invoice_id = 901")
        shop.follows("DELETE FROM invoice WHERE invoice_id = 901")
        shop.follows("UPDATE employee SET title = 'Lead' WHERE employee_id = 4")
        shop.follows("UPDATE customer SET support_rep_id = 4 WHERE customer_id = 60")
        shop.follows("UPDATE customer SET customer_id = 61 WHERE customer_id = 60")
        shop.follows("DELETE FROM customer WHERE customer_id = 61")
        shop.follows("TRUNCATE invoice_line")
        shop.assert_agreement()
    shop.assert_agreement()


def test_what_no_mapping_reads_writes_nothing(shop: Shop) -> None:
    before = shop.ask("GET", f"/{INDEX}/_search?size=1000&seq_no_primary_term=true")["hits"]["hits"]
    shop.do("UPDATE customer SET phone = '1', fax = '2'", "DELETE FROM playlist_track")
    ls.run(shop.pipeline, once=True)
    shop.ask("POST", f"/{INDEX}/_refresh")
    assert shop.ask("GET", f"/{INDEX}/_search?size=1000&seq_no_primary_term=true")["hits"]["hits"] == before
    shop.assert_agreement()
