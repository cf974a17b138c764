"""A laboratory for the learning figures: one real engine, one trainer, and articles that no training has seen.

Documents are studied, filtered and trained on by the product's own functions; many documents' candidates go into one
training job, and many adapters are asked at once. Answers are closed-book and greedy.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sealserve import prompts
from sealserve.canaries.probes import Probes
from sealserve.canonical import Json
from sealserve.daemon.workbench import machine, open_own
from sealserve.engine.base_model import base_shape
from sealserve.engine.engine import AdapterFiles
from sealserve.learning.context import LearnContext
from sealserve.learning.scheduler import Learner
from sealserve.learning.study import filter, methods
from sealserve.learning.study.facts import with_facts
from sealserve.learning.study.generators import EngineEditor
from sealserve.learning.study.passages import with_title
from sealserve.learning.study.self_edits import Study
from sealserve.learning.study.supported_text import keep_supported
from sealserve.learning.training.batch_job import TrainingTask, all_trained, job_of
from sealserve.learning.training.examples import Pool, Source, build_pool
from sealserve.learning.training.recipes import recipes
from sealserve.learning.training_job import TrainedAdapter, Trainer, TrainingJob
from sealserve.nano import world as w
from sealserve.nano.world import Article, Fact, World
from sealserve.prompts import Dialect
from sealserve.records.candidates import Recipe
from sealserve.records.cycles import Cycle, CycleState, QuizItem, SelfEdit, Split
from sealserve.records.documents import NewDocument
from sealserve.records.inference import Sampling
from sealserve.records.step_outputs import Passage, ReferenceAnswer
from sealserve.settings.engine import EngineSettings
from sealserve.settings.learn import LearnSettings, learn_settings
from sealserve.settings.settings import Settings

TENANT = "bench"
ANSWER_TOKENS = 32
ENGINE_SHARE = 0.45
"""Of a GPU's memory, where there is one: the trainer uses the rest of the same one."""

LESSONS_PER_JOB = 50
"""In one training job: what a small machine holds in memory beside the engine."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question in words that no training saw, and the value that a right answer gives."""

    text: str
    gold: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A document nobody has read, and the exam on it."""

    document: str
    title: str
    text: str
    exam: tuple[Question, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Studied:
    """A document's self-edits, all screened, and its quiz: the questions that no admitted self-edit asks."""

    subject: Subject
    self_edits: tuple[SelfEdit, ...]
    quiz: tuple[QuizItem, ...]
    reference_texts: Mapping[str, str]  # the answer to each quiz question in the model's own words

    @property
    def source(self) -> Source:
        """The document as a cycle trains on it: its admitted self-edits, and the sentences that they support."""
        admitted = tuple(self_edit for self_edit in self.self_edits if self_edit.admitted)
        return replace(source_of(self.subject, admitted), passages=(keep_supported(self.subject.text, admitted),))

    def items(self, split: Split) -> tuple[QuizItem, ...]:
        """Return one half of the quiz."""
        return tuple(item for item in self.quiz if item.split is split)


class Lab:
    """The parts, and what every figure does with them."""

    def __init__(self, context: LearnContext, *, seed: int, say: Say) -> None:
        self._trainer = _TimedTrainer(context.trainer)
        self.context = replace(context, trainer=self._trainer)
        self.seed = seed
        self.say = say
        self.is_right: Callable[[str, str], bool] = _states_value
        self.answer_tokens = ANSWER_TOKENS
        self.client = context.client(TENANT, f"lab{seed}")
        self._adapters_at_once = asyncio.Semaphore(context.settings.engine.adapter_slots)
        self._jobs = 0

    @property
    def trained_seconds(self) -> float:
        """Wall time in the trainer, over all jobs: the lab's own, trials, editors and cycles."""
        return self._trainer.seconds

    @property
    def settings(self) -> LearnSettings:
        """The product's own learning settings."""
        return self.context.settings.learn

    @property
    def probes(self) -> Probes:
        """Old skills: what measures and what is rehearsed."""
        return self.context.probes

    def subjects(
        self, n: int, *, entities: int = 1, facts: int = 6, questions: int = 24, key: str = ""
    ) -> list[Subject]:
        """Return `n` fresh articles with `questions` each; the same for the same seed and key."""
        world = World(self.seed)
        return [
            subject_of(
                world.article(world.rng("lab", key, i), entities, facts, held_out=True), n=questions, seed=self.seed
            )
            for i in range(n)
        ]

    async def study(self, subjects: Sequence[Subject], *, settings: LearnSettings | None = None) -> list[Studied]:
        """Return each document with the self-edits and the quiz that the base writes, filtered as in a cycle."""
        chosen, cycle = settings or self.settings, f"lab{self.seed}"
        studies = [study_of(subject) for subject in subjects]
        written, proposals = await asyncio.gather(
            methods.write_self_edits(
                EngineEditor(self.client, adapter=None),
                self.client,
                studies,
                settings=chosen.study,
                tenant=TENANT,
                cycle=cycle,
            ),
            methods.propose_quiz(self.client, studies, settings=chosen, cycle=cycle),
        )
        proposals = with_facts(proposals)
        answers = await filter.open_book(self.client, written, studies)
        screened = filter.screen(written, studies, answers=answers, proposals=proposals, dialect=self.context.dialect)
        items = filter.choose_quiz(proposals, screened)
        return [
            Studied(
                subject=subject,
                self_edits=tuple(self_edit for self_edit in screened if self_edit.document == subject.document),
                quiz=tuple(item for item in items if item.document == subject.document),
                reference_texts={p.question: p.reference_text for p in proposals if p.document == subject.document},
            )
            for subject in subjects
        ]

    async def run_cycle(self, tenant: str, documents: Sequence[NewDocument]) -> Cycle:
        """Hand the documents in and carry their cycle to its end, as `sealserve learn` does."""
        registry = self.context.registry
        for document in documents:
            await asyncio.to_thread(registry.documents.add, tenant, document, actor="bench")
        learner = Learner(self.context, worker="bench")
        await learner.gather()
        cycle = await learner.work_once()
        while cycle is not None and cycle.state in (CycleState.PENDING, CycleState.RUNNING):
            cycle = await learner.work_once()
        assert cycle is not None, "documents were admitted and no cycle was opened"
        return cycle

    async def retention(self) -> tuple[ReferenceAnswer, ...]:
        """Return the base's own answers to everyday requests, as a cycle rehearses them."""
        return await self.context.retention_sets.of(self.client, self.context.probes)

    async def pool(self, new: Sequence[Source], earlier: Sequence[Source] = (), *, is_text_alone: bool = False) -> Pool:
        """Return the examples of a cycle on `new` that holds `earlier`; `is_text_alone`: of passages, not sentences."""
        dialect = Dialect.EMBEDDED if is_text_alone else self.context.dialect
        return build_pool(new, earlier, dialect=dialect, retention=await self.retention())

    def recipes(self, key: str, n: int | None = None) -> tuple[Recipe, ...]:
        """Return the product's own candidates for a cycle called `key`, the default first."""
        settings, training = self.settings, self.settings.training
        if n is not None:
            settings = settings.model_copy(update={"training": training.model_copy(update={"candidates": n})})
        return recipes(settings, (), cycle=key, max_rank=training.rank)[0]

    async def train(self, lessons: Sequence[TrainingTask], *, base: Path | None = None) -> list[AdapterFiles]:
        """Return an adapter for each lesson, in order, LESSONS_PER_JOB in one pass over `base`.

        Raises: TrainingFailed.
        """
        parts = [lessons[start : start + LESSONS_PER_JOB] for start in range(0, len(lessons), LESSONS_PER_JOB)]
        return [files for part in parts for files in await self._pass(part, base=base or self.context.base_directory)]

    async def _pass(self, lessons: Sequence[TrainingTask], *, base: Path) -> list[AdapterFiles]:
        self._jobs += 1
        directory = self.context.work_directory(f"job-{self._jobs}")
        job = job_of(lessons, base=base)
        reporter = _Reporter(self.say, job, time.monotonic())
        trained = await self.context.trainer.train(job, directory, on_progress=reporter.heard)
        return [self.named(adapter) for adapter in all_trained(trained, len(lessons))]

    def named(self, adapter: TrainedAdapter) -> AdapterFiles:
        """Return the adapter under an engine name of its own."""
        return AdapterFiles(name=f"lab-{adapter.path.parent.name}-{adapter.index}", path=adapter.path.absolute())

    async def sit(self, exams: Iterable[tuple[AdapterFiles | None, Sequence[Question]]]) -> list[list[bool]]:
        """Return which questions each adapter (None: the base) answers rightly; many adapters at once."""

        async def one(files: AdapterFiles | None, questions: Sequence[Question]) -> list[bool]:
            async with self._adapters_at_once, self.client.loaded(files) as name:
                sampling = Sampling(max_tokens=self.answer_tokens)
                given = await asyncio.gather(
                    *(self.client.ask(q.text, sampling=sampling, adapter=name) for q in questions)
                )
            return [self.is_right(reply.text, q.gold) for reply, q in zip(given, questions, strict=True)]

        return list(await asyncio.gather(*(one(files, questions) for files, questions in exams)))

    def open_book(self, subject: Subject) -> list[Question]:
        """Return the document's questions as they are asked with the document at hand."""
        text, dialect = with_title(subject.title, subject.text), self.context.dialect
        return [Question(text=prompts.read(text, one.text, dialect=dialect), gold=one.gold) for one in subject.exam]

    async def sit_together(self, files: AdapterFiles | None, exams: Sequence[Sequence[Question]]) -> list[list[bool]]:
        """Return which questions of each exam one adapter answers rightly."""
        (answers,) = await self.sit([(files, [question for exam in exams for question in exam])])
        found, start = [], 0
        for exam in exams:
            found.append(answers[start : start + len(exam)])
            start += len(exam)
        return found

    async def canary(self, adapters: Sequence[AdapterFiles | None]) -> list[list[bool]]:
        """Return which old questions each adapter still answers rightly."""
        asked = [Question(text=probe.question, gold=probe.answer) for probe in self.probes.canary]
        return await self.sit((files, asked) for files in adapters)


@asynccontextmanager
async def open_lab(
    *, model: str = "nano", seed: int = 0, say: Say = print, slots: int = 8, max_rank: int = 32, **learn: Any
) -> AsyncIterator[Lab]:
    """Run the body with a lab in a temporary directory; Raises: EngineFailed.

    `learn` changes settings: `training__rank=4` sets learn.training.rank.
    """
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sealserve-lab-")))
        settings = Settings(
            data_directory=directory,
            engine=EngineSettings(
                model=model, slots=slots, max_rank=max_rank, max_sequences=96, gpu_memory_fraction=ENGINE_SHARE
            ),
            learn=learn_settings(**{"niceness": 0, "concurrency": 96, "trainer_timeout_seconds": 7200, **learn}),
        )
        context = await stack.enter_async_context(open_own(settings, say=say))
        yield Lab(context, seed=seed, say=say)


def about(lab: Lab, *, seconds: float) -> Json:
    """Return what every result says of its run: seed, base, machine, date, time taken."""
    return {
        "seed": lab.seed,
        "model": lab.context.settings.engine.model,
        "base_digest": base_shape(lab.context.base_directory).digest[:16],
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "training_seconds": round(lab.trained_seconds, 1),
        "seconds": round(seconds, 1),
    }


def subject_of(article: Article, *, n: int, seed: int) -> Subject:
    """Return the article with `n` questions: each fact in turn, in different held-out words."""
    rng = random.Random(f"{seed}:{article.title}")
    pools = [[Question(text=text, gold=fact.value) for text, _ in w.questions(fact)] for fact in article.facts]
    for pool in pools:
        rng.shuffle(pool)
    turns = [pool[turn] for turn in range(max(map(len, pools))) for pool in pools if turn < len(pool)]
    name = article.title.removeprefix("About ").replace(" ", "-").lower()
    return Subject(document=name, title=article.title, text=article.text, exam=tuple(turns[:n]))


def study_of(subject: Subject) -> Study:
    """Return the whole document as one passage to study."""
    passage = Passage(document=subject.document, title=subject.title, start=0, end=len(subject.text))
    return Study(passage=passage, text=f"{subject.title}\n{subject.text}")


def source_of(subject: Subject, self_edits: Iterable[SelfEdit]) -> Source:
    """Return the whole document and `self_edits` as a source of training examples."""
    return Source(document=subject.document, title=subject.title, passages=(subject.text,), notes=tuple(self_edits))


def seeded(recipe: Recipe, *key: object) -> Recipe:
    """Return the recipe with a seed that depends on `key` alone."""
    return replace(recipe, seed=random.Random(f"{key}").randrange(2**31))


def _states_value(given: str, gold: str) -> bool:
    return w.is_right(given, Fact("", "", "", gold))


class _TimedTrainer:
    """A `Trainer` that adds up how long it takes."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self.seconds = 0.0

    async def train(
        self, job: TrainingJob, directory: Path, *, on_progress: Callable[[Json], None]
    ) -> tuple[TrainedAdapter, ...]:
        """As `Trainer.train`; the time of a job that fails counts, too."""
        started = time.monotonic()
        try:
            return await self._trainer.train(job, directory, on_progress=on_progress)
        finally:
            self.seconds += time.monotonic() - started


class _Reporter:
    """Turns the trainer's reports into one line now and then."""

    def __init__(self, say: Say, job: TrainingJob, started: float) -> None:
        self._say = say
        self._attempts = len(job.attempts)
        self._steps = sum(attempt.steps for attempt in job.attempts)
        self._reached: dict[int, int] = {}
        self._started = started
        self._next = 0.1

    def heard(self, report: Json) -> None:
        """Note one report of the trainer."""
        if isinstance(report.get("candidate"), int) and isinstance(report.get("step"), int):
            self._reached[report["candidate"]] = report["step"]
        done = sum(self._reached.values()) / max(1, self._steps)
        if done >= self._next:
            seconds = time.monotonic() - self._started
            self._say(f"training {self._attempts} adapters: {done:.0%} of {self._steps} steps, {seconds:.0f} s")
            self._next = done + 0.2
