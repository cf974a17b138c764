"""The registry's public face: the only way serve and learn meet.

Every method is one short transaction (law 6); slow work never happens inside. Synchronous: asyncio callers use
`asyncio.to_thread`. Rows are turned into records here and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeAlias

from sealserve.records import (
    Activation,
    AdapterVersion,
    AuditRow,
    Candidate,
    Claim,
    Cycle,
    CycleState,
    Document,
    DocumentState,
    Json,
    Observed,
    Page,
    QuizItem,
    SelfEdit,
    Step,
    StepRecord,
    Tenant,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddSelfEdits:
    """Effect of a step: keep these self-edits (upsert by (cycle, self_edit))."""

    edits: tuple[SelfEdit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddQuiz:
    """Effect of a step: keep these quiz items."""

    items: tuple[QuizItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCandidates:
    """Effect of a step: keep these candidates (upsert by (cycle, index))."""

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Effect of PUBLISH: make the next version of the claim's tenant; with `promote`, move the pointer as well.

    The move is a compare-and-set against `expected_etag`; a clash raises Conflict and nothing is written.
    """

    artifact: str
    parent: int
    documents: tuple[str, ...]
    lineage: Json
    promote: bool
    expected_etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Effect of the last step: end the cycle, and move its documents to `documents`."""

    state: CycleState
    reason: str
    documents: DocumentState


Effect: TypeAlias = AddSelfEdits | AddQuiz | AddCandidates | Publish | Finish


class Registry:
    """All that is known, in one database and one artifact store."""

    @classmethod
    def open(cls, url: str, artifact_directory: Path) -> Self:
        """Connect, migrate to the newest schema, and return. Raises: StorageFailed, BadConfig (url)."""
        raise NotImplementedError

    def close(self) -> None: ...

    # artifacts: self.artifacts (see artifacts.py): put_bytes, get_bytes, put_directory, directory

    # tenants
    def create_tenant(self, tenant: str, *, display_name: str = "", actor: str, request_id: str = "") -> Tenant: ...
    def tenant(self, tenant: str) -> Tenant: ...
    def tenants(self, *, page_size: int = 50, page_token: str = "") -> Page[Tenant]: ...

    # documents
    def add_document(
        self, tenant: str, *, title: str, text: str, source: str, media_type: str,
        state: DocumentState = DocumentState.ADMITTED, reason: str = "", actor: str,
    ) -> tuple[Document, bool]:
        """Keep the document; (document, False) if the same contents are there already (idempotent by digest)."""
        raise NotImplementedError

    def document(self, tenant: str, document: str) -> Document: ...
    def document_text(self, tenant: str, document: str) -> str: ...
    def documents(self, tenant: str, *, state: DocumentState | None = None, page_size: int = 50, page_token: str = "") -> Page[Document]: ...

    # cycles and their journal
    def start_cycle(self, tenant: str, *, trigger: str, actor: str, request_id: str = "", max_documents: int = 4) -> Cycle:
        """Open a cycle for the oldest admitted documents (they become LEARNING).

        Raises: NotFound, FailedPrecondition (none admitted, or a cycle is open for this tenant).
        """
        raise NotImplementedError

    def cycle(self, tenant: str, cycle: str) -> Cycle: ...
    def cycles(self, tenant: str, *, page_size: int = 50, page_token: str = "") -> Page[Cycle]: ...
    def cycle_documents(self, cycle: str) -> tuple[Document, ...]: ...
    def tenants_with_admitted_documents(self) -> tuple[str, ...]: ...
    def claim_cycle(self, *, worker: str, lease_seconds: float) -> Claim | None:
        """Take the oldest open cycle whose lease is free or has expired, with a new, higher fence."""
        raise NotImplementedError

    def renew(self, claim: Claim, *, lease_seconds: float) -> Claim:
        """Raises: LeaseLost."""
        raise NotImplementedError

    def release(self, claim: Claim) -> None:
        """Give the cycle back unfinished (shutdown). No error if the lease is already lost."""

    def record_step(self, claim: Claim, step: Step, output: Json, *, seconds: float, effects: Sequence[Effect] = ()) -> StepRecord:
        """Store the step's output and its effects in one transaction, if `claim` still holds the fence.

        A step already recorded for this cycle is returned unchanged and no effect is applied again.
        Raises: LeaseLost, Conflict (from Publish).
        """
        raise NotImplementedError

    def steps(self, cycle: str) -> tuple[StepRecord, ...]: ...
    def self_edits(self, cycle: str) -> tuple[SelfEdit, ...]: ...
    def quiz(self, cycle: str) -> tuple[QuizItem, ...]: ...
    def candidates(self, cycle: str) -> tuple[Candidate, ...]: ...
    def learned_self_edits(self, tenant: str, version: int) -> tuple[SelfEdit, ...]:
        """Every admitted self-edit of the documents that `version` holds: what replay draws from."""
        raise NotImplementedError

    def learned_quiz(self, tenant: str, version: int) -> tuple[QuizItem, ...]:
        """Quiz items of the documents that `version` holds."""
        raise NotImplementedError

    # versions and the pointer
    def version(self, tenant: str, version: int) -> AdapterVersion: ...
    def versions(self, tenant: str, *, page_size: int = 50, page_token: str = "") -> Page[AdapterVersion]: ...
    def promote(self, tenant: str, version: int, *, expected_etag: str | None, actor: str, reason: str, request_id: str = "") -> Activation:
        """Move the pointer (law 2), with its audit row, in one transaction.

        The same request_id again returns the first answer. Raises: NotFound, FailedPrecondition (quarantined,
        already active), Conflict (etag).
        """
        raise NotImplementedError

    def rollback(self, tenant: str, *, to_version: int | None = None, expected_etag: str | None, actor: str, reason: str, request_id: str = "") -> Activation:
        """Move the pointer back: to `to_version`, else to the version that was active before the present one.

        Documents held by the version left but not by the version gone back to become WITHDRAWN.
        Raises: as `promote`; FailedPrecondition when nothing was active before.
        """
        raise NotImplementedError

    def quarantine_version(self, tenant: str, version: int, *, actor: str, reason: str) -> AdapterVersion:
        """Mark a version as never to be loaded; if it was desired, roll the pointer back in the same transaction."""
        raise NotImplementedError

    def activations(self, tenant: str, *, page_size: int = 50, page_token: str = "") -> Page[Activation]: ...
    def desired(self) -> tuple[Tenant, ...]:
        """Every tenant with a pointer that was ever moved: what the activator makes true."""
        raise NotImplementedError

    def record_observed(self, observed: Observed) -> None: ...
    def observed(self, tenant: str) -> tuple[Observed, ...]: ...

    # leases by name (leader of the clock), audit
    def hold(self, name: str, *, holder: str, lease_seconds: float) -> bool:
        """Take or renew the lease `name`; False while somebody else holds it."""
        raise NotImplementedError

    def audit_rows(self, *, tenant: str | None = None, after: int = 0, limit: int = 1000) -> tuple[AuditRow, ...]: ...
    def verify_audit(self) -> int:
        """Return how many rows the chain has. Raises: CorruptArtifact naming the first broken row."""
        raise NotImplementedError
