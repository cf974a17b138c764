"""Trials of the outer loop: self-edits sampled from an editor, a short adapter from each, and how well it did.

A trial is one sample for one document. Everything is the product's own: prompts, filter, examples, trainer, reward.
Knows nothing of rounds, and never decides which trial is good.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sealserve import prompts
from sealserve.config import LearnSettings
from sealserve.engine.engine import AdapterFiles, Sampling
from sealserve.learning import screen
from sealserve.learning.lessons import Lesson, all_trained, job_of
from sealserve.learning.notes import split_notes
from sealserve.learning.outputs import Proposal, Spoken
from sealserve.learning.self_edits import TOP_P, Study
from sealserve.learning.taken_up import taken_up
from sealserve.learning.train_set import Source, build_pool
from sealserve.learning.trainer import Trainer
from sealserve.learning.training import TrainingJob
from sealserve.learning.voice import Voice, seed_of
from sealserve.prompts import Template
from sealserve.records import Recipe, SelfEdit


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What an editor wrote for one study prompt, whole."""

    template: Template
    prompt: str
    text: str
    is_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Sample `sample` for the document at `place`: what was written, and the notes it gives (screened or not yet)."""

    place: int
    sample: int
    edits: tuple[Edit, ...]
    notes: tuple[SelfEdit, ...]

    @property
    def admitted(self) -> tuple[SelfEdit, ...]:
        """The notes that passed the filter."""
        return tuple(note for note in self.notes if note.admitted)


async def sample_trials(
    voice: Voice,
    studies: Sequence[Study],
    *,
    templates: Sequence[Template],
    samples: int,
    settings: LearnSettings,
    editor: AdapterFiles | None,
    key: str,
) -> list[Trial]:
    """Return `samples` trials for each document, one edit a template in each; notes are not screened yet.

    `editor` None is the base. Seeds depend on `key` alone, so two editors meet the same luck. Raises: BadAdapter.
    """
    async with voice.loaded(editor) as adapter:

        async def edit(place: int, sample: int, template: Template) -> Edit:
            sampling = Sampling(
                max_tokens=settings.edit_max_tokens,
                temperature=settings.edit_temperature,
                top_p=TOP_P,
                seed=seed_of(key, "trial", place, template.value, sample),
            )
            prompt = prompts.study(template, studies[place].text)
            reply = await voice.ask(prompt, sampling=sampling, adapter=adapter)
            return Edit(template=template, prompt=prompt, text=reply.text, is_cut=reply.is_cut)

        async def trial(place: int, sample: int) -> Trial:
            edits = tuple(await asyncio.gather(*(edit(place, sample, template) for template in templates)))
            notes = _notes(edits, studies[place], place=place, sample=sample)
            return Trial(place=place, sample=sample, edits=edits, notes=notes)

        places = [(place, sample) for place in range(len(studies)) for sample in range(samples)]
        return list(await asyncio.gather(*(trial(place, sample) for place, sample in places)))


async def screen_trials(
    voice: Voice, trials: Sequence[Trial], studies: Sequence[Study], *, proposals: Sequence[Proposal]
) -> list[Trial]:
    """Return the trials with their notes admitted or dropped, each trial by itself."""
    answers = await screen.open_book(voice, [note for trial in trials for note in trial.notes], studies)
    return [_screened(trial, studies, answers=answers, proposals=proposals) for trial in trials]


def trial_job(
    trials: Sequence[Trial],
    studies: Sequence[Study],
    *,
    recipe: Recipe,
    max_steps: int,
    rehearsal: Sequence[Spoken],
    base: Path,
) -> TrainingJob:
    """Return the job that trains a short adapter for each trial, in order."""
    lessons = [
        Lesson(
            pool=build_pool([_source(trial, studies[trial.place])], (), rehearsal=rehearsal),
            recipe=replace(recipe, seed=seed_of(recipe.seed, trial.place, trial.sample)),
            max_steps=max_steps,
        )
        for trial in trials
    ]
    return job_of(lessons, base=base)


async def train_trials(trainer: Trainer, job: TrainingJob, directory: Path) -> tuple[list[AdapterFiles], int]:
    """Return the job's adapters in order, under names of their own, and how many tokens they were trained on.

    Raises: TrainingFailed (one is missing, too).
    """
    trained = all_trained(await trainer.train(job, directory, heard=lambda report: None), len(job.attempts))
    name = f"trial-{directory.parent.name}-{directory.name}"
    adapters = [AdapterFiles(name=f"{name}-{one.index}", path=one.path.absolute()) for one in trained]
    return adapters, sum(one.tokens for one in trained)


def _notes(edits: Sequence[Edit], study: Study, *, place: int, sample: int) -> tuple[SelfEdit, ...]:
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
        for line, text in enumerate(split_notes(edit.template, edit.text, is_cut=edit.is_cut))
    )


def _screened(
    trial: Trial, studies: Sequence[Study], *, answers: Mapping[str, str], proposals: Sequence[Proposal]
) -> Trial:
    document = studies[trial.place].passage.document
    asked = [proposal for proposal in proposals if proposal.document == document]
    return replace(trial, notes=screen.screen(trial.notes, studies, answers=answers, proposals=asked))


def _source(trial: Trial, study: Study) -> Source:
    title, text = study.passage.title, study.text.removeprefix(f"{study.passage.title}\n")
    passages = (taken_up(text, trial.admitted),)
    return Source(document=study.passage.document, title=title, passages=passages, notes=trial.admitted)
