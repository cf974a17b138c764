"""Canary items before an engine: choices are weighed without generating, and the judge has to show that it can."""

import pytest

from sealserve.errors import CouldNotMeasure
from sealserve.grading.answers import Matcher
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.evaluation.rewards.base import ScoredItem
from sealserve.learning.evaluation.rewards.canary import CanaryMatch
from sealserve.prompts import UNKNOWN_ANSWER, judge
from tests.fakes import FakeEngine

REWARD = CanaryMatch(min_judge_share=0.9)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


async def scores(engine: FakeEngine, *items: ScoredItem) -> tuple[float, ...]:
    await engine.start()
    return await REWARD.scores(EngineClient(engine, tenant="acme", cycle="c", concurrency=4), None, items)


def item(matcher: Matcher, **fields: object) -> ScoredItem:
    return ScoredItem(**{"question": "q?", "answer": "a", "reference_text": "a", "matcher": matcher, **fields})  # type: ignore[arg-type]


def judged(engine: FakeEngine, given: str, *, yes: float, no: float) -> None:
    prompt = judge("q?", "a", given)
    engine.likelihoods |= {(None, prompt, "yes"): yes, (None, prompt, "no"): no}


async def test_each_item_is_scored_by_its_own_matcher(engine: FakeEngine) -> None:
    engine.answers |= {(None, "q?"): "It is 41.", (None, "r?"): '{"n": 1}'}
    found = await scores(
        engine,
        item(Matcher.NUMERIC, answer="42", tolerance=1.0),
        item(Matcher.NUMERIC, answer="42"),
        item(Matcher.REGEX, pattern=r"\b41\b"),
        item(Matcher.EXACT, answer="it is 41"),
        item(Matcher.JSON_SCHEMA, question="r?", schema='{"required": ["n"]}'),
        item(Matcher.JSON_SCHEMA, question="r?", schema='{"required": ["m"]}'),
    )
    assert found == (1.0, 0.0, 1.0, 1.0, 1.0, 0.0)


async def test_the_likeliest_choice_counts_and_nothing_is_generated(engine: FakeEngine) -> None:
    engine.likelihoods |= {(None, "q?", "a"): -2.0, (None, "q?", "b"): -3.0, (None, "q?", "c"): -1.0}
    right, wrong = item(Matcher.CHOICE, choices=("a", "b")), item(Matcher.CHOICE, choices=("a", "b", "c"))
    assert await scores(engine, right, wrong) == (1.0, 0.0)
    assert {type(one).__name__ for one in engine.requests} == {"ScoreRequest"}


async def test_two_choices_that_are_equally_likely_are_not_a_right_answer(engine: FakeEngine) -> None:
    engine.likelihoods |= {(None, "q?", "a"): -2.0, (None, "q?", "b"): -2.0}
    assert await scores(engine, item(Matcher.CHOICE, choices=("b", "a"))) == (0.0,)


async def test_a_likelihood_that_is_not_a_number_is_no_score(engine: FakeEngine) -> None:
    engine.likelihoods |= {(None, "q?", "a"): float("nan"), (None, "q?", "b"): -2.0}
    with pytest.raises(CouldNotMeasure):
        await scores(engine, item(Matcher.CHOICE, choices=("a", "b")))


@pytest.mark.parametrize(("yes", "no", "score"), [(-0.1, -3.0, 1.0), (-3.0, -0.1, 0.0)])
async def test_the_base_judges_what_it_can_judge(engine: FakeEngine, yes: float, no: float, score: float) -> None:
    judged(engine, "a", yes=-0.1, no=-3.0)
    judged(engine, UNKNOWN_ANSWER, yes=-3.0, no=-0.1)
    judged(engine, "the same in other words", yes=yes, no=no)
    engine.answers[None, "q?"] = "the same in other words"
    assert await scores(engine, item(Matcher.JUDGE)) == (score,)


async def test_a_judge_that_says_yes_to_everything_judges_nothing(engine: FakeEngine) -> None:
    for given in ("a", UNKNOWN_ANSWER):
        judged(engine, given, yes=-0.1, no=-3.0)
    with pytest.raises(CouldNotMeasure, match="cannot judge"):
        await scores(engine, item(Matcher.JUDGE))
    assert not any(type(one).__name__ == "GenerateRequest" for one in engine.requests)
