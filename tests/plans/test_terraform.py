"""Plans that Terraform itself makes. terraform_data needs no provider, so no network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from lockstep.cli.main import cli
from lockstep.guard.plans.terraform import read_terraform

BLOCK = """
variable "password" {
  type      = string
  default   = "hunter2-%(word)s"
  sensitive = true
}
resource "terraform_data" "many" {
  count            = 12
  input            = { password = var.password }
  triggers_replace = ["%(word)s"]
}
module "inner" {
  source   = "./inner"
  for_each = toset(["a.b", "c"])
}
"""
INNER = 'resource "terraform_data" "one" { input = "x" }\n'


def terraform(directory: Path, *arguments: str) -> str:
    """What the command prints."""
    found = shutil.which("terraform")
    if found is None:
        how = "terraform is not on the PATH: see developer.hashicorp.com/terraform/install"
        pytest.skip(how)
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    environment.pop("TF_CLI_CONFIG_FILE", None)
    ran = subprocess.run(
        [found, *arguments], cwd=directory, env=environment, capture_output=True, text=True, timeout=240
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def planned(directory: Path, *more: str) -> str:
    terraform(directory, "plan", "-input=false", "-out=plan.out", *more)
    return terraform(directory, "show", "-json", "plan.out")


def test_plans_that_terraform_makes(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "main.tf").write_text(INNER)
    (tmp_path / "main.tf").write_text(BLOCK % {"word": "one"})
    terraform(tmp_path, "init", "-input=false")

    first = planned(tmp_path)
    plan = read_terraform(json.loads(first))
    assert len(plan.changes) == 14
    assert {thing.address for thing in plan.planned} >= {'module.inner["a.b"].terraform_data.one'}
    assert CliRunner().invoke(cli, ["guard", "terraform", "-"], input=first).exit_code == 0
    terraform(tmp_path, "apply", "-input=false", "-auto-approve")

    (tmp_path / "main.tf").write_text(BLOCK % {"word": "two"})
    second = planned(tmp_path)
    changes = {change.address: change for change in read_terraform(json.loads(second)).changes}
    replaced = changes["terraform_data.many[3]"]
    assert (replaced.actions, replaced.replace_paths) == (("delete", "create"), ("triggers_replace",))
    ran = CliRunner().invoke(cli, ["guard", "terraform", "-", "--json"], input=second)
    assert ran.exit_code == 1
    assert [one["rule"] for one in json.loads(ran.output)["findings"]] == ["plan-share"]
    assert "hunter2" in second
    assert "hunter2" not in ran.output

    away = planned(tmp_path, "-destroy")
    ran = CliRunner().invoke(cli, ["guard", "terraform", "-"], input=away)
    assert ran.exit_code == 1
    assert "14 of 14 resources are destroyed" in ran.output
