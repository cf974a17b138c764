"""What a cycle goes on from: the incumbent's documents, their notes and questions, as far as they still hold.

Whatever a newer document has superseded is left out, by what the filter of each cycle has found. Reads the registry,
writes nothing; blocking. Knows nothing of recipes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sealserve.intake.comparison import LOOKED_AT
from sealserve.learning.context import LearnContext
from sealserve.learning.engine_client import seed_of
from sealserve.learning.study.passages import split_spans
from sealserve.learning.study.provenance_filter import without
from sealserve.learning.study.supersession import Outdated, Statement, statements_of
from sealserve.learning.study.supported_text import keep_supported
from sealserve.learning.training.examples import Pool, Source, build_pool
from sealserve.records.cycles import Claim, QuizItem, SelfEdit, Step
from sealserve.records.documents import DocumentState
from sealserve.records.step_outputs import Claimed, Filtered, Superseded, Written, from_json
from sealserve.records.versions import BASE_VERSION
from sealserve.scanners.contradictions import origin_of, subjects_of

EARLIER_PASSAGE_CHARACTERS = 1500
"""A document's own text is trained in pieces of about this size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What the incumbent holds besides the cycle's own documents. `left_out` counts superseded notes."""

    documents: tuple[str, ...]
    notes: tuple[SelfEdit, ...]
    quiz: tuple[QuizItem, ...]
    outdated: Outdated
    left_out: int


def earlier_material(context: LearnContext, claim: Claim, claimed: Claimed) -> Earlier:
    """Return it; without what this cycle's own filter found superseded, once that is recorded."""
    if claimed.incumbent == BASE_VERSION:
        return Earlier(documents=(), notes=(), quiz=(), outdated=Outdated(()), left_out=0)
    registry, tenant = context.registry, claim.tenant
    held = registry.versions.get(tenant, claimed.incumbent).documents
    documents = tuple(document for document in held if document not in claimed.documents)
    outdated = Outdated(_superseded(context, claim, claimed))
    notes = [
        note for note in registry.history.learned_self_edits(tenant, claimed.incumbent) if note.document in documents
    ]
    valid = tuple(note for note in notes if not outdated.spoils(note))
    return Earlier(
        documents=documents,
        notes=valid,
        quiz=outdated.valid(
            item for item in registry.history.learned_quiz(tenant, claimed.incumbent) if item.document in documents
        ),
        outdated=outdated,
        left_out=len(notes) - len(valid),
    )


def set_aside(context: LearnContext, claim: Claim, claimed: Claimed) -> tuple[Statement, ...]:
    """Return what was found in documents about what the cycle's are about, and not learned: their cycle was held.

    Nothing of it is replayed or superseded. It only weighs: two sources that agree outweigh a third that comes when
    neither is learned yet.
    """
    registry, tenant = context.registry, claim.tenant
    about: dict[str, None] = {}
    for one in claimed.documents:
        document = registry.documents.get(tenant, one)
        subjects = subjects_of(document.title, registry.documents.text(tenant, one))
        alike = registry.subjects.documents_about(tenant, subjects, last=LOOKED_AT)
        about |= dict.fromkeys(other.document for other in alike if other.state is DocumentState.SET_ASIDE)
    documents = tuple(about)
    return statements_of(
        registry.history.studied_self_edits(tenant, documents), registry.history.studied_quiz(tenant, documents)
    )


def pool_of(context: LearnContext, claim: Claim, claimed: Claimed, written: Written, earlier: Earlier) -> Pool:
    """Return the examples of the cycle's own documents and of `earlier` ones, as many as replay may have."""
    admitted = tuple(note for note in context.registry.cycles.self_edits(claim.cycle) if note.admitted)
    contested = {one.document for found in _filters(context, claim, claimed) for one in found.contested}

    def told(documents: Iterable[str], notes: tuple[SelfEdit, ...]) -> list[Source]:
        return [
            _source(context, claim.tenant, one, notes, earlier.outdated) for one in documents if one not in contested
        ]

    return build_pool(
        told(claimed.documents, admitted),
        told(earlier.documents, earlier.notes),
        rehearsal=written.rehearsal,
        replay_examples=context.settings.learn.training.replay_examples,
        seed=seed_of(claim.cycle, "replay"),
    )


def _superseded(context: LearnContext, claim: Claim, claimed: Claimed) -> tuple[Superseded, ...]:
    """What held documents and this cycle's make wrong: with a document that is no longer held, its word is gone."""
    held = {*context.registry.versions.get(claim.tenant, claimed.incumbent).documents, *claimed.documents}
    found = [one for filtered in _filters(context, claim, claimed) for one in filtered.superseded]
    return tuple(one for one in found if one.newer in held)


def _filters(context: LearnContext, claim: Claim, claimed: Claimed) -> list[Filtered]:
    """What the filters of the cycles that the incumbent learned from have found, and this cycle's own."""
    registry, incumbent = context.registry, claimed.incumbent
    learned = () if incumbent == BASE_VERSION else registry.history.learned_steps(claim.tenant, incumbent, Step.FILTER)
    own = [record for record in registry.cycles.steps(claim.cycle) if record.step is Step.FILTER]
    return [from_json(Filtered, record.output) for record in (*learned, *own)]


def _source(
    context: LearnContext, tenant: str, document: str, notes: tuple[SelfEdit, ...], outdated: Outdated
) -> Source:
    about = context.registry.documents.get(tenant, document)
    text = context.registry.documents.text(tenant, document)
    spans = split_spans(text, max_characters=EARLIER_PASSAGE_CHARACTERS, media_type=about.media_type)
    refused = context.policy.influence.refused
    mine = tuple(note for note in notes if note.document == document)
    passages = (without(outdated.without(document, text[start:end].strip()), refused) for start, end in spans)
    return Source(
        document=document,
        title=about.title,
        passages=tuple(said for passage in passages if (said := keep_supported(passage, mine))),
        notes=mine,
        origin=origin_of(about.source),
    )
