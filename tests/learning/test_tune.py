"""Tuning over a simulated model and trainer: what a rate teaches and destroys is known."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sealserve.base_models.profile import ModelProfile
from sealserve.canonical import Json
from sealserve.learning.context import LearnContext
from sealserve.learning.training_job import TrainedAdapter, TrainingJob
from sealserve.learning.tune import RATE_FACTORS, RateTrial, Tuned, choose, tune, tuned_profile
from sealserve.prompts import Dialect
from tests.learning.test_model_check import ANSWERS, LongReader, good
from tests.stories.school import open_school
from tests.stories.student import PROBES

OWN_RATE = 0.001
KNOWN = {probe.question: probe.answer for probe in PROBES.canary}


class RateTrainer:
    """A trainer whose adapters hold their learning rate and nothing else."""

    def __init__(self) -> None:
        self.jobs: list[TrainingJob] = []

    async def train(
        self, job: TrainingJob, directory: Path, *, on_progress: Callable[[Json], None]
    ) -> tuple[TrainedAdapter, ...]:
        self.jobs.append(job)
        found = []
        for attempt in job.attempts:
            path = directory / f"candidate-{attempt.index}"
            path.mkdir(parents=True)
            (path / "adapter_config.json").write_text(json.dumps({"rate": attempt.recipe.learning_rate}))
            on_progress({"candidate": attempt.index, "step": attempt.steps})
            found.append(TrainedAdapter(index=attempt.index, path=path, final_loss=0.5, seconds=1.0, tokens=100))
        return tuple(found)


class RateReader(LongReader):
    """Answers as `effect` says for the rate of its adapter: the shares of questions learned and kept."""

    def __init__(self, effect: Callable[[float], tuple[float, float]]) -> None:
        super().__init__(answerer=self.answer)
        self._effect = effect

    def answer(self, adapter: str | None, prompt: str) -> str:
        rate = json.loads((self._places[adapter] / "adapter_config.json").read_text())["rate"] if adapter else 0.0
        learned, kept = self._effect(rate) if adapter else (0.0, 1.0)
        for known, share in ((ANSWERS, learned), (KNOWN, kept)):
            if prompt in known:
                place = list(known).index(prompt)
                return known[prompt] if place % 12 < 12 * share else "no idea"
        return good(adapter, prompt)


async def run(
    directory: Path, base: Path, effect: Callable[[float], tuple[float, float]]
) -> tuple[Tuned, LearnContext, RateTrainer, list[str]]:
    school, trainer, lines = open_school(directory, training__learning_rate=OWN_RATE), RateTrainer(), list[str]()
    reader = RateReader(effect)
    await reader.start()
    context = replace(
        school.context, engine=reader, trainer=trainer, base_directory=base, dialect=Dialect.GENERAL
    )  # fmt: skip
    found = await tune(context, steps=24, say=lines.append)
    school.registry.close()
    return found, context, trainer, lines


async def test_the_rate_that_teaches_most_and_loses_least_is_chosen(tmp_path: Path, tiny_base: Path) -> None:
    found, _, trainer, lines = await run(
        tmp_path, tiny_base, lambda rate: {0.001: (0.5, 1.0), 0.003: (1.0, 0.25), 0.0003: (0.25, 1.0)}[rate]
    )
    assert found.learning_rate == OWN_RATE
    assert [trial.learning_rate for trial in found.trials] == [0.0003, 0.001, 0.003]
    assert [trial.right for trial in found.trials] == [0.25, 0.5, 1.0]
    assert found.trials[2].lost > 0.5
    assert found.base_right == 0.0
    (job,) = trainer.jobs
    assert len(job.attempts) == len(RATE_FACTORS)
    assert {attempt.steps for attempt in job.attempts} <= set(range(20, 26))
    assert any(sequence.is_kept for sequence in job.sequences)
    assert any("learning rate 0.003" in line for line in lines)


async def test_a_clearly_better_rate_replaces_the_profiles_own(tmp_path: Path, tiny_base: Path) -> None:
    found, _, _, _ = await run(tmp_path, tiny_base, lambda rate: (0.75 if rate > OWN_RATE else 0.25, 1.0))
    assert found.learning_rate == 0.003
    assert any("edge" in note for note in found.notes)


async def test_where_nothing_differs_the_profiles_own_rate_stays_with_a_note(tmp_path: Path, tiny_base: Path) -> None:
    found, _, _, _ = await run(tmp_path, tiny_base, lambda rate: (0.0, 1.0))
    assert found.learning_rate == OWN_RATE
    assert [note.partition(" ")[0] for note in found.notes] == ["no", "no"]
    assert "raise --steps" in found.notes[1]


def test_without_known_questions_the_note_says_that_losses_are_not_seen() -> None:
    trials = [RateTrial(learning_rate=rate, right=0.5, lost=0.0, loss=1.0) for rate in (0.001, 0.003)]
    best, notes = choose(trials, known=0)
    assert best is trials[0]
    assert any("not seen" in note for note in notes)


def test_the_tuned_profile_keeps_the_rest_and_says_where_its_rate_comes_from() -> None:
    profile = ModelProfile(
        dialect=Dialect.GENERAL, learn={"training": {"rank": 16, "learning_rate": 0.001}}, origin="hidden size 576"
    )
    trial = RateTrial(learning_rate=0.003, right=0.5, lost=0.02, loss=1.0)
    tuned = Tuned(
        learning_rate=0.003, trials=(trial,), base_right=0.0, training_tokens_per_second=90.0, seconds=1.0, notes=()
    )
    found = tuned_profile(profile, tuned, steps=60, machine="2 CPU cores")
    assert found.learn == {"training": {"rank": 16, "learning_rate": 0.003}}
    assert found.origin.startswith("tuned on 20")
    assert found.origin.endswith("2 CPU cores: at 0.003, right 0.50 and lost 0.02 after 60 steps")
    assert profile.learn["training"]["learning_rate"] == 0.001
