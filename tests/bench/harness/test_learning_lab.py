"""The laboratory counts the time of every training, whoever starts it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sealserve.bench.harness.learning_lab import Lab
from sealserve.errors import TrainingFailed
from sealserve.learning.training_job import TrainedAdapter, TrainingJob
from tests.stories.school import open_school


class Failing:
    """A trainer that never ends well."""

    async def train(
        self, job: TrainingJob, directory: Path, *, on_progress: Callable[[Any], None]
    ) -> tuple[TrainedAdapter, ...]:
        raise TrainingFailed("no")


async def test_time_in_the_trainer_counts_for_trials_and_cycles_too(tmp_path: Path) -> None:
    context = replace(open_school(tmp_path).context, trainer=Failing())
    lab = Lab(context, seed=0, say=lambda line: None)
    job = TrainingJob(base_directory=tmp_path, base_digest="", sequences=(), attempts=())
    with pytest.raises(TrainingFailed):
        await lab.context.trainer.train(job, tmp_path, on_progress=lambda report: None)
    assert lab.trained_seconds > 0
