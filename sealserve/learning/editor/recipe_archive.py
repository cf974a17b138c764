"""An archive of training recipes: template mixes and hyperparameters that were tried, their scores, what to try next.

The idea is the Darwin Goedel Machine's (arXiv 2505.22954, appendix C.2), for recipes only. Parents are drawn by score
and by how few children they have, so good recipes are refined and unusual ones are not lost. A child is tried on a few
documents first, and on all of them only if it holds its own there. Pure: no clock, no file, no model.
"""

import math
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from sealserve.canonical import Json
from sealserve.learning.study.self_edit_text import EPOCHS, LEARNING_RATES
from sealserve.prompts import Template
from sealserve.records.candidates import Recipe
from sealserve.records.step_outputs import from_json

STEEPNESS = 10.0
"""Of the sigmoid that turns a score into a chance (arXiv 2505.22954, appendix C.2)."""

RANKS = (4, 8, 16, 32)
RATE_STEP = 1.5
STAGE_MARGIN = 0.05
"""How far below its parent a child may score on the few documents of the first stage and still be tried on all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A recipe with its mean score on `documents` documents; `parent` is its parent's key, "" for a first one."""

    recipe: Recipe
    score: float
    documents: int
    parent: str

    @property
    def key(self) -> str:
        """What tells recipes apart: everything but the seed."""
        return key_of(self.recipe)


@dataclass(frozen=True, slots=True)
class Archive:
    """Every recipe tried, once each, in the order of their trials."""

    tried: tuple[Tried, ...] = ()

    def add(self, one: Tried) -> "Archive":
        """Return the archive with `one`; a recipe tried before keeps the mean over both trials' documents."""
        known = next((other for other in self.tried if other.key == one.key), None)
        if known is None:
            return Archive((*self.tried, one))
        documents = known.documents + one.documents
        score = (known.score * known.documents + one.score * one.documents) / documents
        merged = replace(known, score=score, documents=documents)
        return Archive(tuple(merged if other.key == one.key else other for other in self.tried))

    def best(self) -> Tried | None:
        """Return the recipe with the highest score; None while nothing was tried."""
        return max(self.tried, key=lambda one: one.score, default=None)

    def weights(self) -> tuple[float, ...]:
        """Return each recipe's chance to be a parent: score against the mean, times novelty (few children)."""
        if not self.tried:
            return ()
        middle = sum(one.score for one in self.tried) / len(self.tried)
        children = [sum(other.parent == one.key for other in self.tried) for one in self.tried]
        raw = [
            1 / (1 + math.exp(-STEEPNESS * (one.score - middle))) / (1 + n)
            for one, n in zip(self.tried, children, strict=True)
        ]
        return tuple(weight / sum(raw) for weight in raw)

    def propose(self, rng: random.Random, *, max_rank: int) -> tuple[Recipe, Tried] | None:
        """Return a recipe that was never tried and its parent; None when the archive is empty or all is tried."""
        known = {one.key for one in self.tried}
        for _ in range(64 if self.tried else 0):
            parent = rng.choices(self.tried, weights=self.weights())[0]
            child = mutated(parent.recipe, rng, max_rank=max_rank)
            if key_of(child) not in known:
                return child, parent
        return None


def passes_stage(score: float, parent_score: float) -> bool:
    """Return whether a child that scored so on a few documents, its parent on the same, is tried on all."""
    return score >= parent_score - STAGE_MARGIN


def mutated(recipe: Recipe, rng: random.Random, *, max_rank: int) -> Recipe:
    """Return `recipe` with one thing changed, within the bounds of a directive."""
    change = rng.choice(("templates", "learning_rate", "epochs", "rank", "loss"))
    if change == "templates":
        flipped = rng.choice(tuple(Template))
        kept = tuple(t for t in Template if (t in recipe.templates) != (t is flipped))
        return replace(recipe, templates=kept or recipe.templates)
    if change == "learning_rate":
        rate = recipe.learning_rate * rng.choice((RATE_STEP, 1 / RATE_STEP))
        return replace(recipe, learning_rate=min(max(rate, LEARNING_RATES[0]), LEARNING_RATES[1]))
    if change == "epochs":
        return replace(
            recipe, epochs=min(max(rng.choice((recipe.epochs * 2, recipe.epochs // 2)), EPOCHS[0]), EPOCHS[1])
        )
    if change == "rank":
        rank = rng.choice([one for one in RANKS if one <= max_rank] or [recipe.rank])
        return replace(recipe, rank=rank, alpha=2 * rank)
    return replace(recipe, loss_on_answers=not recipe.loss_on_answers)


def key_of(recipe: Recipe) -> str:
    """Return what tells recipes apart: everything but the seed, rates to two digits."""
    tree = asdict(replace(recipe, seed=0, learning_rate=float(f"{recipe.learning_rate:.2g}")))
    return repr(sorted((name, str(value)) for name, value in tree.items()))


def archive_json(archive: Archive) -> list[Json]:
    """Return the archive as JSON values."""
    return [
        {**asdict(one), "recipe": {**asdict(one.recipe), "templates": [t.value for t in one.recipe.templates]}}
        for one in archive.tried
    ]


def archive_from_json(trees: Iterable[Json]) -> Archive:
    """Return the archive written as `trees`. Raises: ValueError when it is not one."""
    return Archive(tuple(from_json(Tried, tree) for tree in trees))
