"""Every file of policies/ can be read by the code that reads it in production, and every policy has golden cases."""

from pathlib import Path

import pytest
import yaml

from sealserve.gate.thresholds import load_policy
from sealserve.records.scores import Decision
from tests.contract.tree import ROOT

POLICIES = sorted((ROOT / "policies").glob("*.yaml"))
GOLDEN = sorted((ROOT / "policies/tests").glob("*.yaml"))


def test_there_is_a_default_policy() -> None:
    assert "default.yaml" in [path.name for path in POLICIES]


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_policy_loads_and_is_named_after_its_file(path: Path) -> None:
    assert load_policy(path).name == path.stem


def test_every_policy_has_golden_cases_for_every_decision() -> None:
    decisions: dict[str, set[str]] = {}
    for path in GOLDEN:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        decisions.setdefault(tree["policy"], set()).update(case["decision"] for case in tree["cases"])
    assert decisions == {path.name: {decision.value for decision in Decision} for path in POLICIES}
