"""Every policy file loads, and its golden cases come out as written."""

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sealserve.canonical import Json
from sealserve.errors import BadConfig
from sealserve.gate.statistics import compare
from sealserve.gate.thresholds import Policy, default_policy_path, load_policy
from sealserve.gate.verdict import judge
from sealserve.packaged_policies import policy_directory
from sealserve.records.score_json import scorecard_from_json, scorecard_json, verdict_from_json, verdict_json
from sealserve.records.scores import Decision, Measured, NotApplicable, Scorecard, Unmeasured

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
    better=st.integers(-1, 200),
    worse=st.integers(-1, 200),
    facts=st.integers(0, 20),
    facts_better=st.integers(-1, 20),
    facts_worse=st.integers(-1, 20),
)
unmeasured = st.builds(Unmeasured, why=st.text(max_size=10))
cards = st.builds(
    Scorecard,
    confirm=measured | unmeasured,
    replay=measured | unmeasured | st.builds(NotApplicable, because=st.text(max_size=10)),
    canary=measured | unmeasured,
    unknown=measured | unmeasured,
    open_book=st.none() | st.floats(),
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


@given(cards, st.just(load_policy()))
@settings(deadline=None)
def test_whatever_is_promoted_was_measured_and_gained(card: Scorecard, policy: Policy) -> None:
    verdict = judge(card, policy)
    assert verdict.reasons
    if verdict.decision == Decision.PROMOTE:
        assert isinstance(card.confirm, Measured)
        assert card.confirm.gain_low > policy.confirm.min_gain_low
        assert isinstance(card.canary, Measured)
        if card.canary.incumbent >= policy.canary.min_incumbent_share:
            assert -card.canary.gain < policy.canary.margin
        assert isinstance(card.unknown, Measured)
        assert max(card.canary.incumbent, card.unknown.incumbent) >= policy.canary.min_incumbent_share
        assert not isinstance(card.replay, Unmeasured)


@given(cards)
@settings(deadline=None)
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


@pytest.mark.parametrize("wrong", ["alpha: 0.5", "alpha: 0", "margin: 1.0", "margin: -0.1"])
def test_a_margin_or_error_that_tests_nothing_is_refused(tmp_path: Path, wrong: str) -> None:
    path, name = tmp_path / "policy.yaml", wrong.split(":", maxsplit=1)[0]
    path.write_text(re.sub(rf"{name}: [0-9.]+", wrong, default_policy_path().read_text()))
    with pytest.raises(BadConfig, match=rf"canary\.{name}"):
        load_policy(path)


def test_a_margin_of_zero_passes_whoever_is_not_seen_to_lose() -> None:
    policy = load_policy()
    strict = policy.model_copy(update={"canary": policy.canary.model_copy(update={"margin": 0.0})})
    assert judge(_card(worse=0), strict).decision is Decision.PROMOTE
    assert judge(_card(worse=1), strict).decision is Decision.HOLD
    assert judge(_card(worse=9), strict).decision is Decision.REJECT


def test_more_suites_do_not_refuse_more_candidates_for_nothing() -> None:
    policy = load_policy()
    alone = judge(_card(worse=22, items=250), policy)
    assert alone.decision is Decision.REJECT
    crowded = judge(_card(worse=22, items=250, replay=_kept(40, worse=0)), policy)
    assert crowded.decision is Decision.HOLD


def _card(*, worse: int, items: int = 300, replay: Measured | None = None) -> Scorecard:
    return Scorecard(
        confirm=compare([True] * 30, [False] * 30, confidence=0.95),
        replay=replay or NotApplicable(because="nothing learned earlier"),
        canary=_kept(items, worse=worse),
        unknown=_kept(300, worse=0),
    )


def _kept(n: int, *, worse: int) -> Measured:
    return compare([False] * worse + [True] * (n - worse), [True] * n, confidence=0.95)
