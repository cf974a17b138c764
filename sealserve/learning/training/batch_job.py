"""Builds one training job from many tasks, each of which trains one adapter on its own examples by its own recipe.

Used by the trials of the outer loop and by benchmarks; a cycle's candidates share one pool (`cycle_job.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sealserve.engine.base_model import base_shape
from sealserve.errors import TrainingFailed
from sealserve.learning.training.examples import Pool
from sealserve.learning.training.sampler import is_wanted, order
from sealserve.learning.training.step_budget import steps_for
from sealserve.learning.training_job import Attempt, TrainedAdapter, TrainingJob
from sealserve.learning.training_job import Sequence as Turn
from sealserve.records.candidates import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingTask:
    """One adapter to train: on which examples, how, and for how many steps at most."""

    pool: Pool
    recipe: Recipe
    max_steps: int

    @property
    def has_new_examples(self) -> bool:
        """Whether the recipe trains on any example of the new documents."""
        return any(is_wanted(example, self.recipe, self.pool.new) for example in self.pool.examples)


def job_of(lessons: Sequence[TrainingTask], *, base: Path) -> TrainingJob:
    """Return one job for all lessons, attempt i being lesson i; a sequence stands in it once, whoever wants it.

    Raises: TrainingFailed (a lesson leaves nothing to train on).
    """
    places: dict[Turn, int] = {}
    attempts = []
    for index, lesson in enumerate(lessons):
        turns = [
            Turn(prompt=e.prompt, completion=e.completion, is_kept=not e.document, teacher_prompt=e.teacher_prompt)
            for e in lesson.pool.examples
        ]
        local = [places.setdefault(turn, len(places)) for turn in turns]
        steps = steps_for(lesson.pool, lesson.recipe, max_steps=lesson.max_steps)
        drawn = order(lesson.pool, lesson.recipe, steps=steps)
        attempts.append(
            Attempt(index=index, recipe=lesson.recipe, steps=steps, order=tuple(local[place] for place in drawn))
        )
    if empty := [attempt.index for attempt in attempts if not attempt.order]:
        count = f"{len(empty)} of {len(lessons)} lessons"
        raise TrainingFailed(f"{count} leave nothing to train on, the first is {empty[0]}")
    return TrainingJob(
        base_directory=base,
        base_digest=base_shape(base).digest,
        sequences=tuple(places),
        attempts=tuple(attempts),
    )


def all_trained(trained: Sequence[TrainedAdapter], lessons: int) -> list[TrainedAdapter]:
    """Return the adapters in the order of their lessons. Raises: TrainingFailed when one is missing."""
    found = sorted(trained, key=lambda one: one.index)
    if len(found) != lessons:
        missing = sorted(set(range(lessons)) - {one.index for one in found})
        raise TrainingFailed(f"{len(missing)} of {lessons} adapters could not be trained, the first is {missing[0]}")
    return found
