"""The outer loop: one round of ReST-EM on the editor, the adapter that writes self-edits.

A round samples several sets of self-edits per document from the current editor, each with a training directive. It
trains a short adapter from each set as its directive says, and keeps the best set of each document if unseen questions
confirm it. A new editor is fine-tuned on (study prompt, edit) and (directive prompt, directive) of the winners, and
replaces the old one only if it does better on held-out documents. As in ReST-EM (arXiv 2312.06585, section 3), every
editor is trained from the base on its own round's winners, not from the editor before. SEAL's settings (arXiv
2506.10943, its scripts): 5 samples per document, the best kept, rank 64, alpha 128, batch 10. Its learning rate of 3e-4
and its 2 epochs move a model of a few million parameters too little, so both are settings here. `rounds.py` chooses the
documents and stores the results.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from sealserve.concurrency import in_thread
from sealserve.engine.base_model import base_shape
from sealserve.engine.engine import AdapterFiles
from sealserve.gate.statistics import compare_graded
from sealserve.grading.answers import is_right
from sealserve.learning.context import LearnContext
from sealserve.learning.editor.costs import Cost
from sealserve.learning.editor.trials import Trial, sample_trials, screen_trials, train_trials, trial_job
from sealserve.learning.engine_client import EngineClient, seed_of
from sealserve.learning.evaluation.rewards.likelihood import FLOOR_NATS
from sealserve.learning.study import methods
from sealserve.learning.study.facts import half_of, is_reserved, with_facts
from sealserve.learning.study.filter import choose_quiz
from sealserve.learning.study.quiz import ANSWER_TOKENS
from sealserve.learning.study.self_edits import Study
from sealserve.learning.training.batch_job import TrainingTask, job_of
from sealserve.learning.training.examples import Example, Origin, Pool
from sealserve.prompts import BUILT_IN, Template
from sealserve.records.candidates import Recipe
from sealserve.records.cycles import QuizItem, SelfEdit, Split
from sealserve.records.inference import Sampling
from sealserve.records.scores import Measured
from sealserve.records.step_outputs import Proposal, ReferenceAnswer
from sealserve.settings.learn import LearnSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a round is played. `trial` trains the short adapters as far as their directives do not say otherwise,
    `tuning` the editor."""

    templates: tuple[Template, ...]  # written where a directive names none
    samples: int
    max_rank: int  # that a directive gets
    trial: Recipe
    trial_steps: int
    tuning: Recipe
    tuning_steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundContext:
    """What a round works with. The base model makes the quizzes and the retention set once, for every editor."""

    context: LearnContext
    client: EngineClient
    settings: LearnSettings
    retention: tuple[ReferenceAnswer, ...]
    directory: Path
    key: str  # every seed of the round depends on it


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """A document to be studied, and its quiz: questions with answers that stand in it, as a cycle makes them.

    A trial may train on those that `facts.is_reserved` does not reserve; `unasked` leaves out what was trained on.
    """

    study: Study
    proposals: tuple[Proposal, ...]

    def items(self, split: Split) -> tuple[QuizItem, ...]:
        """Return one half of the quiz."""
        return tuple(
            QuizItem(question=p.question, answer=p.answer, document=p.document, split=split, fact=p.fact)
            for p in self.proposals
            if half_of(p) is split
        )

    def without(self, notes: Iterable[SelfEdit]) -> "Exam":
        """Return the exam without the questions that an admitted one of `notes` asks."""
        left = {item.question for item in choose_quiz(self.proposals, notes)}
        return replace(self, proposals=tuple(p for p in self.proposals if p.question in left))

    @property
    def is_lasting(self) -> bool:
        """Whether both halves hold a question that no trial may train on, so that no trials ever empty one."""
        return {half_of(p) for p in self.proposals if is_reserved(p)} == set(Split)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A trial and how its adapter did: mean clipped log p of the answers, and share right on the other half."""

    trial: Trial
    select: float
    confirm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A new editor: its artifact's digest, and how to load it."""

    artifact: str
    files: AdapterFiles


async def exams(desk: RoundContext, studies: Sequence[Study]) -> list[Exam]:
    """Return every document with its quiz, made by the base; one that trials could leave without questions is none."""
    proposals = await methods.propose_quiz(desk.client, studies, settings=desk.settings, cycle=desk.key)
    found = [
        Exam(study=study, proposals=with_facts([p for p in proposals if p.document == study.passage.document]))
        for study in studies
    ]
    return [one for one in found if one.is_lasting]


def unasked(asked: Sequence[Exam], trials: Sequence[Trial]) -> list[Exam]:
    """Return the exams with the questions that no trial of their document trains on: the same for all of its trials."""
    return [
        exam.without(note for trial in trials if trial.place == place for note in trial.notes)
        for place, exam in enumerate(asked)
    ]


async def explore(
    desk: RoundContext, asked: Sequence[Exam], *, plan: Plan, editor: AdapterFiles | None, label: str
) -> tuple[list[Scored], Cost]:
    """Return every trial of `editor` on the documents with its scores, and the cost. Raises: TrainingFailed."""
    started = time.monotonic()
    trials = await written(desk, asked, plan=plan, editor=editor, label=label)
    scored, cost = await scored_under(desk, asked, trials, plan=plan, label=label)
    return scored, replace(cost, device_seconds=time.monotonic() - started)


async def written(
    desk: RoundContext, asked: Sequence[Exam], *, plan: Plan, editor: AdapterFiles | None, label: str
) -> list[Trial]:
    """Return the filtered trials of `editor`; two editors under one label get the same seeds."""
    studies = [one.study for one in asked]
    drafts = await sample_trials(
        desk.client,
        studies,
        templates=plan.templates,
        samples=plan.samples,
        settings=desk.settings,
        editor=editor,
        key=f"{desk.key}-{label}",
        directed=plan.trial,
        max_rank=plan.max_rank,
    )
    proposals = [proposal for one in asked for proposal in one.proposals]
    return await screen_trials(desk.client, drafts, studies, proposals=proposals)


async def scored_under(
    desk: RoundContext, asked: Sequence[Exam], trials: Sequence[Trial], *, plan: Plan, label: str
) -> tuple[list[Scored], Cost]:
    """Return the trials with the scores of short adapters trained by the plan, and the cost; no adapter is kept.

    A document's trials meet the same questions: those that none of them trains on. Raises: TrainingFailed.
    """
    started = time.monotonic()
    artifacts = desk.context.registry.artifacts
    job = trial_job(
        trials,
        [one.study for one in asked],
        recipe=plan.trial,
        max_steps=plan.trial_steps,
        retention=desk.retention,
        base=desk.context.base_directory,
    )
    trained, tokens = await train_trials(desk.context.trainer, job, desk.directory / label)
    digests = [await asyncio.to_thread(artifacts.put_directory, one.path) for one in trained]
    try:
        async with AsyncExitStack() as held:
            adapters = [
                AdapterFiles(
                    name=f"{one.name}-{digest[:12]}",
                    path=await held.enter_async_context(in_thread(artifacts.materialise(digest))),
                )
                for one, digest in zip(trained, digests, strict=True)
            ]
            scored = await measure(desk, trials, adapters, unasked(asked, trials))
    finally:
        for digest in set(digests):
            await asyncio.to_thread(artifacts.delete, digest)
    return scored, Cost(device_seconds=time.monotonic() - started, tokens=tokens, candidates=len(trials))


async def measure(
    desk: RoundContext, trials: Sequence[Trial], adapters: Sequence[AdapterFiles], asked: Sequence[Exam]
) -> list[Scored]:
    """Return the trials with their scores on all of `asked`, as many adapters at once as the engine has slots."""
    slots = asyncio.Semaphore((await desk.context.engine.info()).slots)

    async def one(trial: Trial, adapter: AdapterFiles) -> Scored:
        exam = asked[trial.place]
        reference_text = {proposal.question: proposal.reference_text for proposal in exam.proposals}
        async with slots, desk.client.loaded(adapter) as name:
            nats = await asyncio.gather(
                *(
                    desk.client.log_likelihood(item.question, reference_text[item.question], adapter=name)
                    for item in exam.items(Split.SELECT)
                )
            )
            right = await _right(desk.client, exam.items(Split.CONFIRM), adapter=name)
        select = sum(max(value, FLOOR_NATS) for value in nats) / len(nats)
        return Scored(trial=trial, select=select, confirm=sum(right) / len(right))

    return list(await asyncio.gather(*(one(*pair) for pair in zip(trials, adapters, strict=True))))


def winners(scored: Sequence[Scored]) -> list[Scored]:
    """Return the best trial of each document by its selection score, where the other half of the quiz confirms it.

    Confirmed: at least as many questions right, none of which any trial of the document trained on, as the document's
    trials have on average, and some at all. A
    winner that only looked best among its own selection questions is mostly noise (SEAL's single rewards have a
    reliability of 0.13 to 0.32).
    """
    kept = []
    for place in sorted({one.trial.place for one in scored}):
        group = [one for one in scored if one.trial.place == place]
        best = max(group, key=lambda one: (one.select, -one.trial.sample))
        mean = sum(one.confirm for one in group) / len(group)
        if best.confirm >= mean and best.confirm > 0 and not any(edit.is_cut for edit in best.trial.edits):
            kept.append(best)
    return kept


def tuning_examples(won: Sequence[Scored]) -> tuple[Example, ...]:
    """Return (prompt, what was written) of every winner's edits and directive as training examples."""
    return tuple(
        Example(prompt=prompt, completion=text.strip(), document=f"winner-{n}", origin=Origin.REWRITE)
        for n, one in enumerate(won)
        for prompt, text in one.trial.said
    )


async def fine_tune(desk: RoundContext, examples: Sequence[Example], *, plan: Plan, label: str) -> tuple[Made, Cost]:
    """Return a new editor, trained from the base on `examples` and kept as an artifact; KL keeps the retention set.

    Raises: TrainingFailed.
    """
    pool = Pool(
        examples=(
            *examples,
            *(Example(prompt=s.prompt, completion=s.completion, document="", origin=Origin.QA) for s in desk.retention),
        ),
        new=frozenset(example.document for example in examples),
        retention=len(desk.retention),
    )
    started = time.monotonic()
    job = job_of(
        [TrainingTask(pool=pool, recipe=plan.tuning, max_steps=plan.tuning_steps)], base=desk.context.base_directory
    )
    (trained,) = await desk.context.trainer.train(job, desk.directory / label, on_progress=lambda report: None)
    digest = await asyncio.to_thread(desk.context.registry.artifacts.put_directory, trained.path)
    path = await asyncio.to_thread(desk.context.registry.artifacts.directory, digest)
    files = AdapterFiles(name=f"editor-{desk.key}-{digest[:12]}", path=path)
    seconds = time.monotonic() - started
    return Made(artifact=digest, files=files), Cost(device_seconds=seconds, tokens=trained.tokens, candidates=1)


async def gate(
    desk: RoundContext, held_out: Sequence[Exam], *, plan: Plan, old: AdapterFiles | None, new: AdapterFiles
) -> tuple[Measured, Cost]:
    """Return both editors' mean accuracy on documents that neither was trained on, paired by document.

    One trial a document and editor, with the same seeds, measured on the half of the quiz that ranks nothing, and there
    on the questions that neither editor's trial trains on. Raises: TrainingFailed, ValueError (no documents).
    """
    started, plan = time.monotonic(), replace(plan, samples=1)
    rivals = {
        label: await written(desk, held_out, plan=plan, editor=editor, label="gate")
        for label, editor in (("gate-new", new), ("gate-old", old))
    }
    unseen = unasked(held_out, [trial for trials in rivals.values() for trial in trials])
    shares, cost = [], Cost()
    for label, trials in rivals.items():
        scored, spent = await scored_under(desk, unseen, trials, plan=plan, label=label)
        cost += spent
        shares.append([one.confirm for one in scored])
    cost = replace(cost, device_seconds=time.monotonic() - started)
    confidence = desk.context.policy.confidence
    return compare_graded(shares[0], shares[1], confidence=confidence, seed=seed_of(desk.key, "gate")), cost


def default_plan(settings: LearnSettings, *, max_rank: int, key: str) -> Plan:
    """Return the settings' plan, with SEAL's numbers for the editor and short trials of the default recipe."""
    rank = min(64, max_rank)
    trial = Recipe(
        templates=BUILT_IN,
        rank=min(settings.training.rank, max_rank),
        alpha=settings.training.alpha,
        learning_rate=settings.training.learning_rate,
        epochs=settings.training.epochs,
        batch_size=settings.training.batch_size,
        loss_on_answers=False,
        retention=settings.training.retention,
        seed=seed_of(key, "trial"),
    )
    tuning = Recipe(
        templates=BUILT_IN,
        rank=rank,
        alpha=2 * rank,
        learning_rate=settings.editor.learning_rate,
        epochs=settings.editor.epochs,
        batch_size=10,
        loss_on_answers=False,
        retention=0.2,
        seed=seed_of(key, "editor"),
    )
    return Plan(
        templates=(Template.QA,),
        samples=settings.editor.samples,
        max_rank=max_rank,
        trial=trial,
        trial_steps=settings.editor.trial_steps,
        tuning=tuning,
        tuning_steps=10_000,
    )


async def _right(client: EngineClient, items: Sequence[QuizItem], *, adapter: str | None) -> list[bool]:
    sampling = Sampling(max_tokens=ANSWER_TOKENS)
    given = await asyncio.gather(*(client.ask(item.question, sampling=sampling, adapter=adapter) for item in items))
    return [is_right(reply.text, item.answer) for reply, item in zip(given, items, strict=True)]


def base_digest(context: LearnContext) -> str:
    """Return the digest of the base that editors are trained over."""
    return base_shape(context.base_directory).digest
