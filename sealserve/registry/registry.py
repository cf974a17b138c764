"""The registry's public face: the only way serve and learn meet.

Every method is one short transaction (law 6); slow work never happens inside. Synchronous: asyncio callers use
`asyncio.to_thread`. Every method may raise StorageFailed; refused calls change nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from sealserve import fault_injection
from sealserve.canonical import Json
from sealserve.records.audit import AuditRow
from sealserve.records.candidates import Candidate
from sealserve.records.cycles import Claim, Cycle, QuizItem, SelfEdit, Step, StepRecord
from sealserve.records.documents import Document
from sealserve.records.pages import Page
from sealserve.records.tenants import Tenant
from sealserve.records.versions import Activation, AdapterVersion, Observed
from sealserve.registry import audit, journal, tenants
from sealserve.registry.artifacts import ArtifactStore
from sealserve.registry.cycles import cycle_rows
from sealserve.registry.cycles.imports import Importing
from sealserve.registry.documents.documents import Keeping
from sealserve.registry.documents.subjects import Subjects
from sealserve.registry.evaluation.evaluation import Evidence
from sealserve.registry.evaluation.score_cache import Measurements
from sealserve.registry.policy_decisions import PolicyDecisions
from sealserve.registry.rollouts.rollouts import Watches
from sealserve.registry.sql import schema
from sealserve.registry.sql.database import BUSY_SECONDS, Clock, Database, utc_now
from sealserve.registry.step_effects import (
    AddCandidates,
    AddPolicyDecisions,
    AddQuiz,
    AddSelfEdits,
    Effect,
    Finish,
    Publish,
    artifacts_of,
)
from sealserve.registry.tokens import Principals
from sealserve.registry.unlearning import Forgetting
from sealserve.registry.versions import activations as pointer
from sealserve.registry.versions import version_rows
from sealserve.registry.versions.approvals import Approvals
from sealserve.registry.versions.endorsements import Endorsing
from sealserve.registry.versions.history import Ledger

__all__ = [
    "AddCandidates",
    "AddQuiz",
    "AddPolicyDecisions",
    "AddSelfEdits",
    "Effect",
    "Finish",
    "Measurements",
    "Publish",
    "Registry",
]


class Registry(
    Keeping,
    Forgetting,
    Ledger,
    Principals,
    Approvals,
    Evidence,
    PolicyDecisions,
    Importing,
    Endorsing,
    Subjects,
    Watches,
):
    """All that is known, in one database and one artifact store (`artifacts`). Safe to use from many threads."""

    def __init__(self, database: Database, artifacts: ArtifactStore) -> None:
        self._database = database
        self.artifacts = artifacts

    @classmethod
    def open(
        cls, url: str, artifact_directory: Path, *, clock: Clock = utc_now, busy_seconds: float = BUSY_SECONDS
    ) -> Self:
        """Connect, migrate to the newest schema, and return.

        A write waits `busy_seconds` for another writer. Raises: StorageFailed, BadConfig (url).
        """
        database = Database(url, clock=clock, busy_seconds=busy_seconds)
        schema.migrate(database)
        return cls(database, ArtifactStore(artifact_directory, clock=clock))

    def close(self) -> None:
        """Close every connection; no method may be called after it."""
        self._database.close()

    # tenants
    def create_tenant(self, tenant: str, *, display_name: str = "", actor: str, request_id: str = "") -> Tenant:
        """Make a tenant that answers with the base model. Raises: InvalidArgument, AlreadyExists."""
        with self._database.write() as tx:
            return tenants.create(tx, tenant, display_name=display_name, actor=actor, request_id=request_id)

    def tenant(self, tenant: str) -> Tenant:
        """Return the tenant. Raises: NotFound."""
        with self._database.read() as tx:
            return tenants.get(tx, tenant)

    def tenants(
        self, *, only: tuple[str, ...] | None = None, page_size: int = 50, page_token: str = ""
    ) -> Page[Tenant]:
        """Return tenants by name, `only` these. Raises: InvalidArgument (page_size, page_token), as every listing."""
        with self._database.read() as tx:
            return tenants.pages(tx, only=only, page_size=page_size, page_token=page_token)

    # cycles and their journal
    def start_cycle(
        self, tenant: str, *, trigger: str, actor: str, request_id: str = "", max_documents: int = 4
    ) -> Cycle:
        """Open a cycle for the oldest admitted documents (they become LEARNING).

        Raises: NotFound, InvalidArgument, FailedPrecondition (none admitted, or a cycle is open for this tenant).
        """
        with self._database.write() as tx:
            return cycle_rows.start(
                tx, tenant, trigger=trigger, actor=actor, request_id=request_id, max_documents=max_documents
            )

    def cycle(self, tenant: str, cycle: str) -> Cycle:
        """Return the tenant's cycle. Raises: NotFound."""
        with self._database.read() as tx:
            return cycle_rows.get(tx, tenant, cycle)

    def cycle_by_id(self, cycle: str) -> Cycle:
        """Return the cycle, whoever owns it: for workers, never for a tenant's call. Raises: NotFound."""
        with self._database.read() as tx:
            return cycle_rows.by_id(tx, cycle)

    def cycles(self, tenant: str, *, page_size: int = 50, page_token: str = "") -> Page[Cycle]:
        """Return the tenant's cycles, newest first. Raises: NotFound (tenant), InvalidArgument."""
        with self._database.read() as tx:
            return cycle_rows.pages(tx, tenant, page_size=page_size, page_token=page_token)

    def open_cycles(self) -> tuple[Cycle, ...]:
        """Return every tenant's open cycle, oldest first."""
        with self._database.read() as tx:
            return cycle_rows.still_open(tx)

    def cycle_documents(self, cycle: str) -> tuple[Document, ...]:
        """Return the documents that the cycle claimed, oldest first. Raises: NotFound."""
        with self._database.read() as tx:
            return cycle_rows.documents_of(tx, cycle)

    def claim_cycle(self, *, worker: str, lease_seconds: float) -> Claim | None:
        """Take the oldest open cycle whose lease is free or has expired, with a new, higher fence."""
        with self._database.write() as tx:
            return journal.claim(tx, worker=worker, lease_seconds=lease_seconds)

    def renew(self, claim: Claim, *, lease_seconds: float) -> Claim:
        """Return the claim with a later end. Raises: LeaseLost."""
        with self._database.write() as tx:
            return journal.renew(tx, claim, lease_seconds=lease_seconds)

    def release(self, claim: Claim) -> None:
        """Give the cycle back unfinished (shutdown). No error if the lease is already lost."""
        with self._database.write() as tx:
            journal.release(tx, claim)

    def record_step(
        self, claim: Claim, step: Step, output: Json, *, seconds: float, effects: Sequence[Effect] = ()
    ) -> StepRecord:
        """Store the step's output and its effects in one transaction, if `claim` still holds the fence.

        A step already recorded for this cycle is returned unchanged and no effect is applied again.
        Raises: LeaseLost, Conflict (from Publish), FailedPrecondition (cycle ended, or a later step is recorded),
        InvalidArgument (output or effects), NotFound (an artifact), CorruptArtifact (one to publish).
        """
        for effect in effects:
            if isinstance(effect, Publish):
                self.artifacts.directory(effect.artifact)
        with self._database.write() as tx:
            recorded = journal.record_step(tx, claim, step=step, output=output, seconds=seconds, effects=effects)
            self.artifacts.require(artifacts_of(effects))
            fault_injection.point("registry.record_step.before_commit")
        fault_injection.point("registry.record_step.after_commit")
        return recorded

    def steps(self, cycle: str) -> tuple[StepRecord, ...]:
        """Return the recorded steps in order. Raises: NotFound."""
        with self._database.read() as tx:
            return cycle_rows.steps_of(tx, cycle)

    def self_edits(self, cycle: str) -> tuple[SelfEdit, ...]:
        """Return the cycle's self-edits, dropped ones included, in order of writing. Raises: NotFound."""
        with self._database.read() as tx:
            return cycle_rows.self_edits_of(tx, cycle)

    def quiz(self, cycle: str) -> tuple[QuizItem, ...]:
        """Return the cycle's quiz items in order of writing. Raises: NotFound."""
        with self._database.read() as tx:
            return cycle_rows.quiz_of(tx, cycle)

    def candidates(self, cycle: str) -> tuple[Candidate, ...]:
        """Return the cycle's candidates by index. Raises: NotFound."""
        with self._database.read() as tx:
            return cycle_rows.candidates_of(tx, cycle)

    # versions and the pointer
    def version(self, tenant: str, version: int) -> AdapterVersion:
        """Return the version. Raises: NotFound, also for the base model, which is no adapter."""
        with self._database.read() as tx:
            return version_rows.get(tx, tenant, version)

    def versions(self, tenant: str, *, page_size: int = 50, page_token: str = "") -> Page[AdapterVersion]:
        """Return the tenant's versions, newest first. Raises: NotFound (tenant), InvalidArgument."""
        with self._database.read() as tx:
            return version_rows.pages(tx, tenant, page_size=page_size, page_token=page_token)

    def promote(
        self, tenant: str, version: int, *, expected_etag: str | None, actor: str, reason: str, request_id: str = ""
    ) -> Activation:
        """Move the pointer (law 2), with its audit row, in one transaction.

        The documents it holds become LEARNED, those only the version left holds WITHDRAWN. The same request_id
        again returns the first answer. Raises: NotFound, InvalidArgument (the base model),
        FailedPrecondition (quarantined, already active), Conflict (etag).
        """
        with self._database.write() as tx:
            moved = pointer.promote(
                tx, tenant, version, expected_etag=expected_etag, actor=actor, reason=reason, request_id=request_id
            )
            fault_injection.point("registry.promote.before_commit")
        fault_injection.point("registry.promote.after_commit")
        return moved

    def rollback(
        self,
        tenant: str,
        *,
        to_version: int | None = None,
        expected_etag: str | None,
        actor: str,
        reason: str,
        request_id: str = "",
    ) -> Activation:
        """Move the pointer back: to `to_version`, else to the version that was active before the present one.

        Rolling back twice goes back two; quarantined versions are passed over. Documents held by the version left
        but not by the version gone back to become WITHDRAWN. Raises: as `promote`; FailedPrecondition when nothing
        was active before, or `to_version` was not.
        """
        with self._database.write() as tx:
            return pointer.rollback(
                tx,
                tenant,
                to_version=to_version,
                expected_etag=expected_etag,
                actor=actor,
                reason=reason,
                request_id=request_id,
            )

    def quarantine_version(self, tenant: str, version: int, *, actor: str, reason: str) -> AdapterVersion:
        """Mark a version as never to be loaded; if it was desired, roll the pointer back in the same transaction.

        Raises: NotFound, InvalidArgument (the base model).
        """
        with self._database.write() as tx:
            marked = version_rows.quarantine(tx, tenant, version, actor=actor, reason=reason)
            pointer.leave_quarantined(tx, tenant, version, actor=actor, reason=reason)
            return marked

    def activations(self, tenant: str, *, page_size: int = 50, page_token: str = "") -> Page[Activation]:
        """Return the tenant's activations, newest first. Raises: NotFound (tenant), InvalidArgument."""
        with self._database.read() as tx:
            return pointer.pages(tx, tenant, page_size=page_size, page_token=page_token)

    def desired(self) -> tuple[Tenant, ...]:
        """Return every tenant with a pointer that was ever moved: what the activator makes true."""
        with self._database.read() as tx:
            return tenants.activated(tx)

    def record_observed(self, observed: Observed) -> None:
        """Keep what a replica answers with, in place of what it said before. Raises: NotFound (tenant)."""
        with self._database.write() as tx:
            pointer.record_observed(tx, observed)

    def observed(self, tenant: str) -> tuple[Observed, ...]:
        """Return what each replica said last, by replica. Raises: NotFound (tenant)."""
        with self._database.read() as tx:
            return pointer.observed(tx, tenant)

    # leases by name (leader of the clock), audit
    def hold(self, name: str, *, holder: str, lease_seconds: float) -> bool:
        """Take or renew the lease `name`; False while somebody else holds it."""
        with self._database.write() as tx:
            return journal.hold(tx, name, holder=holder, lease_seconds=lease_seconds)

    def audit_rows(self, *, tenant: str | None = None, after: int = 0, limit: int = 1000) -> tuple[AuditRow, ...]:
        """Return up to `limit` rows with a sequence above `after`, oldest first."""
        with self._database.read() as tx:
            return audit.rows(tx, tenant=tenant, after=after, limit=limit)

    def audit_head(self) -> tuple[int, str]:
        """Return sequence and hash of the newest row: kept elsewhere, it proves that no row was taken away."""
        with self._database.read() as tx:
            return audit.head(tx)

    def verify_audit(self) -> int:
        """Return how many rows the chain has. Raises: CorruptArtifact naming the first broken row."""
        with self._database.read() as tx:
            return audit.verify(tx)
