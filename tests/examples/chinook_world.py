"""Chinook for tests: the database, the pipeline of the example, and what one reads without Lockstep."""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

import lockstep as ls
from lockstep.testing.servers._support import wait_until

EXAMPLE = Path(__file__).parents[2] / "examples" / "chinook"
INDEX = "chinook_customers"
Document = dict[str, Any]

EXPECTED = """
SELECT c.customer_id::text, json_build_object(
  'name', c.first_name || ' ' || c.last_name, 'email', lower(c.email), 'company', c.company,
  'city', c.city, 'country', c.country,
  'support_rep', CASE WHEN e.employee_id IS NOT NULL THEN json_build_object(
    'name', e.first_name || ' ' || e.last_name, 'title', e.title, 'email', e.email) END,
  'spent', (SELECT coalesce(sum(total), 0) FROM invoice i WHERE i.customer_id = c.customer_id),
  'first_invoice', (SELECT min(invoice_date)::date FROM invoice i WHERE i.customer_id = c.customer_id),
  'last_invoice', (SELECT max(invoice_date)::date FROM invoice i WHERE i.customer_id = c.customer_id),
  'artists', (SELECT coalesce(json_agg(DISTINCT a.name COLLATE "C") FILTER (WHERE a.name IS NOT NULL), '[]')
    FROM invoice i JOIN invoice_line USING (invoice_id) JOIN track USING (track_id)
    JOIN album USING (album_id) JOIN artist a USING (artist_id) WHERE i.customer_id = c.customer_id),
  'invoices', (SELECT coalesce(json_agg(json_build_object(
      'number', i.invoice_id, 'date', i.invoice_date::date, 'total', i.total,
      'lines', (SELECT coalesce(json_agg(json_build_object(
          'track', t.name, 'album', b.title, 'artist', a.name, 'genre', g.name,
          'price', l.unit_price, 'quantity', l.quantity) ORDER BY l.invoice_line_id), '[]')
        FROM invoice_line l JOIN track t USING (track_id) LEFT JOIN genre g USING (genre_id)
        LEFT JOIN album b USING (album_id) LEFT JOIN artist a USING (artist_id)
        WHERE l.invoice_id = i.invoice_id)
    ) ORDER BY i.invoice_date DESC, i.invoice_id DESC), '[]')
    FROM invoice i WHERE i.customer_id = c.customer_id)
)::text
FROM customer c LEFT JOIN employee e ON e.employee_id = c.support_rep_id"""


class Shop:
    """`documents` is what the index holds, `expected` what one SQL statement says it should."""

    def __init__(self, url: str, search: str, pipeline: ls.Pipeline) -> None:
        self.url = url
        self.search = search
        self.pipeline = pipeline

    def do(self, *statements: str) -> None:
        """Runs statements in one transaction, as the shop's own application would."""
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def expected(self) -> dict[str, Document]:
        with psycopg.connect(self.url) as connection:
            rows = connection.execute(EXPECTED.encode()).fetchall()
        return {key: _read(text) for key, text in rows}

    def documents(self) -> dict[str, Document]:
        self.ask("POST", f"/{INDEX}/_refresh")
        hits = self.ask("GET", f"/{INDEX}/_search?size=1000")["hits"]["hits"]
        found = {hit["_id"]: dict(hit["_source"]) for hit in hits}
        for document in found.values():
            del document["_lockstep"]
        return found

    def ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.search + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return _read(response.read().decode())

    def agrees(self) -> bool:
        return self.documents() == self.expected()

    def assert_agreement(self) -> None:
        """By `verify`, and by the SQL statement."""
        for method in ("fast", "deep"):
            report = ls.verify(self.pipeline, "customers", method=method)
            assert report.agreement, (method, report.counts, report.divergences[:3])
            assert not report.differing, method
        assert self.documents() == self.expected()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """A live run in a thread of its own."""
        stop = threading.Event()
        ended: list[object] = []

        def follow() -> None:
            try:
                ended.append(ls.run(self.pipeline, stop=stop))
            except BaseException as error:
                ended.append(error)

        thread = threading.Thread(target=follow, name="live run")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        (result,) = ended
        assert not isinstance(result, BaseException), result

    def follows(self, *statements: str) -> None:
        """Changes rows while it runs, and waits until the index says what the database says."""
        before = self.expected()
        self.do(*statements)
        assert self.expected() != before, "the change must be one that documents show"
        wait_until(self.agrees, 20, f"the documents to follow {statements}")


def _read(text: str) -> Any:
    """Numbers exactly as they are written: 3.98 is money."""
    return json.loads(text, parse_float=Decimal)
