"""Tunes the learning rate of a base model by short trials on the shipped passages, for the model's profile.

Candidates at several rates learn the passages in one training job. A rate is scored by what its candidate answers with
the book closed, less what it lost of what the base knew.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from sealserve.base_models.fitness import SamplePassage, SampleQuestion, sample_passages
from sealserve.base_models.profile import ModelProfile
from sealserve.canonical import Json
from sealserve.concurrency import together
from sealserve.engine.engine import AdapterFiles
from sealserve.errors import TrainingFailed
from sealserve.grading.answers import is_right
from sealserve.learning.context import LearnContext
from sealserve.learning.engine_client import EngineClient, candidate_name
from sealserve.learning.model_check import study_of_sample
from sealserve.learning.study.generators import EngineEditor
from sealserve.learning.study.sentence_questions import write_pairs
from sealserve.learning.training.batch_job import TrainingTask, all_trained, job_of
from sealserve.learning.training.examples import Pool, Source, build_pool
from sealserve.learning.training.recipes import recipes
from sealserve.learning.training.step_budget import step_growth
from sealserve.learning.training_job import TrainedAdapter
from sealserve.records.candidates import Recipe
from sealserve.records.inference import Sampling

RATE_FACTORS = (1.0, 0.3, 3.0)
"""Rates that are tried, as multiples of the profile's own: a decade, with its own in the middle."""

CANARY_QUESTIONS = 48
"""General questions that measure what a trial lost, drawn evenly from the shipped canary."""

MIN_ADVANTAGE = 0.05
"""A rate must score this much higher than the profile's own to replace it: two of the 36 questions."""

ANSWER_TOKENS = 48
TUNING = "tune"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTrial:
    """One rate. `right`: share of the questions answered with the book closed; `lost`: share of what the base knew."""

    learning_rate: float
    right: float
    lost: float
    loss: float  # of training, at its end

    @property
    def score(self) -> float:
        """By which rates are compared."""
        return self.right - self.lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """The chosen rate, the trials in the order of their rates, and notes for people."""

    learning_rate: float
    trials: tuple[RateTrial, ...]
    base_right: float
    training_tokens_per_second: float
    seconds: float
    notes: tuple[str, ...]


async def tune(context: LearnContext, *, steps: int, say: Say) -> Tuned:
    """Return the best learning rate for the base model of the context.

    Raises: as `EngineClient.ask`; TrainingFailed (not every candidate could be trained).
    """
    started = time.monotonic()
    passages = sample_passages()
    client = context.client(TUNING, TUNING)
    say(f"writing questions on {len(passages)} passages")
    pool = await _build_pool(context, client, passages)
    tried = _recipes(context)
    trained, tokens_per_second = await _train(context, pool, tried, steps=steps, say=say)
    questions = [question for passage in passages for question in passage.questions]
    step = max(1, len(context.probes.canary) // CANARY_QUESTIONS)
    canary = [
        SampleQuestion(question=probe.question, answer=probe.answer)
        for probe in context.probes.canary[::step][:CANARY_QUESTIONS]
    ]
    say(f"asking the base model and {len(trained)} candidates {len(questions) + len(canary)} questions each")
    base = await _answer(client, None, [*questions, *canary])
    known = [question for question, is_known in zip(canary, base[len(questions) :], strict=True) if is_known]
    trials = []
    for recipe, adapter in zip(tried, trained, strict=True):
        marks = await _answer(client, adapter, [*questions, *known])
        right, kept = marks[: len(questions)], marks[len(questions) :]
        trials.append(
            RateTrial(
                learning_rate=recipe.learning_rate,
                right=_share(right),
                lost=round(1 - _share(kept), 4) if kept else 0.0,
                loss=round(adapter.final_loss, 4),
            )
        )
        say(f"learning rate {trials[-1].learning_rate:g}: right {trials[-1].right:.2f}, lost {trials[-1].lost:.2f}")
    best, notes = choose(trials, known=len(known))
    return Tuned(
        learning_rate=best.learning_rate,
        trials=tuple(sorted(trials, key=lambda trial: trial.learning_rate)),
        base_right=_share(base[: len(questions)]),
        training_tokens_per_second=round(tokens_per_second, 1),
        seconds=round(time.monotonic() - started, 1),
        notes=notes,
    )


def choose(trials: Sequence[RateTrial], *, known: int) -> tuple[RateTrial, tuple[str, ...]]:
    """Return the best trial, and notes. The first is the profile's own rate, which stays unless another beats it.

    `known`: canary questions that the base answers, without which nothing can be lost.
    """
    own, best = trials[0], max(trials, key=lambda trial: trial.score)
    notes = []
    if best.score - own.score < MIN_ADVANTAGE:
        best = own
        notes.append("no rate scores clearly higher than the profile's own, which stays")
    elif best.learning_rate in (min(t.learning_rate for t in trials), max(t.learning_rate for t in trials)):
        notes.append("the best rate is at the edge of those tried: tune again to go on from it")
    if not any(trial.right for trial in trials):
        notes.append("no rate taught anything in so few steps: raise --steps")
    if not known:
        notes.append("the base model answers none of the general questions, so losses are not seen")
    return best, tuple(notes)


def tuned_profile(profile: ModelProfile, tuned: Tuned, *, steps: int, machine: str) -> ModelProfile:
    """Return the profile with the tuned rate; its origin says how it came about."""
    trial = next(trial for trial in tuned.trials if trial.learning_rate == tuned.learning_rate)
    learn = {table: dict(keys) for table, keys in profile.learn.items()}
    learn.setdefault("training", {})["learning_rate"] = tuned.learning_rate
    return replace(
        profile,
        learn=learn,
        origin=f"tuned on {date.today().isoformat()}, {machine}: at {tuned.learning_rate:g}, right {trial.right:.2f} "
        f"and lost {trial.lost:.2f} after {steps} steps",
    )


async def _build_pool(context: LearnContext, client: EngineClient, passages: Sequence[SamplePassage]) -> Pool:
    """Return examples of the texts and of the base's own questions, with the retention set.

    No filter stands between: the passages are known, and a question's answer is the sentence that it was asked on.
    """
    studies = [study_of_sample(passage) for passage in passages]
    editor, study = EngineEditor(client, adapter=None), context.settings.learn.study
    written, retention = await asyncio.gather(
        write_pairs(editor, studies, settings=study, tenant=TUNING, cycle=TUNING),
        context.retention_sets.of(client, context.probes),
    )
    edits = [replace(edit, admitted=True) for edit in written]
    sources = [
        Source(
            document=passage.title,
            title=passage.title,
            passages=(passage.text,),
            notes=tuple(edit for edit in edits if edit.document == passage.title),
        )
        for passage in passages
    ]
    return build_pool(sources, (), dialect=context.dialect, retention=retention)


def _recipes(context: LearnContext) -> list[Recipe]:
    """Return the settings' own recipe at each rate, its own first; all with the same seed, and enough epochs."""
    learn = context.settings.learn
    single = learn.model_copy(update={"training": learn.training.model_copy(update={"candidates": 1, "seeds": 1})})
    (own, *_), _ = recipes(single, (), cycle=TUNING, max_rank=context.settings.engine.max_rank)
    return [
        replace(own, epochs=10_000, learning_rate=float(f"{own.learning_rate * factor:.2g}")) for factor in RATE_FACTORS
    ]


async def _train(
    context: LearnContext, pool: Pool, tried: Sequence[Recipe], *, steps: int, say: Say
) -> tuple[list[TrainedAdapter], float]:
    """Return a candidate per recipe, trained for about `steps` steps, and the tokens trained per second.

    Raises: TrainingFailed.
    """
    most = max(1, math.floor(steps / step_growth(pool)))
    tasks = [TrainingTask(pool=pool, recipe=recipe, max_steps=most) for recipe in tried]
    job = job_of(tasks, base=context.base_directory)
    say(f"training {len(tried)} candidates for {job.attempts[0].steps} steps each")
    progress = _Progress(say, total=sum(attempt.steps for attempt in job.attempts))
    started = time.monotonic()
    trained = all_trained(
        await context.trainer.train(job, context.work_directory(TUNING), on_progress=progress.hear), len(tried)
    )
    tokens = sum(adapter.tokens for adapter in trained)
    if not tokens:
        raise TrainingFailed("the candidates read no token")
    return trained, tokens / max(time.monotonic() - started, 1e-6)


class _Progress:
    """Turns the trainer's reports into a line at every fifth of the way."""

    def __init__(self, say: Say, *, total: int) -> None:
        self._say = say
        self._total = max(1, total)
        self._reached: dict[int, int] = {}
        self._next = 0.2

    def hear(self, report: Json) -> None:
        """Note one report."""
        if isinstance(report.get("candidate"), int) and isinstance(report.get("step"), int):
            self._reached[report["candidate"]] = report["step"]
        done = sum(self._reached.values()) / self._total
        if done >= self._next:
            self._say(f"training: {done:.0%}")
            self._next = done + 0.2


async def _answer(
    client: EngineClient, adapter: TrainedAdapter | None, questions: Sequence[SampleQuestion]
) -> list[bool]:
    """Return which questions are answered rightly with the book closed; None asks the base model."""
    files = None
    if adapter is not None:
        label = f"{adapter.index}-{time.monotonic_ns()}"  # an engine takes a name once
        files = AdapterFiles(name=candidate_name(TUNING, label, artifact=""), path=adapter.path.absolute())
    async with client.loaded(files) as name:
        replies = await together(
            client.ask(one.question, sampling=Sampling(max_tokens=ANSWER_TOKENS), adapter=name) for one in questions
        )
    return [is_right(reply.text, one.answer) for reply, one in zip(replies, questions, strict=True)]


def _share(marks: Sequence[bool]) -> float:
    return round(sum(marks) / len(marks), 4) if marks else 0.0
