"""The example of the billing, told with fewer customers: what it shows is so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

STORY = Path(__file__).parents[2] / "examples" / "billing" / "story.py"


def test_the_story() -> None:
    pytest.importorskip("uvicorn", reason="the stand-in needs: pip install 'lockstep-sync[twins]'")
    command = [sys.executable, str(STORY), "--customers", "12", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["agreement"]
    assert (told["first_orders"], told["second_orders"], told["risen_orders"]) == (12, 0, 6)
    assert told["risen_calls"] <= 6 * 2 + 3, "two calls an account, and what a start asks"
    assert told["revenue_dates"] > 12
    assert told["found"] == {"different": 1, "invariant": 1}
    assert told["revenue_before_the_rise"] == sorted(f"C-{number}" for number in range(1, 7)), (
        "the app's prices"
    )
    assert told["revenue_after_the_edit"] == ["C-12"], "the tenant's seats"
