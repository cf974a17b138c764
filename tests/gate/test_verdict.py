"""Every policy file loads, and its golden cases come out as written."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sealserve.errors import BadConfig
from sealserve.gate.policy import default_policy_path, load_policy, policy_directory
from sealserve.gate.scores import scorecard_from_json, scorecard_json, verdict_from_json, verdict_json
from sealserve.gate.verdict import judge
from sealserve.records import Decision, Json, Measured, NotApplicable, Scorecard, Unmeasured

CASES = [
    pytest.param(file["policy"], case, id=case["name"])
    for path in sorted((policy_directory() / "tests").glob("*.yaml"))
    for file in [yaml.safe_load(path.read_text())]
    for case in file["cases"]
]

measured = st.builds(
    Measured,
    n=st.integers(0, 200),
    candidate=st.floats(allow_infinity=False),
    incumbent=st.floats(0, 1),
    gain=st.floats(),
    gain_low=st.floats(),
    gain_high=st.floats(),
)
unmeasured = st.builds(Unmeasured, why=st.text(max_size=10))
cards = st.builds(
    Scorecard,
    confirm=measured | unmeasured,
    replay=measured | unmeasured | st.builds(NotApplicable, because=st.text(max_size=10)),
    canary=measured | unmeasured,
    unknown=measured | unmeasured,
)


@pytest.mark.parametrize(("policy", "case"), CASES)
def test_golden_case(policy: str, case: Json) -> None:
    verdict = judge(scorecard_from_json(case["card"]), load_policy(policy_directory() / policy))
    assert verdict.decision == case["decision"]
    assert case["reason"] in " | ".join(verdict.reasons)


def test_every_policy_file_loads_and_names_itself() -> None:
    names = [load_policy(path).name for path in sorted(policy_directory().glob("*.yaml"))]
    assert "default" in names
    assert len(set(names)) == len(names)


@given(cards)
def test_whatever_is_promoted_was_measured_and_gained(card: Scorecard) -> None:
    policy = load_policy()
    verdict = judge(card, policy)
    assert verdict.reasons
    if verdict.decision == Decision.PROMOTE:
        assert isinstance(card.confirm, Measured)
        assert card.confirm.gain_low > policy.confirm.min_gain_low
        assert isinstance(card.canary, Measured)
        assert -card.canary.gain <= policy.canary.hold_loss
        assert isinstance(card.unknown, Measured)
        assert not isinstance(card.replay, Unmeasured)


@given(cards)
def test_a_scorecard_survives_its_json_form(card: Scorecard) -> None:
    assert repr(scorecard_from_json(scorecard_json(card))) == repr(card)


def test_a_verdict_survives_its_json_form() -> None:
    card = Scorecard(
        confirm=Unmeasured(why="x"),
        replay=NotApplicable(because="y"),
        canary=Unmeasured(why="z"),
        unknown=Unmeasured(why="z"),
    )
    verdict = judge(card, load_policy())
    assert verdict_from_json(verdict_json(verdict)) == verdict


def test_a_misspelt_threshold_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(default_policy_path().read_text().replace("min_share", "min_shares"))
    with pytest.raises(BadConfig, match=r"confirm\.min_share"):
        load_policy(path)


def test_a_missing_or_unreadable_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="absent"):
        load_policy(tmp_path / "absent.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(BadConfig, match="mapping"):
        load_policy(tmp_path / "list.yaml")


def test_thresholds_in_the_wrong_order_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(default_policy_path().read_text().replace("hold_loss: 0.05", "hold_loss: 0.5"))
    with pytest.raises(BadConfig, match="hold_loss must not be above"):
        load_policy(path)
