"""What a cycle goes on from: the incumbent's documents, their notes and questions, as far as they still hold.

Whatever a newer document has superseded is left out, by what the filter of each cycle has found. Reads the registry,
writes nothing; blocking. Knows nothing of recipes.
"""

from dataclasses import dataclass

from sealserve.learning.outputs import Claimed, Filtered, Superseded, Written, from_json
from sealserve.learning.passages import split_spans
from sealserve.learning.superseded import Outdated
from sealserve.learning.train_set import Pool, Source, build_pool
from sealserve.learning.voice import seed_of
from sealserve.learning.workshop import Workshop
from sealserve.records import BASE_VERSION, Claim, QuizItem, SelfEdit, Step

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


def earlier_material(shop: Workshop, claim: Claim, claimed: Claimed) -> Earlier:
    """Return it; without what this cycle's own filter found superseded, once that is recorded."""
    if claimed.incumbent == BASE_VERSION:
        return Earlier(documents=(), notes=(), quiz=(), outdated=Outdated(()), left_out=0)
    registry, tenant = shop.registry, claim.tenant
    held = registry.version(tenant, claimed.incumbent).documents
    documents = tuple(document for document in held if document not in claimed.documents)
    outdated = Outdated(_superseded(shop, claim, claimed))
    notes = [note for note in registry.learned_self_edits(tenant, claimed.incumbent) if note.document in documents]
    valid = tuple(note for note in notes if not outdated.spoils(note))
    return Earlier(
        documents=documents,
        notes=valid,
        quiz=outdated.valid(
            item for item in registry.learned_quiz(tenant, claimed.incumbent) if item.document in documents
        ),
        outdated=outdated,
        left_out=len(notes) - len(valid),
    )


def pool_of(shop: Workshop, claim: Claim, claimed: Claimed, written: Written, earlier: Earlier) -> Pool:
    """Return the examples of the cycle's own documents and of `earlier` ones, as many as replay may have."""
    admitted = tuple(note for note in shop.registry.self_edits(claim.cycle) if note.admitted)
    return build_pool(
        [_source(shop, claim.tenant, document, admitted, earlier.outdated) for document in claimed.documents],
        [_source(shop, claim.tenant, document, earlier.notes, earlier.outdated) for document in earlier.documents],
        rehearsal=written.rehearsal,
        replay_examples=shop.settings.learn.replay_examples,
        seed=seed_of(claim.cycle, "replay"),
    )


def _superseded(shop: Workshop, claim: Claim, claimed: Claimed) -> tuple[Superseded, ...]:
    """What held documents and this cycle's make wrong: with a document that is no longer held, its word is gone."""
    registry = shop.registry
    learned = registry.learned_steps(claim.tenant, claimed.incumbent, Step.FILTER)
    own = [record for record in registry.steps(claim.cycle) if record.step is Step.FILTER]
    held = {*registry.version(claim.tenant, claimed.incumbent).documents, *claimed.documents}
    found = [one for record in (*learned, *own) for one in from_json(Filtered, record.output).superseded]
    return tuple(one for one in found if one.newer in held)


def _source(shop: Workshop, tenant: str, document: str, notes: tuple[SelfEdit, ...], outdated: Outdated) -> Source:
    about = shop.registry.document(tenant, document)
    text = shop.registry.document_text(tenant, document)
    spans = split_spans(text, max_characters=EARLIER_PASSAGE_CHARACTERS, media_type=about.media_type)
    passages = (outdated.without(document, text[start:end].strip()) for start, end in spans)
    return Source(
        document=document,
        title=about.title,
        passages=tuple(passage for passage in passages if passage),
        notes=tuple(note for note in notes if note.document == document),
        origin=about.source,
    )
