"""Trials of the outer loop: self-edits sampled from an editor, and a short adapter trained from each sample.

A trial is one sample for one document: a training directive, if one is requested, and the edits that it names. Prompts,
filter, examples and trainer are those of a cycle.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sealserve import prompts
from sealserve.engine.engine import AdapterFiles
from sealserve.learning.engine_client import EngineClient, seed_of
from sealserve.learning.study import filter
from sealserve.learning.study.self_edit_text import follow_directive, split_self_edits
from sealserve.learning.study.self_edits import DIRECTIVE_TOKENS, TOP_P, Study
from sealserve.learning.study.supported_text import keep_supported
from sealserve.learning.training.batch_job import TrainingTask, all_trained, job_of
from sealserve.learning.training.examples import Source, build_pool
from sealserve.learning.training_job import Trainer, TrainingJob
from sealserve.prompts import Dialect, Template
from sealserve.records.candidates import Recipe
from sealserve.records.cycles import SelfEdit
from sealserve.records.inference import Sampling
from sealserve.records.step_outputs import Proposal, ReferenceAnswer
from sealserve.settings.learn import LearnSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What an editor wrote for one study prompt, whole."""

    template: Template
    prompt: str
    text: str
    is_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """How an editor wished to have its adapter trained, and the recipe that came of it, within bounds."""

    prompt: str
    text: str
    recipe: Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Sample `sample` for the document at `place`: what was written, and the notes it gives (screened or not yet).

    `directive` is None where none was asked for, or nothing in it could be followed.
    """

    place: int
    sample: int
    edits: tuple[Edit, ...]
    notes: tuple[SelfEdit, ...]
    directive: Directive | None = None

    @property
    def admitted(self) -> tuple[SelfEdit, ...]:
        """The notes that passed the filter."""
        return tuple(note for note in self.notes if note.admitted)

    @property
    def said(self) -> tuple[tuple[str, str], ...]:
        """What the editor was asked for, and what it wrote: edits, and the directive that was followed."""
        directives = [(self.directive.prompt, self.directive.text)] if self.directive else []
        return (*((edit.prompt, edit.text) for edit in self.edits), *directives)


async def sample_trials(
    client: EngineClient,
    studies: Sequence[Study],
    *,
    templates: Sequence[Template],
    samples: int,
    settings: LearnSettings,
    editor: AdapterFiles | None,
    key: str,
    directed: Recipe | None = None,
    max_rank: int = 0,
) -> list[Trial]:
    """Return `samples` trials for each document, one edit a template in each; notes are not screened yet.

    With `directed`, the editor is asked for a directive first, which changes that recipe (ranks up to `max_rank`) and
    names the templates; `templates` are those where it names none. `editor` None is the base. Seeds depend on `key`
    alone, so two editors meet the same luck. Raises: BadAdapter.
    """
    async with client.loaded(editor) as adapter:

        def sampling(place: int, kind: str, sample: int, *, max_tokens: int) -> Sampling:
            seed = seed_of(key, "trial", place, kind, sample)
            return Sampling(max_tokens=max_tokens, temperature=settings.study.edit_temperature, top_p=TOP_P, seed=seed)

        async def direct(place: int, sample: int, default: Recipe) -> Directive | None:
            prompt = prompts.directive(studies[place].text, dialect=client.dialect)
            how = sampling(place, "directive", sample, max_tokens=DIRECTIVE_TOKENS)
            text = (await client.ask(prompt, sampling=how, adapter=adapter)).text
            recipe, _ = follow_directive(text, default, max_rank=max_rank)
            return Directive(prompt=prompt, text=text, recipe=recipe) if recipe != default else None

        async def edit(place: int, sample: int, template: Template) -> Edit:
            prompt = prompts.study(template, studies[place].text, dialect=client.dialect)
            how = sampling(place, template.value, sample, max_tokens=settings.study.edit_max_tokens)
            reply = await client.ask(prompt, sampling=how, adapter=adapter)
            return Edit(template=template, prompt=prompt, text=reply.text, is_cut=reply.is_cut)

        async def trial(place: int, sample: int) -> Trial:
            directive = await direct(place, sample, directed) if directed else None
            named = directive.recipe.templates if directive else None
            wanted = named if directed and named and named != directed.templates else templates
            edits = tuple(await asyncio.gather(*(edit(place, sample, template) for template in wanted)))
            notes = _split_edits(edits, studies[place], place=place, sample=sample)
            return Trial(place=place, sample=sample, edits=edits, notes=notes, directive=directive)

        places = [(place, sample) for place in range(len(studies)) for sample in range(samples)]
        return list(await asyncio.gather(*(trial(place, sample) for place, sample in places)))


async def screen_trials(
    client: EngineClient, trials: Sequence[Trial], studies: Sequence[Study], *, proposals: Sequence[Proposal]
) -> list[Trial]:
    """Return the trials with their notes admitted or dropped, each trial by itself."""
    answers = await filter.open_book(client, [note for trial in trials for note in trial.notes], studies)
    return [
        _screen_trial(trial, studies, answers=answers, proposals=proposals, dialect=client.dialect) for trial in trials
    ]


def trial_job(
    trials: Sequence[Trial],
    studies: Sequence[Study],
    *,
    recipe: Recipe,
    max_steps: int,
    retention: Sequence[ReferenceAnswer],
    base: Path,
) -> TrainingJob:
    """Return the job that trains a short adapter for each trial, in order: by its directive, or else by `recipe`."""
    lessons = [
        TrainingTask(
            pool=build_pool([_training_source(trial, studies[trial.place])], (), retention=retention),
            recipe=recipe_of(trial, recipe),
            max_steps=max_steps,
        )
        for trial in trials
    ]
    return job_of(lessons, base=base)


def recipe_of(trial: Trial, recipe: Recipe) -> Recipe:
    """Return how the trial is trained where `recipe` is the default, with a seed of its own."""
    chosen = trial.directive.recipe if trial.directive else recipe
    return replace(chosen, seed=seed_of(recipe.seed, trial.place, trial.sample))


async def train_trials(trainer: Trainer, job: TrainingJob, directory: Path) -> tuple[list[AdapterFiles], int]:
    """Return the job's adapters in order, under names of their own, and how many tokens they were trained on.

    Raises: TrainingFailed (one is missing, too).
    """
    trained = all_trained(await trainer.train(job, directory, on_progress=lambda report: None), len(job.attempts))
    name = f"trial-{directory.parent.name}-{directory.name}"
    adapters = [AdapterFiles(name=f"{name}-{one.index}", path=one.path.absolute()) for one in trained]
    return adapters, sum(one.tokens for one in trained)


def _split_edits(edits: Sequence[Edit], study: Study, *, place: int, sample: int) -> tuple[SelfEdit, ...]:
    return tuple(
        SelfEdit(
            tenant="",
            cycle="",
            self_edit=f"p{place:03d}-{edit.template.value}-{sample}-{line:02d}",
            document=study.passage.document,
            template=edit.template,
            text=text,
            seed=0,
            admitted=False,
            reason="",
        )
        for edit in edits
        for line, text in enumerate(split_self_edits(edit.template, edit.text, is_cut=edit.is_cut))
    )


def _screen_trial(
    trial: Trial,
    studies: Sequence[Study],
    *,
    answers: Mapping[str, str],
    proposals: Sequence[Proposal],
    dialect: Dialect,
) -> Trial:
    document = studies[trial.place].passage.document
    asked = [proposal for proposal in proposals if proposal.document == document]
    return replace(trial, notes=filter.screen(trial.notes, studies, answers=answers, proposals=asked, dialect=dialect))


def _training_source(trial: Trial, study: Study) -> Source:
    title, text = study.passage.title, study.text.removeprefix(f"{study.passage.title}\n")
    passages = (keep_supported(text, trial.admitted),)
    return Source(document=study.passage.document, title=title, passages=passages, notes=trial.admitted)
