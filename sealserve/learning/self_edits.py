"""The model studies: self-edits and training directives, sampled from it for every passage (SEAL, arXiv 2506.10943).

Knows nothing of which notes are any good: `screen.py` decides that.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sealserve import prompts
from sealserve.config import LearnSettings
from sealserve.engine.engine import Sampling
from sealserve.learning.notes import split_notes
from sealserve.learning.outputs import Passage
from sealserve.learning.voice import Voice, seed_of
from sealserve.prompts import Template
from sealserve.records import SelfEdit

TOP_P = 0.95
"""SEAL's own sampling of self-edits (its scripts/TTT_server.sh); the temperature is a setting."""

DIRECTIVE_TOKENS = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A passage to study and its text, title included."""

    passage: Passage
    text: str


async def write_notes(
    voice: Voice, studies: Sequence[Study], *, settings: LearnSettings, tenant: str, cycle: str
) -> tuple[SelfEdit, ...]:
    """Return every note of `qa_edits` or `edits_per_template` samples per passage and template; none admitted yet."""
    jobs = [
        (place, study, template, sample)
        for place, study in enumerate(studies)
        for template in Template
        for sample in range(settings.qa_edits if template is Template.QA else settings.edits_per_template)
    ]

    async def one(place: int, study: Study, template: Template, sample: int) -> list[SelfEdit]:
        seed = seed_of(cycle, "edit", place, template.value, sample)
        texts = await sample_notes(voice, study, template, settings=settings, seed=seed)
        return [
            SelfEdit(
                tenant=tenant,
                cycle=cycle,
                self_edit=f"p{place:03d}-{template.value}-{sample}-{line:02d}",
                document=study.passage.document,
                template=template,
                text=text,
                seed=seed,
                admitted=False,
                reason="",
            )
            for line, text in enumerate(texts)
        ]

    written = await asyncio.gather(*(one(*job) for job in jobs))
    return tuple(note for notes in written for note in notes)


async def sample_notes(
    voice: Voice, study: Study, template: Template, *, settings: LearnSettings, seed: int
) -> tuple[str, ...]:
    """Return the notes of one sample."""
    sampling = Sampling(
        max_tokens=settings.edit_max_tokens, temperature=settings.edit_temperature, top_p=TOP_P, seed=seed
    )
    reply = await voice.ask(prompts.study(template, study.text), sampling=sampling)
    return split_notes(template, reply.text, is_cut=reply.is_cut)


async def write_directives(
    voice: Voice, studies: Sequence[Study], *, settings: LearnSettings, cycle: str
) -> tuple[str, ...]:
    """Return one training directive per document, from its first passage, as the model wrote it."""
    first = {study.passage.document: study for study in reversed(studies)}

    async def one(document: str, study: Study) -> str:
        sampling = Sampling(
            max_tokens=DIRECTIVE_TOKENS,
            temperature=settings.edit_temperature,
            top_p=TOP_P,
            seed=seed_of(cycle, "directive", document),
        )
        return (await voice.ask(prompts.directive(study.text), sampling=sampling)).text

    return tuple(await asyncio.gather(*(one(document, study) for document, study in sorted(first.items()))))
