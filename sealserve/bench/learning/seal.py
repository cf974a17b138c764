"""SEAL's knowledge-incorporation table again, for those who have the weights: `--model` Qwen2.5-7B, `--data` SQuAD.

Single passages, LoRA as in SEAL's own runs (arXiv 2506.10943, table 2 and its scripts: rank 32, alpha 64, 1e-3, ten
epochs, batch 1, no filter, the raw passage always among the sequences). Two differences are stated in the result:
answers are graded by normalised containment, not by GPT-4.1 (precision 0.93 and recall 0.69 against it on 32,825 of
SEAL's answers), and the prompts are the product's. Beside it stand the product's own default recipe, and the base with
the passage at hand (`open_book`), graded in the same way. Where the model
wrote nothing that an arm can train on, the base answers that passage's questions for the arm.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sealserve.bench.harness import plots
from sealserve.bench.harness.intervals import Share, share
from sealserve.bench.harness.learning_lab import Lab, Say, Studied, Subject, about, open_lab, seeded, source_of
from sealserve.bench.harness.squad_file import read_passages
from sealserve.engine.engine import AdapterFiles
from sealserve.grading.answers import is_right
from sealserve.learning.training.batch_job import TrainingTask
from sealserve.prompts import BUILT_IN, Template
from sealserve.records.candidates import Recipe

PUBLISHED = {
    "none": 0.327, "raw": 0.335, "implications": 0.397, "long": 0.493, "rewrite": 0.494, "qa": 0.373,
}  # fmt: skip
"""SEAL's accuracies with self-edits of the untrained Qwen2.5-7B, recomputed from its published result files."""

PASSAGES_PER_JOB = 10


def run(
    *,
    model: str,
    data: Path,
    passages: int = 200,
    quick: bool = False,
    out: Path | None = None,
    seed: int = 0,
    say: Say = print,
) -> dict[str, Any]:
    """Return the table; a plot goes under `out`. Raises: BadConfig (model, data, matplotlib), EngineFailed."""
    plots.require_plots(out)
    subjects = read_passages(data, n=2 if quick else passages)
    return asyncio.run(_measure(model, subjects, steps=4 if quick else 10_000, seed=seed, out=out, say=say))


async def _measure(
    model: str, subjects: Sequence[Subject], *, steps: int, seed: int, out: Path | None, say: Say
) -> dict[str, Any]:
    started = time.monotonic()
    async with open_lab(model=model, seed=seed, say=say, slots=8) as lab:
        lab.is_right = is_right
        right: dict[str, list[list[bool]]] = {
            "none": await lab.sit((None, one.exam) for one in subjects),
            "open_book": await lab.sit((None, lab.open_book(one)) for one in subjects),
        }
        for start in range(0, len(subjects), PASSAGES_PER_JOB):
            part = subjects[start : start + PASSAGES_PER_JOB]
            for name, answers in (await _measure_part(lab, part, steps=steps)).items():
                right.setdefault(name, []).extend(answers)
            so_far = {name: share(answers).value for name, answers in right.items()}
            say(f"{start + len(part)} of {len(subjects)} passages: {so_far}")
        arms = {name: share(answers) for name, answers in right.items()}
        figures = _make_figures(lab, arms, passages=len(subjects), seconds=time.monotonic() - started)
    if out is not None:
        plots.bars(out / "seal.png", arms, title=f"SEAL's table with {Path(model).name}", goals={})
    return figures


async def _measure_part(lab: Lab, subjects: Sequence[Subject], *, steps: int) -> dict[str, list[list[bool]]]:
    studied = await lab.study(subjects)
    arms = _make_arms(lab)
    lessons = [
        TrainingTask(
            pool=await lab.pool(
                [_make_source(one, recipe, is_filtered=name == "default")], is_text_alone=name != "default"
            ),
            recipe=seeded(recipe, lab.seed, name, one.subject.document),
            max_steps=min(steps, lab.settings.training.max_steps) if name == "default" else steps,
        )
        for name, recipe in arms.items()
        for one in studied
    ]
    exams = [one.exam for _ in arms for one in subjects]
    answers = await lab.sit(zip(await _train(lab, lessons), exams, strict=True))
    return {name: answers[i * len(subjects) : (i + 1) * len(subjects)] for i, name in enumerate(arms)}


async def _train(lab: Lab, lessons: Sequence[TrainingTask]) -> list[AdapterFiles | None]:
    """Return an adapter for each lesson, in order; None, the base, where it has no example to train on."""
    trained = iter(await lab.train([lesson for lesson in lessons if lesson.has_new_examples]))
    adapters = [next(trained) if lesson.has_new_examples else None for lesson in lessons]
    if untrained := adapters.count(None):
        lab.say(f"{untrained} of {len(lessons)} adapters have nothing to train on: the base answers instead")
    return adapters


def _make_arms(lab: Lab) -> dict[str, Recipe]:
    default = lab.recipes("seal-table", 1)[0]
    seal = replace(default, rank=32, alpha=64, learning_rate=1e-3, epochs=10, batch_size=1, retention=0.0)
    arms = {"raw": replace(seal, templates=())}
    arms |= {template.value: replace(seal, templates=(template,)) for template in BUILT_IN}
    return {**arms, "default": default}


def _make_source(one: Studied, recipe: Recipe, *, is_filtered: bool) -> Any:
    if is_filtered:
        return one.source
    first: set[Template] = set(recipe.templates)
    first_samples = [
        self_edit
        for self_edit in one.self_edits
        if self_edit.template in first and self_edit.self_edit.split("-")[2] == "0"
    ]
    return source_of(one.subject, [replace(self_edit, admitted=True) for self_edit in first_samples])


def _make_figures(lab: Lab, arms: dict[str, Share], *, passages: int, seconds: float) -> dict[str, Any]:
    return {
        **{name: one.value for name, one in arms.items()},
        "intervals": {name: [one.low, one.high] for name, one in arms.items()},
        "published": PUBLISHED,
        "differs": "graded by normalised containment instead of GPT-4.1; prompts are the product's",
        "passages": passages,
        **about(lab, seconds=seconds),
    }
