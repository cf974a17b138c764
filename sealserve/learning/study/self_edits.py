"""Samples self-edits and training directives from the editor for every passage (SEAL, arXiv 2506.10943)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sealserve import prompts
from sealserve.concurrency import together
from sealserve.learning.engine_client import seed_of
from sealserve.learning.study.generators import Editor
from sealserve.learning.study.self_edit_text import split_self_edits
from sealserve.prompts import BUILT_IN, Dialect, Template
from sealserve.records.cycles import SelfEdit
from sealserve.records.inference import Sampling
from sealserve.records.step_outputs import Passage
from sealserve.scanners.prompt_injection import spotlight
from sealserve.settings.learn import StudySettings

TOP_P = 0.95
"""SEAL's own sampling of self-edits (its scripts/TTT_server.sh); the temperature is a setting."""

DIRECTIVE_TOKENS = 160
DIRECTIVE_SCHEMA = (
    '{"type": "object", "properties": {"learning_rate": {"type": "number"}, "epochs": {"type": "integer"}}, '
    '"required": ["learning_rate", "epochs"], "additionalProperties": false}'
)
"""What any instruct model is held to; the embedded one writes the object that it was trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A passage and its text, including the title."""

    passage: Passage
    text: str
    is_released: bool = False  # a person let it in as it stands

    @property
    def shown(self) -> str:
        """The text as the editor sees it: a piece of a long document says which of how many it is, after the title.

        Instructions in the text are marked as a quotation, unless a person released them to be learned. Separate from
        `text`, which grounds self-edits: these additions must not.
        """
        where = f"(part {self.passage.part} of {self.passage.parts})"
        first, line_end, rest = self.text.partition("\n")
        shown = f"{first} {where}{line_end}{rest}" if self.passage.parts > 1 else self.text
        return shown if self.is_released else spotlight(shown)


async def write_self_edits(
    editor: Editor, studies: Sequence[Study], *, settings: StudySettings, tenant: str, cycle: str
) -> tuple[SelfEdit, ...]:
    """Return every self-edit of `qa_edits` or `edits_per_template` samples per passage and template; none admitted yet.

    The tenant's free recipe is one more template.
    """
    recipe = settings.recipe_of(tenant)
    jobs = [
        (place, study, template, sample)
        for place, study in enumerate(studies)
        for template in (*BUILT_IN, *((Template.FREE,) if recipe else ()))
        for sample in range(settings.qa_edits if template is Template.QA else settings.edits_per_template)
    ]

    async def one(place: int, study: Study, template: Template, sample: int) -> list[SelfEdit]:
        seed = seed_of(cycle, "edit", place, template.value, sample)
        texts = await sample_self_edits(editor, study, template, settings=settings, seed=seed, recipe=recipe)
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

    written = await together(one(*job) for job in jobs)
    return tuple(self_edit for self_edits in written for self_edit in self_edits)


async def sample_self_edits(
    editor: Editor, study: Study, template: Template, *, settings: StudySettings, seed: int, recipe: str = ""
) -> tuple[str, ...]:
    """Return the self-edits of one sample; `recipe` is what Template.FREE asks for."""
    sampling = Sampling(
        max_tokens=settings.edit_max_tokens, temperature=settings.edit_temperature, top_p=TOP_P, seed=seed
    )
    is_free = template is Template.FREE
    turn = (
        prompts.study_freely(recipe, study.shown, dialect=editor.dialect)
        if is_free
        else prompts.study(template, study.shown, dialect=editor.dialect)
    )
    reply = await editor.ask(turn, sampling=sampling)
    return split_self_edits(template, reply.text, is_cut=reply.is_cut)


async def write_directives(
    editor: Editor, studies: Sequence[Study], *, settings: StudySettings, cycle: str
) -> tuple[str, ...]:
    """Return one training directive per document, from its first passage, as the model wrote it."""
    first = {study.passage.document: study for study in reversed(studies)}

    async def one(document: str, study: Study) -> str:
        sampling = Sampling(
            max_tokens=DIRECTIVE_TOKENS,
            temperature=settings.edit_temperature,
            top_p=TOP_P,
            seed=seed_of(cycle, "directive", document),
            json_schema=DIRECTIVE_SCHEMA if editor.dialect is Dialect.GENERAL else "",
        )
        return (await editor.ask(prompts.directive(study.shown, dialect=editor.dialect), sampling=sampling)).text

    return tuple(await together(one(document, study) for document, study in sorted(first.items())))
