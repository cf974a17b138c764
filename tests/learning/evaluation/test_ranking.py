"""Ranking and confirming: honest numbers, and none where nothing could be measured."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sealserve import prompts
from sealserve.canaries.probes import Probe, Probes
from sealserve.engine.engine import AdapterFiles
from sealserve.gate.retest import RETESTS
from sealserve.grading.answers import Matcher
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.evaluation.confirmation import MAX_REPLAY_ITEMS, ConfirmationInputs, confirm
from sealserve.learning.evaluation.ranking import Contender, RankingInputs, rank
from sealserve.learning.evaluation.rewards.base import ScoredItem
from sealserve.learning.evaluation.rewards.canary import CanaryMatch
from sealserve.learning.evaluation.rewards.likelihood import FLOOR_NATS
from sealserve.learning.evaluation.scoring import Suite
from sealserve.records.cycles import QuizItem, Split
from sealserve.records.scores import Measured, NotApplicable, Unmeasured
from tests.fakes import FakeEngine

ITEMS = tuple(QuizItem(question=f"q{i}?", answer=f"a{i}", document="d", split=Split.SELECT) for i in range(10))
PROBES = Probes(canary=(Probe(question="old?", answer="yes"),), unknown=("who?",), rehearsed=(), rehearsed_unknown=())


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def adapter(directory: Path, name: str) -> AdapterFiles:
    path = directory / name
    path.mkdir()
    (path / "adapter_config.json").write_text(json.dumps({}))
    return AdapterFiles(name=name, path=path)


async def client(engine: FakeEngine) -> EngineClient:
    await engine.start()
    return EngineClient(engine, tenant="acme", cycle="c", concurrency=4)


def score(engine: FakeEngine, name: str | None, value: float) -> None:
    """Give every answer this log-likelihood a token; the fake counts words and the end of the turn."""
    engine.likelihoods |= {(name, item.question, item.answer): value * (len(item.answer.split()) + 1) for item in ITEMS}


async def test_the_highest_mean_gain_wins_and_an_answer_once_impossible_counts_for_no_more_than_an_unlikely_one(
    engine: FakeEngine, tmp_path: Path
) -> None:
    good, bad = adapter(tmp_path, "good"), adapter(tmp_path, "bad")
    score(engine, None, -8.0)
    score(engine, "good", -1.0)
    score(engine, "bad", -7.5)
    ranked = await rank(
        await client(engine),
        [Contender(index=0, files=bad), Contender(index=1, files=good)],
        RankingInputs(incumbent=None, items=ITEMS, reference_text={}),
        confidence=0.95,
    )
    assert ranked.winner == 1
    assert [s.rank_score for s in ranked.scores] == [0.0, -1.0 - FLOOR_NATS]
    assert (await engine.info()).loaded == ()


async def test_a_likelihood_that_is_not_a_number_is_no_score(engine: FakeEngine, tmp_path: Path) -> None:
    broken = adapter(tmp_path, "broken")
    score(engine, None, -8.0)
    score(engine, "broken", float("nan"))
    ranked = await rank(
        await client(engine),
        [Contender(index=0, files=broken)],
        RankingInputs(incumbent=None, items=ITEMS, reference_text={}),
        confidence=0.95,
    )
    assert ranked.winner is None
    assert ranked.scores[0].rank_score is None
    assert "not a number" in ranked.scores[0].why


async def test_an_adapter_that_will_not_load_does_not_stop_the_others(engine: FakeEngine, tmp_path: Path) -> None:
    good = adapter(tmp_path, "good")
    score(engine, None, -8.0)
    score(engine, "good", -1.0)
    ranked = await rank(
        await client(engine),
        [Contender(index=0, files=AdapterFiles(name="gone", path=tmp_path / "gone")), Contender(index=1, files=good)],
        RankingInputs(incumbent=None, items=ITEMS, reference_text={}),
        confidence=0.95,
    )
    assert ranked.winner == 1
    assert ranked.scores[0].why


async def test_without_questions_nothing_is_ranked(engine: FakeEngine, tmp_path: Path) -> None:
    contender = Contender(index=0, files=adapter(tmp_path, "good"))
    inputs = RankingInputs(incumbent=None, items=(), reference_text={})
    ranked = await rank(await client(engine), [contender], inputs, confidence=0.95)
    assert ranked.winner is None


async def test_the_scorecard_is_paired_and_says_what_does_not_apply(engine: FakeEngine, tmp_path: Path) -> None:
    winner = adapter(tmp_path, "winner")
    for item in ITEMS:
        engine.answers["winner", item.question] = f"It is {item.answer}."
        engine.answers[None, item.question] = "I don't know."
    engine.answers |= {
        ("winner", "old?"): "yes",
        (None, "old?"): "yes",
        ("winner", "who?"): "It is blue.",
        (None, "who?"): "I don't know.",
    }
    inputs = ConfirmationInputs(incumbent=None, items=ITEMS, earlier=None, probes=PROBES)
    card = await confirm(await client(engine), winner, inputs, confidence=0.95)
    assert isinstance(card.confirm, Measured)
    assert (card.confirm.n, card.confirm.candidate, card.confirm.incumbent) == (10, 1.0, 0.0)
    assert isinstance(card.replay, NotApplicable)
    assert isinstance(card.canary, Measured)
    assert card.canary.gain == 0.0
    assert isinstance(card.unknown, Measured)
    assert card.unknown.gain == -1.0


async def test_what_cannot_be_asked_is_unmeasured(engine: FakeEngine, tmp_path: Path) -> None:
    winner = adapter(tmp_path, "winner")
    long = (QuizItem(question="x" * 600, answer="a", document="d", split=Split.CONFIRM),)
    inputs = ConfirmationInputs(incumbent=None, items=long, earlier=(), probes=PROBES)
    card = await confirm(await client(engine), winner, inputs, confidence=0.95)
    assert isinstance(card.confirm, Unmeasured)
    assert isinstance(card.replay, Unmeasured)
    assert isinstance(card.canary, Measured)


async def test_replay_asks_every_earlier_document_in_turn(engine: FakeEngine, tmp_path: Path) -> None:
    winner = adapter(tmp_path, "winner")
    earlier = tuple(
        QuizItem(question=f"d{d} q{i}?", answer="a", document=f"d{d}", split=Split.CONFIRM)
        for d in range(6)
        for i in range(30)
    )
    inputs = ConfirmationInputs(incumbent=None, items=ITEMS, earlier=earlier, probes=PROBES)
    card = await confirm(await client(engine), winner, inputs, confidence=0.95)
    assert isinstance(card.replay, Measured)
    assert card.replay.n == MAX_REPLAY_ITEMS
    asked = {r.turns[-1].content.split()[0] for r in engine.requests if " q" in r.turns[-1].content}
    assert asked == {f"d{d}" for d in range(6)}


async def test_candidates_that_are_nearly_all_at_the_floor_are_not_ranked_by_it(
    engine: FakeEngine, tmp_path: Path
) -> None:
    first, second = adapter(tmp_path, "first"), adapter(tmp_path, "second")
    for name in (None, "first", "second"):
        score(engine, name, -9.0)
    score(engine, "second", -5.5)
    ranked = await rank(
        await client(engine),
        [Contender(index=0, files=first), Contender(index=1, files=second)],
        RankingInputs(incumbent=None, items=ITEMS, reference_text={}),
        confidence=0.95,
    )
    assert (ranked.winner, ranked.stands_out) == (0, False)
    assert "at the floor" in ranked.note


async def test_questions_on_one_fact_rank_as_one(engine: FakeEngine, tmp_path: Path) -> None:
    good = adapter(tmp_path, "good")
    score(engine, None, -3.0)
    score(engine, "good", -3.0)
    last = ITEMS[-1]
    engine.likelihoods["good", last.question, last.answer] = -1.0 * (len(last.answer.split()) + 1)
    items = [replace(item, fact="" if item is ITEMS[-1] else "one") for item in ITEMS]
    inputs = RankingInputs(incumbent=None, items=items, reference_text={})
    ranked = await rank(await client(engine), [Contender(index=0, files=good)], inputs, confidence=0.95)
    assert (ranked.scores[0].n, ranked.scores[0].rank_score) == (2, 1.0)


async def test_confirmation_counts_facts_and_asks_the_base_with_the_passage_at_hand(
    engine: FakeEngine, tmp_path: Path
) -> None:
    winner = adapter(tmp_path, "winner")
    for place, item in enumerate(ITEMS):
        engine.answers["winner", item.question] = f"It is {item.answer}."
        engine.answers[None, item.question] = "I don't know."
        opened = f"It is {item.answer}." if place < 8 else "The passage does not say."
        engine.answers[None, prompts.read(f"passage {place}", item.question)] = opened
    items = [replace(item, fact=f"f{place // 5}") for place, item in enumerate(ITEMS)]
    passages = tuple(f"passage {place}" for place in range(len(items)))
    inputs = ConfirmationInputs(incumbent=None, items=items, passages=passages, earlier=None, probes=PROBES)
    card = await confirm(await client(engine), winner, inputs, confidence=0.95)
    assert isinstance(card.confirm, Measured)
    assert (card.confirm.n, card.confirm.facts, card.confirm.facts_better) == (10, 2, 2)
    assert card.open_book == 0.8
    without = await confirm(await client(engine), winner, replace(inputs, passages=()), confidence=0.95)
    assert without.open_book is None


DANGERS = tuple(
    ScoredItem(question=f"danger {i}?", answer="", reference_text="", matcher=Matcher.REFUSAL) for i in range(3)
)


async def test_a_safety_answer_that_seems_lost_is_asked_for_again_of_both_sides(
    engine: FakeEngine, tmp_path: Path
) -> None:
    def answer(name: str | None, question: str) -> str | None:
        if not question.startswith("danger"):
            return None
        sampled = engine.requests[-1].sampling.temperature > 0  # type: ignore[union-attr]
        slips = name == "winner" and question == "danger 0?" and not sampled
        lost = name == "winner" and question == "danger 1?"
        lucky = name is None and question == "danger 2?" and sampled
        never = name == "winner" and question == "danger 2?"
        return "Sure, take a pipe." if slips or lost or lucky or never else "I can't help with that."

    engine = FakeEngine(answerer=answer)
    winner = adapter(tmp_path, "winner")
    suite = Suite(reward=CanaryMatch(min_judge_share=0.9), items=DANGERS)
    inputs = ConfirmationInputs(
        incumbent=None, items=ITEMS, earlier=None, probes=PROBES, suites={"dangers@3": suite}, retested={"dangers@3"}
    )
    asking = await client(engine)
    card = await confirm(asking, winner, inputs, confidence=0.95)
    found = card.suites["dangers@3"]
    assert isinstance(found, Measured)
    assert (found.worse, found.candidate, found.incumbent) == (1, 1 / 3, 2 / 3)
    sampled = [r for r in engine.requests if getattr(r, "sampling", None) and r.sampling.temperature > 0]  # type: ignore[union-attr]
    assert len(sampled) == 2 * 3 * RETESTS
    once = await confirm(asking, winner, replace(inputs, retested=frozenset()), confidence=0.95)
    assert isinstance(once.suites["dangers@3"], Measured)
    assert once.suites["dangers@3"].worse == 3
