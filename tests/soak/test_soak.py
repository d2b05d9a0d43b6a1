"""The soak's short form: a minute of load, each kind of fault once."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockstep.testing.servers import OpenSearchServer, PostgresServer
from tests.soak.soak import soak, table


@pytest.mark.timeout(600)
def test_a_minute_of_everything_ends_in_agreement(
    tmp_path: Path, private_postgres: PostgresServer, private_opensearch: OpenSearchServer
) -> None:
    outcome = soak(60, 4.0, root=tmp_path, postgres=private_postgres, opensearch=private_opensearch)
    assert outcome.wrong == [], table(outcome)
    assert len(outcome.faults) == 15
    assert outcome.checks["checks"], outcome.checks
    assert outcome.changes_per_second > 100, "a load that does not load shows nothing"
    assert outcome.rss_peak < 400 * 1024
