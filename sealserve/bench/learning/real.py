"""The real figure: whole cycles of a pretrained instruct model on real passages, graded by questions people wrote.

Those questions are seen by nothing but the final grading. Four passages a cycle, a tenant of its own for each cycle, so
that cycles are independent. Beside what the cycle made stand the base with closed book and with the passage at hand,
and adapters trained by the winner's own recipe for as many steps on the text alone or on one template's self-edits.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sealserve.bench.harness.intervals import Share, gains, share
from sealserve.bench.harness.learning_lab import Lab, Say, Subject, about, open_lab, source_of
from sealserve.bench.harness.squad_file import read_passages
from sealserve.engine.engine import AdapterFiles
from sealserve.grading.answers import is_right
from sealserve.learning.training.batch_job import TrainingTask
from sealserve.learning.training.step_budget import step_growth
from sealserve.prompts import BUILT_IN, Template
from sealserve.records.candidates import Candidate, Recipe
from sealserve.records.cycles import Cycle, CycleState, Step
from sealserve.records.documents import NewDocument
from sealserve.records.scores import Measured, Score
from sealserve.records.step_outputs import Confirmed, Filtered, Ranked, Trained, from_json

PER_CYCLE = 4
ANSWER_TOKENS = 64
"""Of answers to the people's questions, for every arm: a sentence that holds the answer is right, too."""

_FIRST_KEYS = ("none", "open_book", "raw", "default")


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What came of one cycle, and what its winner answers; no winner: the base answers."""

    cycle: Cycle
    passages: int
    seconds: float
    filtered: Filtered | None
    trained: Trained | None
    confirmed: Confirmed | None
    answers: dict[str, list[list[bool]]] = field(default_factory=dict)


def run(
    *,
    data: Path,
    model: str = "smollm2",
    passages: int = 20,
    questions: int = 8,
    arms: Sequence[str] = ("raw",),
    candidates: int = 0,
    quick: bool = False,
    seed: int = 0,
    say: Say = print,
) -> dict[str, Any]:
    """Return the figures; `arms` are raw and names of templates, `candidates` 0: as the model's profile has it.

    An interrupt ends it with the figures of the cycles so far, if there are any.

    Raises: BadConfig (data, model), EngineFailed.
    """
    subjects = [
        replace(subject, exam=subject.exam[:questions])
        for subject in read_passages(data, n=PER_CYCLE if quick else passages, is_spread=True, seed=seed)
    ]
    return asyncio.run(_measure(subjects, model=model, arms=arms, candidates=candidates, seed=seed, say=say))


async def _measure(
    subjects: Sequence[Subject], *, model: str, arms: Sequence[str], candidates: int, seed: int, say: Say
) -> dict[str, Any]:
    started = time.monotonic()
    chosen = {"training__candidates": candidates} if candidates else {}
    async with open_lab(model=model, seed=seed, say=say, slots=4, concurrency=48, max_attempts=1, **chosen) as lab:
        lab.is_right, lab.answer_tokens = is_right, ANSWER_TOKENS
        answers = {
            "none": await lab.sit((None, one.exam) for one in subjects),
            "open_book": await lab.sit((None, lab.open_book(one)) for one in subjects),
        }
        say(_say_shares(answers))
        learned: list[Learned] = []
        try:
            for place in range(0, len(subjects), PER_CYCLE):
                learned.append(await _learn_part(lab, subjects[place : place + PER_CYCLE], number=place, arms=arms))
                for name, rows in learned[-1].answers.items():
                    answers.setdefault(name, []).extend(rows)
                say(f"{sum(one.passages for one in learned)} of {len(subjects)} passages: {_say_shares(answers)}")
        except asyncio.CancelledError:  # Ctrl-C; what was measured until then took hours
            if not learned:
                raise
        done = sum(one.passages for one in learned)
        answers = {name: rows[:done] for name, rows in answers.items()}
        return _figures(lab, answers, learned, documents=done, seconds=time.monotonic() - started)


async def _learn_part(lab: Lab, subjects: Sequence[Subject], *, number: int, arms: Sequence[str]) -> Learned:
    """Let a tenant learn the passages in one cycle, train the other arms, and let all answer the people's questions."""
    tenant, registry = f"real-{number}", lab.context.registry
    started = time.monotonic()
    await asyncio.to_thread(registry.tenants.create, tenant, actor="bench")
    cycle = await lab.run_cycle(
        tenant,
        [
            NewDocument(title=one.title, text=one.text, source=f"bench/{one.document}", media_type="text/plain")
            for one in subjects
        ],
    )
    seconds = time.monotonic() - started
    steps = {one.step: one for one in await asyncio.to_thread(registry.cycles.steps, cycle.cycle)}
    learned = Learned(
        cycle=cycle,
        passages=len(subjects),
        seconds=seconds,
        filtered=from_json(Filtered, steps[Step.FILTER].output) if Step.FILTER in steps else None,
        trained=from_json(Trained, steps[Step.TRAIN].output) if Step.TRAIN in steps else None,
        confirmed=from_json(Confirmed, steps[Step.CONFIRM].output) if Step.CONFIRM in steps else None,
    )
    lab.say(f"{cycle.state.value} after {seconds:.0f} s: {cycle.reason}")
    ranked = from_json(Ranked, steps[Step.RANK].output) if Step.RANK in steps else None
    winner = next(
        (
            candidate
            for candidate in await asyncio.to_thread(registry.cycles.candidates, cycle.cycle)
            if ranked and candidate.index == ranked.winner
        ),
        None,
    )
    learned.answers.update(await _answer(lab, subjects, winner, learned, arms=arms))
    return learned


async def _answer(
    lab: Lab, subjects: Sequence[Subject], winner: Candidate | None, learned: Learned, *, arms: Sequence[str]
) -> dict[str, list[list[bool]]]:
    exams = [one.exam for one in subjects]
    if winner is None:
        base = await lab.sit((None, exam) for exam in exams)
        return dict.fromkeys(("default", *arms), base)
    with lab.context.registry.artifacts.materialise(winner.artifact) as path:
        files = AdapterFiles(name=f"real-{winner.artifact[:12]}", path=path)
        found = {"default": await lab.sit_together(files, exams)}
    if arms:
        tasks = [await _task(lab, subjects, winner, learned, arm=arm) for arm in arms]
        wanted = [task for task in tasks if task.has_new_examples]
        trained = iter(await lab.train(wanted))
        for arm, task in zip(arms, tasks, strict=True):
            adapter = next(trained) if task.has_new_examples else None
            found[arm] = await lab.sit_together(adapter, exams)
    return found


async def _task(
    lab: Lab, subjects: Sequence[Subject], winner: Candidate, learned: Learned, *, arm: str
) -> TrainingTask:
    """Return a training of as many steps as the winner's: on the text alone ("raw"), or one template's self-edits."""
    notes = await asyncio.to_thread(lab.context.registry.cycles.self_edits, learned.cycle.cycle)
    documents = list(dict.fromkeys(note.document for note in notes))
    sources = [
        source_of(
            subject,
            [
                replace(note, document=subject.document)
                for note in notes
                if note.admitted and note.document == document and note.template.value == arm
            ],
        )
        for subject, document in zip(subjects, documents, strict=False)
    ]
    pool = await lab.pool(sources, is_text_alone=arm == "raw")
    recipe: Recipe = replace(winner.recipe, templates=() if arm == "raw" else (Template(arm),), epochs=10_000)
    steps = _steps_of(learned, winner)
    return TrainingTask(pool=pool, recipe=recipe, max_steps=max(1, round(steps / step_growth(pool))))


def _steps_of(learned: Learned, winner: Candidate) -> int:
    assert learned.trained is not None
    return next(trial.steps for trial in learned.trained.trials if trial.index == winner.index)


def _figures(
    lab: Lab, answers: dict[str, list[list[bool]]], learned: Sequence[Learned], *, documents: int, seconds: float
) -> dict[str, Any]:
    shares: dict[str, Share] = {name: share(rows) for name, rows in answers.items()}
    gain = share(gains(answers["default"], answers["raw"])) if "raw" in answers else None
    open_book = shares["open_book"].value
    confirmed = [one.confirmed.scorecard for one in learned if one.confirmed is not None]
    reported = [
        one.confirmed.scorecard.confirm.candidate - share(one.answers["default"]).value
        for one in learned
        if one.confirmed is not None and isinstance(one.confirmed.scorecard.confirm, Measured)
    ]
    return {
        **{name: shares[name].value for name in (*_FIRST_KEYS, *BUILT_IN) if name in shares},
        "intervals": {name: [one.low, one.high] for name, one in shares.items()},
        "default_over_open": round(shares["default"].value / open_book, 4) if open_book else None,
        "default_minus_raw": [gain.value, gain.low, gain.high] if gain else None,
        "canary_loss": _loss([card.canary for card in confirmed]),
        "abstention_loss": _loss([card.unknown for card in confirmed]),
        "promoted": sum(one.passages for one in learned if one.cycle.state is CycleState.PROMOTED),
        "reported_minus_retested": round(sum(reported) / len(reported), 4) if reported else None,
        "seconds_per_article": round(sum(one.seconds for one in learned) / documents, 1),
        "tokens_trained": sum(one.trained.tokens for one in learned if one.trained is not None),
        "passages": documents,
        "questions": shares["none"].n,
        "cycles": [
            {"state": one.cycle.state.value, "reason": one.cycle.reason, "seconds": round(one.seconds, 1)}
            | ({"filtered": _counts(one.filtered)} if one.filtered else {})
            for one in learned
        ],
        **about(lab, seconds=seconds),
    }


def _counts(filtered: Filtered) -> dict[str, Any]:
    return {
        "admitted": filtered.admitted,
        "select": filtered.select,
        "confirm": filtered.confirm,
        "reasons": filtered.reasons,
    }


def _loss(scores: Sequence[Score]) -> float | None:
    """Return the mean loss against the incumbent, the base; None if nothing was measured."""
    found = [score.incumbent - score.candidate for score in scores if isinstance(score, Measured)]
    return round(sum(found) / len(found), 4) if found else None


def _say_shares(answers: dict[str, list[list[bool]]]) -> str:
    return ", ".join(f"{name} {share(rows).value:.3f}" for name, rows in answers.items())
