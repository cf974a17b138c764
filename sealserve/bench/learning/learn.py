"""The learn figure: what is known closed-book after studying one article, by what it was trained on.

Arms: nothing, the raw text, each template alone, the product's default recipe; and the base with the article at hand
(`open_book`), graded in the same way. Beside the accuracies stands how far
reported scores are from a retest: the product's (ranked on one half of the quiz, reported on the other) and SEAL's
(best of five by the score that ranked them, arXiv 2506.10943).
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sealserve.bench.harness import plots
from sealserve.bench.harness.intervals import Share, share, with_goals
from sealserve.bench.harness.learning_lab import (
    Lab,
    Say,
    Studied,
    Subject,
    about,
    open_lab,
    seeded,
    source_of,
    study_of,
)
from sealserve.engine.engine import AdapterFiles
from sealserve.learning.editor.trials import sample_trials
from sealserve.learning.evaluation.confirmation import paired, states
from sealserve.learning.evaluation.ranking import Contender, RankingInputs, rank
from sealserve.learning.training.batch_job import TrainingTask
from sealserve.prompts import BUILT_IN, Template
from sealserve.records.candidates import Recipe, Target
from sealserve.records.cycles import Split
from sealserve.records.scores import Measured

GOALS = {"none": ("<=", 0.05), "default": (">=", 0.85), "reported_minus_retested": ("<=", 0.01)}
SEAL_CANDIDATES = 5
SEAL_QUESTIONS = 5
"""SEAL ranks five samples a passage by about five questions (facts of its published runs: 4.5 to 5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured. A limit on steps below the product's own (learn.training.max_steps) is conservative."""

    documents: int
    arm_documents: int  # the first so many are what the arms other than none and default are measured on
    questions: int
    candidates: int
    default_steps: int
    arm_steps: int  # of every arm but the default, each step `arm_batch` sequences
    arm_batch: int
    seal_steps: int
    seal_batch: int


QUICK = Size(
    documents=3,
    arm_documents=2,
    questions=20,
    candidates=1,
    default_steps=48,
    arm_steps=8,
    arm_batch=8,
    seal_steps=8,
    seal_batch=8,
)
FULL = Size(
    documents=20,
    arm_documents=10,
    questions=24,
    candidates=2,
    default_steps=140,
    arm_steps=30,
    arm_batch=8,
    seal_steps=12,
    seal_batch=12,
)


def run(*, quick: bool = False, out: Path | None = None, seed: int = 0, say: Say = print) -> dict[str, Any]:
    """Return the figures; plots go under `out`. Raises: EngineFailed, TrainingFailed, BadConfig (no matplotlib)."""
    plots.require_plots(out)
    return asyncio.run(_measure(QUICK if quick else FULL, seed=seed, out=out, say=say))


async def _measure(size: Size, *, seed: int, out: Path | None, say: Say) -> dict[str, Any]:
    started = time.monotonic()
    async with open_lab(seed=seed, say=say) as lab:
        subjects = lab.subjects(size.documents, questions=size.questions)
        say(f"studying {len(subjects)} documents")
        studied = await lab.study(subjects)
        arms = {"none": share(await lab.sit((None, one.exam) for one in subjects))}
        arms["open_book"] = share(await lab.sit((None, lab.open_book(one)) for one in subjects))
        candidates = await _train_candidates(lab, studied, size)
        arms["default"] = await _measure_arm(lab, subjects, [mine[0] for mine in candidates])
        say(", ".join(f"{name} {arm.value:.3f}" for name, arm in arms.items()))
        reported = await _retest(lab, studied, candidates)
        few = subjects[: size.arm_documents]
        lessons = await _make_arm_lessons(lab, studied[: size.arm_documents], size)
        trained = await lab.train([lesson for arm in lessons.values() for lesson in arm])
        for place, name in enumerate(lessons):
            arms[name] = await _measure_arm(lab, few, trained[place * len(few) : (place + 1) * len(few)])
            say(f"{name} {arms[name].value:.3f}")
        seal = await _retest_seal(lab, subjects, size)
        figures = _make_figures(lab, size, arms, reported, seal, seconds=time.monotonic() - started)
    if out is not None:
        plots.bars(
            out / "learn.png",
            arms,
            title="One article, closed-book",
            goals={n: g for n, (_, g) in GOALS.items() if n in arms},
        )
    return figures


async def _train_candidates(lab: Lab, studied: Sequence[Studied], size: Size) -> list[list[AdapterFiles]]:
    """Return the product's candidates for each document, its default recipe first; all trained in one job."""
    lessons = []
    for one in studied:
        pool = await lab.pool([one.source])
        chosen = lab.recipes(one.subject.document, size.candidates)
        lessons += [TrainingTask(pool=pool, recipe=recipe, max_steps=size.default_steps) for recipe in chosen]
    trained = await lab.train(lessons)
    each = len(trained) // len(studied)
    return [trained[start : start + each] for start in range(0, len(trained), each)]


async def _make_arm_lessons(lab: Lab, studied: Sequence[Studied], size: Size) -> dict[str, list[TrainingTask]]:
    default = replace(lab.recipes("arms", 1)[0], batch_size=size.arm_batch, retention=0.0)
    arms: dict[str, Recipe] = {"raw": replace(default, templates=())}
    arms |= {template.value: replace(default, templates=(template,)) for template in BUILT_IN}
    arms["distillation"] = replace(default, target=Target.DISTILLATION)
    lessons: dict[str, list[TrainingTask]] = {name: [] for name in arms}
    for one in studied:
        for name, recipe in arms.items():
            pool = await lab.pool(
                [
                    source_of(
                        one.subject,
                        [edit for edit in one.self_edits if edit.admitted and edit.template in recipe.templates],
                    )
                ]
            )
            chosen = replace(seeded(recipe, lab.seed, name, one.subject.document), epochs=1000)
            lessons[name].append(TrainingTask(pool=pool, recipe=chosen, max_steps=size.arm_steps))
    return lessons


async def _measure_arm(lab: Lab, subjects: Sequence[Subject], adapters: Sequence[AdapterFiles]) -> Share:
    return share(await lab.sit((files, one.exam) for files, one in zip(adapters, subjects, strict=True)))


async def _retest(lab: Lab, studied: Sequence[Studied], candidates: Sequence[Sequence[AdapterFiles]]) -> Share:
    """The product's way: ranked on the select half, reported on the confirm half, retested on fresh questions."""
    confidence = lab.context.policy.confidence

    async def one(study: Studied, mine: Sequence[AdapterFiles]) -> list[float]:
        ranked = await rank(
            lab.client,
            [Contender(index=index, files=files) for index, files in enumerate(mine)],
            RankingInputs(incumbent=None, items=study.items(Split.SELECT), reference_text=study.reference_texts),
            confidence=confidence,
        )
        items = study.items(Split.CONFIRM)
        if ranked.winner is None or not items:
            return []
        winner = mine[ranked.winner]
        score = await paired(
            lab.client,
            winner,
            incumbent=None,
            questions=[item.question for item in items],
            grades=[states(item.answer) for item in items],
            confidence=confidence,
        )
        retested = (await lab.sit([(winner, study.subject.exam)]))[0]
        return [score.candidate - sum(retested) / len(retested)] if isinstance(score, Measured) else []

    return share(await asyncio.gather(*(one(*pair) for pair in zip(studied, candidates, strict=True))))


async def _retest_seal(lab: Lab, subjects: Sequence[Subject], size: Size) -> Share:
    """SEAL's way: five unfiltered samples a document, the best by its own few questions reported."""
    recipe = replace(
        lab.recipes("seal", 1)[0], templates=(Template.QA,), epochs=1000, retention=0.0, batch_size=size.seal_batch
    )
    studies = [study_of(subject) for subject in subjects]
    trials = await sample_trials(
        lab.client,
        studies,
        templates=(Template.QA,),
        samples=SEAL_CANDIDATES,
        settings=lab.settings,
        editor=None,
        key=f"seal{lab.seed}",
    )
    everything = [replace(trial, notes=tuple(replace(note, admitted=True) for note in trial.notes)) for trial in trials]
    lessons = [
        TrainingTask(
            pool=await lab.pool([source_of(subjects[trial.place], trial.notes)]),
            recipe=seeded(recipe, lab.seed, trial.place, trial.sample),
            max_steps=size.seal_steps,
        )
        for trial in everything
    ]
    adapters = await lab.train(lessons)
    right = await lab.sit((files, subjects[t.place].exam) for files, t in zip(adapters, everything, strict=True))
    lost = []
    for place in range(len(subjects)):
        mine = [answers for answers, trial in zip(right, everything, strict=True) if trial.place == place]
        best = max(mine, key=lambda answers: sum(answers[:SEAL_QUESTIONS]))
        retest = best[SEAL_QUESTIONS:]
        lost.append([sum(best[:SEAL_QUESTIONS]) / SEAL_QUESTIONS - sum(retest) / len(retest)])
    return share(lost)


def _make_figures(
    lab: Lab, size: Size, arms: Mapping[str, Share], reported: Share, seal: Share, *, seconds: float
) -> dict[str, Any]:
    values = {name: one.value for name, one in arms.items()}
    values |= {"reported_minus_retested": reported.value, "seal_reported_minus_retested": seal.value}
    everything = {**arms, "reported_minus_retested": reported, "seal_reported_minus_retested": seal}
    return {
        **values,
        "intervals": {name: [one.low, one.high] for name, one in everything.items()},
        "goals": with_goals(values, GOALS),
        "documents": size.documents,
        "arm_documents": size.arm_documents,
        "questions": size.questions,
        "steps": {"default": size.default_steps, "arms": size.arm_steps, "seal": size.seal_steps},
        "sequences_per_step": {
            "default": lab.settings.training.batch_size,
            "arms": size.arm_batch,
            "seal": size.seal_batch,
        },
        "candidates": size.candidates,
        "arms": "the default recipe's examples by kind, without rehearsal; few steps, since long answers cost most",
        "seal_way": f"best of {SEAL_CANDIDATES} unfiltered question-answer edits by {SEAL_QUESTIONS} questions",
        **about(lab, seconds=seconds),
    }
