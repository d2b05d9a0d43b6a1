"""The command: exit codes, --json, and files that are no plans."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lockstep.cli.main import cli
from tests.plans.written import CREATE, DELETE, change, plan

PAGE = Path(__file__).parents[2] / "docs" / "guard-plans.md"


def guard(tmp_path: Path, kind: str, given: Any, *more: str, code: int) -> str:
    """What the command prints of this file. It must end with this code."""
    path = tmp_path / "given.json"
    path.write_bytes(given if isinstance(given, bytes) else json.dumps(given).encode())
    ran = CliRunner().invoke(cli, ["guard", kind, str(path), *more])
    assert ran.exit_code == code, ran.output
    return ran.output


def test_verdicts_are_exit_codes(tmp_path: Path) -> None:
    assert "Allowed. 0 changes judged." in guard(tmp_path, "terraform", plan(), code=0)
    held = plan(change("aws_db_instance.x", DELETE, {"id": "1"}))
    shown = guard(tmp_path, "terraform", held, code=1)
    assert "Held" in shown
    assert "[stateful]" in shown
    shown = guard(tmp_path, "terraform", held, "--approve", "aws_db_instance.x", "--approve", "typo", code=0)
    assert "typo: nothing of this name was held" in shown
    refused = plan(
        *(change(f"aws_subnet.{x}", CREATE, None, {"vpc_id": "v", "cidr_block": "10.0.0.0/24"}) for x in "ab")
    )
    assert "Refused" in guard(tmp_path, "terraform", refused, code=1)


def test_json(tmp_path: Path) -> None:
    held = plan(change("aws_db_instance.x", DELETE, {"id": "1"}))
    found = json.loads(guard(tmp_path, "terraform", held, "--json", code=1))
    assert found.keys() == {"kind", "verdict", "judged", "findings", "unused"}
    assert (found["kind"], found["verdict"], found["judged"]) == ("terraform", "held", 1)
    assert found["findings"][0].keys() == {"rule", "severity", "address", "sentence", "mend"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_whichever_utf(tmp_path: Path, encoding: str) -> None:
    guard(tmp_path, "terraform", json.dumps(plan()).encode(encoding), code=0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (b"", "no JSON"),
        (b'{"format_version": "1.2", "resource_cha', "no JSON"),
        (b"PK\x03\x04 binary", "Terraform's own form"),
        (b'{"a": 1}\n{"b": 2}', "several objects"),
        (b"\xff\xfe\xfa", "no JSON"),
        (b"[" * 200_000, "nested too deeply"),
        ([], "no plan of Terraform"),
        ({"resource_changes": []}, "no format_version"),
        ({**plan(), "format_version": "2.0"}, "format 2.0"),
        ({"format_version": "1.0", "values": {}}, "it is a state"),
        ({**plan(), "resource_changes": {}}, "resource_changes is no list"),
        (plan({"type": "aws_vpc", "change": {"actions": ["create"]}}), "no address"),
        (plan({"address": "a.b", "type": "a"}), "no actions"),
        (plan({"address": "a.b", "type": "a", "change": {"actions": "delete"}}), "no actions"),
        (plan({"address": "a.b", "type": "a", "change": {"actions": [[]]}}), "no actions"),
        (plan({"address": "a.b", "type": "a", "change": {"actions": ["create"], "after": 7}}), "no object"),
        ({**plan(), "planned_values": {"root_module": []}}, "root_module is no object"),
        ({**plan(), "planned_values": {"root_module": {"resources": [3]}}}, "no object"),
    ],
)
def test_what_is_no_plan_is_never_allowed(tmp_path: Path, given: Any, words: str) -> None:
    assert words in guard(tmp_path, "terraform", given, code=2)


def test_what_is_no_list_of_hosts_is_told_as_that(tmp_path: Path) -> None:
    said = guard(tmp_path, "fleet", b"{", code=2)
    assert "guard-plans" in said
    assert "terraform" not in said


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    ran = CliRunner().invoke(cli, ["guard", "terraform", str(tmp_path / "no.json"), "--json"])
    assert ran.exit_code == 2
    assert json.loads(ran.output)["error"] == "PlanUnreadable"


def test_standard_input() -> None:
    ran = CliRunner().invoke(cli, ["guard", "terraform", "-"], input=json.dumps(plan()))
    assert ran.exit_code == 0


def test_the_example_of_the_page(tmp_path: Path) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.S)
    assert "[stateful]" in guard(tmp_path, "fleet", json.loads(example), code=1)
