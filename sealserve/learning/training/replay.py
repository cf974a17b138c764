"""Replay: the incumbent's documents with the self-edits and questions about them that are still valid.

Whatever a newer document supersedes is left out, as the filter of each cycle recorded it. Reads the registry; blocking.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sealserve.intake.comparison import LOOKED_AT
from sealserve.learning.engine_client import seed_of
from sealserve.learning.evaluation.overrides import still_overridden
from sealserve.learning.study.passages import heading_at, split_spans
from sealserve.learning.study.provenance_filter import without
from sealserve.learning.study.supersession import Outdated, Statement, statements_of
from sealserve.learning.study.supported_text import keep_supported
from sealserve.learning.training.examples import Pool, Source, build_pool
from sealserve.prompts import Dialect
from sealserve.records.cycles import Claim, QuizItem, SelfEdit, Step
from sealserve.records.documents import DocumentState
from sealserve.records.step_outputs import Claimed, Filtered, Overridden, ReferenceAnswer, Superseded, from_json
from sealserve.records.versions import BASE_VERSION
from sealserve.registry.registry import Registry
from sealserve.scanners.contradictions import origin_of, subjects_of
from sealserve.scanners.findings import Finding

EARLIER_PASSAGE_CHARACTERS = 1500
"""Approximate length of the pieces in which a document's own text is trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """The documents that the incumbent holds besides the cycle's own. `left_out` counts superseded self-edits."""

    documents: tuple[str, ...]
    notes: tuple[SelfEdit, ...]
    quiz: tuple[QuizItem, ...]
    outdated: Outdated
    left_out: int


def earlier_material(registry: Registry, claim: Claim, claimed: Claimed) -> Earlier:
    """Return the incumbent's material, without what this cycle's own filter found superseded once it is recorded."""
    if claimed.incumbent == BASE_VERSION:
        return Earlier(documents=(), notes=(), quiz=(), outdated=Outdated(()), left_out=0)
    tenant = claim.tenant
    held = registry.versions.get(tenant, claimed.incumbent).documents
    documents = tuple(document for document in held if document not in claimed.documents)
    outdated = Outdated(_superseded(registry, claim, claimed))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class OverriddenAnswers:
    """The base model's answers that documents override: those of the cycle, and those that the incumbent learned."""

    new: tuple[Overridden, ...]
    earlier: tuple[Overridden, ...]

    @property
    def all(self) -> tuple[Overridden, ...]:
        """Both."""
        return (*self.earlier, *self.new)


def overridden_answers(registry: Registry, claim: Claim, claimed: Claimed) -> OverriddenAnswers:
    """Return what holds for the cycle's candidates; until this cycle's filter is recorded, only what is earlier."""
    filters = _read_filters(registry, claim, claimed)
    superseded = _superseded(registry, claim, claimed)
    held = {*_held(registry, claim.tenant, claimed.incumbent), *claimed.documents}
    found = still_overridden(
        (one for filtered in filters for one in filtered.overridden if one.newer in held), Outdated(superseded)
    )
    own = set(claimed.documents)
    return OverriddenAnswers(
        new=tuple(one for one in found if one.newer in own), earlier=tuple(one for one in found if one.newer not in own)
    )


def overridden_by_version(registry: Registry, tenant: str, version: int) -> tuple[Overridden, ...]:
    """Return the base model's answers that the version's documents override."""
    held = set(_held(registry, tenant, version))
    filters = _read_learned_filters(registry, tenant, version)
    superseded = [one for filtered in filters for one in filtered.superseded if one.newer in held]
    found = (one for filtered in filters for one in filtered.overridden if one.newer in held)
    return still_overridden(found, Outdated(superseded))


def deferred_statements(registry: Registry, claim: Claim, claimed: Claimed) -> tuple[Statement, ...]:
    """Return the statements of deferred documents on the subjects of the cycle's documents.

    These statements are used only as votes when deciding which of several sources is contradicted; they are never
    trained on.
    """
    tenant = claim.tenant
    about: dict[str, None] = {}
    for name in claimed.documents:
        document = registry.documents.get(tenant, name)
        subjects = subjects_of(document.title, registry.documents.text(tenant, name))
        alike = registry.subjects.documents_about(tenant, subjects, last=LOOKED_AT)
        about |= dict.fromkeys(other.document for other in alike if other.state is DocumentState.SET_ASIDE)
    documents = tuple(about)
    return statements_of(
        registry.history.studied_self_edits(tenant, documents), registry.history.studied_quiz(tenant, documents)
    )


def build_cycle_pool(
    registry: Registry,
    claim: Claim,
    claimed: Claimed,
    earlier: Earlier,
    *,
    retention: tuple[ReferenceAnswer, ...],
    replay_examples: int | None,
    refused: tuple[Finding, ...],
    dialect: Dialect,
) -> Pool:
    """Return the examples of the cycle's documents, at most `replay_examples` of earlier ones, and the retention set.

    Contested documents give no examples. Lines with findings of `refused` kinds are left out of documents' texts.
    """
    admitted = tuple(note for note in registry.cycles.self_edits(claim.cycle) if note.admitted)
    contested = {found.document for filtered in _read_filters(registry, claim, claimed) for found in filtered.contested}

    def read_sources(documents: Iterable[str], notes: tuple[SelfEdit, ...]) -> list[Source]:
        return [
            _read_source(
                registry, claim.tenant, document, notes, outdated=earlier.outdated, refused=refused, dialect=dialect
            )
            for document in documents
            if document not in contested
        ]

    return build_pool(
        read_sources(claimed.documents, admitted),
        read_sources(earlier.documents, earlier.notes),
        dialect=dialect,
        retention=retention,
        replay_examples=replay_examples,
        seed=seed_of(claim.cycle, "replay"),
    )


def _superseded(registry: Registry, claim: Claim, claimed: Claimed) -> tuple[Superseded, ...]:
    """Return what the incumbent's and the cycle's documents supersede; a document no longer held does not count."""
    held = {*_held(registry, claim.tenant, claimed.incumbent), *claimed.documents}
    found = [answer for filtered in _read_filters(registry, claim, claimed) for answer in filtered.superseded]
    return tuple(answer for answer in found if answer.newer in held)


def _read_filters(registry: Registry, claim: Claim, claimed: Claimed) -> list[Filtered]:
    """Return the FILTER outputs of the cycles that the incumbent learned from, and this cycle's own."""
    own = [record for record in registry.cycles.steps(claim.cycle) if record.step is Step.FILTER]
    learned = _read_learned_filters(registry, claim.tenant, claimed.incumbent)
    return [*learned, *(from_json(Filtered, record.output) for record in own)]


def _read_learned_filters(registry: Registry, tenant: str, version: int) -> list[Filtered]:
    """Return the FILTER outputs of the cycles that `version` learned from; none for the base model."""
    if version == BASE_VERSION:
        return []
    learned = registry.history.learned_steps(tenant, version, Step.FILTER)
    return [from_json(Filtered, record.output) for record in learned]


def _held(registry: Registry, tenant: str, version: int) -> tuple[str, ...]:
    return () if version == BASE_VERSION else registry.versions.get(tenant, version).documents


def _read_source(
    registry: Registry,
    tenant: str,
    name: str,
    notes: tuple[SelfEdit, ...],
    *,
    outdated: Outdated,
    refused: tuple[Finding, ...],
    dialect: Dialect,
) -> Source:
    """Return the document as it is trained on.

    In the general dialect all its sentences but those with findings: there every sentence is asked about, so that a
    self-edit on it says nothing for it.
    """
    document = registry.documents.get(tenant, name)
    text = registry.documents.text(tenant, name)
    spans = split_spans(text, max_characters=EARLIER_PASSAGE_CHARACTERS, media_type=document.media_type)
    own = tuple(note for note in notes if note.document == name)
    if registry.documents.released(tenant, [name]):
        refused = ()
    passages = [without(outdated.without(name, text[start:end].strip()), refused) for start, end in spans]
    headings = [heading_at(text, start) if len(spans) > 1 else "" for start, _ in spans]
    if dialect is Dialect.EMBEDDED:
        passages = [keep_supported(passage, own) for passage in passages]
        headings = [""] * len(passages)
    kept = [(passage, heading) for passage, heading in zip(passages, headings, strict=True) if passage]
    return Source(
        document=name,
        title=document.title,
        passages=tuple(passage for passage, _ in kept),
        headings=tuple(heading for _, heading in kept),
        notes=own,
        origin=origin_of(document.source),
    )
