"""Many lessons become one job, and a lesson without examples is refused before a child is started."""

from dataclasses import replace
from pathlib import Path

import pytest

from sealserve.errors import TrainingFailed
from sealserve.learning.training.batch_job import TrainingTask, job_of
from sealserve.learning.training.examples import build_pool
from tests.learning.training.test_examples import BASE, RECIPE, source


def test_lesson_that_leaves_nothing_to_train_on_is_refused_by_its_place(tiny_base: Path) -> None:
    full = TrainingTask(pool=build_pool([source("d")], (), retention=()), recipe=RECIPE, max_steps=2)
    bare = replace(source("e"), passages=(), notes=())
    empty = replace(full, pool=build_pool([bare], (), retention=()))
    assert (full.has_new_examples, empty.has_new_examples) == (True, False)
    assert all(attempt.order for attempt in job_of([full, full], base=tiny_base).attempts)
    with pytest.raises(TrainingFailed, match=r"1 of 2 lessons .* the first is 1"):
        job_of([full, empty], base=tiny_base)


def test_rehearsal_alone_can_be_trained_on_and_is_no_new_example(tiny_base: Path) -> None:
    bare = replace(source("e"), passages=(), notes=())
    lesson = TrainingTask(pool=build_pool([bare], (), retention=BASE), recipe=RECIPE, max_steps=2)
    assert not lesson.has_new_examples
    assert job_of([lesson], base=tiny_base).attempts[0].order
