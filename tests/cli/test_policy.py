"""`sealserve policy`: rules tested, decisions explained and replayed, on the registry itself."""

import shutil
from pathlib import Path

import pytest

from sealserve.daemon.storage import open_registry
from sealserve.packaged_policies import policy_directory
from sealserve.policy.events import EXAMPLES, Event
from sealserve.policy.rulebook import open_rules
from sealserve.settings.settings import Settings
from tests.cli.site import run


@pytest.fixture
def decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A data directory with one decision; its id."""
    monkeypatch.setenv("SEALSERVE_DATA_DIRECTORY", str(tmp_path / "data"))
    registry = open_registry(Settings(data_directory=tmp_path / "data"))
    given = EXAMPLES[Event.ADAPTER_ROLLBACK] | {"reason": ""}
    ruling = open_rules().rule(Event.ADAPTER_ROLLBACK, given, tenant="acme", subject="tenants/acme/adapters/2")
    registry.policy_decisions.keep(ruling)
    registry.close()
    return ruling.ruling


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A folder with the shipped rules, under which a rollback needs a reason."""
    for name in ("rules", "tests/rules"):
        shutil.copytree(policy_directory() / name, tmp_path / "new" / name)
    for file in (tmp_path / "new").glob("**/default.yaml"):
        text = file.read_text()
        text = text.replace('warn_if: reason == ""', 'deny_if: reason == ""')
        file.write_text(
            text.replace("effect: warn, rules: [rollback.reason]", "effect: deny, rules: [rollback.reason]")
        )
    return tmp_path / "new"


def test_the_shipped_rules_pass_their_cases() -> None:
    ran = run("policy", "test", "--json")
    assert (ran.code, ran.shown["failed"]) == (0, 0)
    assert ran.shown["rules"] >= 10


def test_a_failing_case_or_unreadable_rules_end_with_a_code(changed: Path) -> None:
    rules = changed / "rules/default.yaml"
    rules.write_text(rules.read_text().replace("deny_if: reason", "warn_if: reason"))
    assert run("policy", "test", str(changed), "--json").code == 5
    rules.write_text("adapter.promote: {rules: [{id: x, deny_if: 'verdict.', reason: y}]}")
    ran = run("policy", "test", str(changed), "--json")
    assert (ran.code, ran.shown["error"]["reason"]) == (2, "BAD_CONFIG")


def test_a_decision_is_listed_and_explained(decided: str) -> None:
    listed = run("policy", "list", "--json").shown["decisions"]
    assert [one["ruling"] for one in listed] == [decided]
    shown = run("policy", "explain", decided, "--json").shown
    assert (shown["effect"], shown["results"][0]["rule"]) == ("warn", "rollback.reason")
    assert shown["bundle"] == open_rules().bundle().digest
    assert run("policy", "explain", "none", "--json").code == 3


def test_a_replay_shows_which_decisions_would_change(decided: str, changed: Path) -> None:
    same = run("policy", "replay", "--bundle", str(policy_directory()), "--json").shown
    assert (same["replayed"], same["changed"]) == (1, [])
    [change] = run("policy", "replay", "--bundle", str(changed), "--last", "5", "--json").shown["changed"]
    assert (change["decision"], change["was"], change["would_be"]) == (decided, "warn", "deny")
