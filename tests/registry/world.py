"""What the registry's tests have in common: a clock to turn, and short ways to documents, cycles and versions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from sealserve.prompts import Template
from sealserve.records.candidates import Candidate, Recipe
from sealserve.records.cycles import Claim, CycleState, QuizItem, SelfEdit, Split, Step
from sealserve.records.documents import Document, DocumentState, NewDocument
from sealserve.records.versions import AdapterVersion, Lineage
from sealserve.registry.registry import Effect, Finish, Publish, Registry


class FakeClock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the time now."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)


@dataclass(kw_only=True)
class World:
    """A registry and the moves that tests make over and over."""

    registry: Registry
    clock: FakeClock
    directory: Path
    url: str
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def document(self, tenant: str = "acme", *, text: str | None = None, title: str = "Returns") -> Document:
        """Add a document, a new one unless `text` is given."""
        contents = text or f"Article {next(self.numbers)} says something."
        return self.registry.documents.add(
            tenant, NewDocument(title=title, text=contents, source="rpc", media_type="text/plain"), actor="ann"
        )[0]

    def held_document(self, tenant: str = "acme", *, actor: str = "ann") -> Document:
        """Add a document that waits for a person."""
        return self.stopped_document(tenant, state=DocumentState.HELD, reason="ingest.flood", actor=actor)

    def stopped_document(
        self, tenant: str = "acme", *, state: DocumentState, reason: str, actor: str = "ann"
    ) -> Document:
        """Add a document that is not admitted."""
        text = f"Article {next(self.numbers)} waits."
        new = NewDocument(title="Returns", text=text, source="rpc", media_type="text/plain", state=state, reason=reason)
        return self.registry.documents.add(tenant, new, actor=actor)[0]

    def claim(self, tenant: str = "acme", *, worker: str = "w1") -> Claim:
        """Start a cycle for what is admitted and claim it."""
        self.registry.cycles.start(tenant, trigger="rpc", actor="ann", max_documents=100)
        return self.claim_open(worker=worker)

    def claim_open(self, *, worker: str = "w1") -> Claim:
        """Claim the oldest open cycle."""
        claim = self.registry.cycles.claim(worker=worker, lease_seconds=30)
        assert claim is not None
        return claim

    def artifact(self, contents: str | None = None) -> str:
        """Store an adapter directory, a new one unless `contents` is given."""
        number = next(self.numbers)
        folder = self.directory / f"trained-{number}"
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_text(contents or f"weights {number}")
        (folder / "adapter_config.json").write_text("{}")
        return self.registry.artifacts.put_directory(folder)

    def publish_effect(self, claim: Claim, *, promote: bool = True, parent: int | None = None) -> Publish:
        """Return the effect that publishes what the parent holds and what the cycle claimed."""
        owner = self.registry.tenants.get(claim.tenant)
        origin = owner.desired_version if parent is None else parent
        earlier = self.registry.versions.get(claim.tenant, origin).documents if origin else ()
        new = tuple(document.document for document in self.registry.cycles.documents(claim.cycle))
        return Publish(
            artifact=self.artifact(),
            parent=origin,
            documents=(*(name for name in earlier if name not in new), *new),
            lineage=Lineage(settings_digest="0" * 64),
            promote=promote,
            expected_etag=owner.etag,
        )

    def version(
        self,
        tenant: str = "acme",
        *,
        promote: bool = True,
        held: bool = False,
        parent: int | None = None,
        effects: Sequence[Effect] = (),
    ) -> AdapterVersion:
        """Play a whole cycle for what is admitted (a new document if nothing is); return the version it publishes.

        One that is neither promoted nor held is there for tests to promote.
        """
        if tenant not in self.registry.documents.tenants_with_admitted():
            self.document(tenant)
        claim = self.claim(tenant)
        ending = finish(CycleState.HELD if held else CycleState.PROMOTED if promote else CycleState.INCONCLUSIVE)
        publish = self.publish_effect(claim, promote=promote and not held, parent=parent)
        self.registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=1, effects=[*effects, publish, ending])
        return self.registry.versions.page(tenant, page_size=1).items[0]

    def document_states(self, tenant: str = "acme") -> dict[str, DocumentState]:
        """Return where each document stands."""
        return {document.document: document.state for document in self.registry.documents.page(tenant).items}


def finish(state: CycleState, *, reason: str = "because") -> Finish:
    """Return the effect that ends a cycle so."""
    learned = state is CycleState.PROMOTED
    return Finish(state=state, reason=reason, documents=DocumentState.LEARNED if learned else DocumentState.SET_ASIDE)


def self_edit(claim: Claim, document: str, *, name: str = "e1", admitted: bool = True, text: str = "note") -> SelfEdit:
    """Return a self-edit of the claimed cycle."""
    return SelfEdit(
        tenant=claim.tenant,
        cycle=claim.cycle,
        self_edit=name,
        document=document,
        template=Template.QA,
        text=text,
        seed=7,
        admitted=admitted,
        reason="" if admitted else "not grounded",
    )


def quiz_item(document: str, *, question: str = "How long?", answer: str = "30 days") -> QuizItem:
    """Return a quiz item."""
    return QuizItem(question=question, answer=answer, document=document, split=Split.SELECT)


def candidate(claim: Claim, index: int, *, artifact: str = "a" * 64, final_loss: float = 0.5) -> Candidate:
    """Return a candidate of the claimed cycle; a step keeps it if its `artifact` is there."""
    recipe = Recipe(
        templates=(Template.QA, Template.LONG),
        rank=8,
        alpha=16,
        learning_rate=3e-3,
        epochs=2,
        batch_size=16,
        loss_on_answers=True,
        retention=0.35,
        seed=index,
    )
    return Candidate(
        cycle=claim.cycle, index=index, recipe=recipe, artifact=artifact, final_loss=final_loss, seconds=12.5
    )
