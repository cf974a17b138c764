"""The archive's part of a round: recipes drawn from it are tried on the winners' self-edits, a few documents first.

They are ranked by the questions that rank trials, never by those that confirm. The archive itself is
pure (`recipe_archive.py`).
"""

import math
import random
from collections.abc import Sequence
from dataclasses import replace

from sealserve.canonical import Json
from sealserve.learning.editor.costs import Cost
from sealserve.learning.editor.recipe_archive import Tried, archive_from_json, archive_json, passes_stage
from sealserve.learning.editor.rest_em import Exam, Plan, RoundContext, scored_under
from sealserve.learning.editor.trials import Trial
from sealserve.learning.engine_client import seed_of
from sealserve.records.candidates import Recipe

STAGE_DOCUMENTS = 4
"""Of the first stage: a recipe that fails on so few is not tried on all (staged evaluation, arXiv 2505.22954)."""


async def search(
    desk: RoundContext, asked: Sequence[Exam], trials: Sequence[Trial], known: Sequence[Json], *, plan: Plan
) -> tuple[tuple[Json, ...], Cost]:
    """Return the archive with `learn.editor_recipes` more recipes tried, and what that cost."""
    archive, cost = archive_from_json(known), Cost()
    if not trials or not desk.settings.editor_recipes:
        return tuple(archive_json(archive)), cost
    rng = random.Random(seed_of(desk.key, "recipes"))
    trials = [replace(trial, directive=None) for trial in trials]  # the archive's recipes, not their own
    few = trials[:STAGE_DOCUMENTS]
    stage: dict[str, float] = {}
    if archive.best() is None:
        score, spent = await _score(desk, asked, trials, plan.trial, plan=plan, label="recipe-first")
        archive, cost = (
            archive.add(Tried(recipe=plan.trial, score=score, documents=len(trials), parent="")),
            cost + spent,
        )
    for number in range(desk.settings.editor_recipes):
        proposed = archive.propose(rng, max_rank=desk.context.settings.engine.max_rank)
        if proposed is None:
            break
        child, parent = proposed
        if parent.key not in stage:
            stage[parent.key], spent = await _score(
                desk, asked, few, parent.recipe, plan=plan, label=f"stage-p{number}"
            )
            cost += spent
        score, spent = await _score(desk, asked, few, child, plan=plan, label=f"stage-{number}")
        cost += spent
        documents = len(few)
        if passes_stage(score, stage[parent.key]) and len(trials) > len(few):
            score, spent = await _score(desk, asked, trials, child, plan=plan, label=f"recipe-{number}")
            cost, documents = cost + spent, len(trials)
        archive = archive.add(Tried(recipe=child, score=score, documents=documents, parent=parent.key))
    return tuple(archive_json(archive)), cost


async def _score(
    desk: RoundContext, asked: Sequence[Exam], trials: Sequence[Trial], recipe: Recipe, *, plan: Plan, label: str
) -> tuple[float, Cost]:
    """Return the geometric mean probability of the selection half's answers: the other half ranks nothing."""
    scored, cost = await scored_under(desk, asked, trials, plan=replace(plan, trial=recipe), label=label)
    return math.exp(sum(one.select for one in scored) / len(scored)), cost
