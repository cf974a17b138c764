"""Cycles: their rows, leases and journal, one short transaction a method."""

from collections.abc import Sequence

from sealserve import fault_injection
from sealserve.canonical import Json
from sealserve.records.candidates import Candidate
from sealserve.records.cycles import Claim, Cycle, QuizItem, SelfEdit, Step, StepRecord
from sealserve.records.documents import Document
from sealserve.records.pages import Page
from sealserve.registry import journal
from sealserve.registry.artifacts.artifact_store import ArtifactStore
from sealserve.registry.cycles import cycle_rows
from sealserve.registry.sql.database import Database
from sealserve.registry.step_effects import (
    Effect,
    Publish,
    artifacts_of,
)


class Cycles:
    """Cycles, their leases and their journal."""

    def __init__(self, database: Database, artifacts: ArtifactStore) -> None:
        self._database = database
        self._artifacts = artifacts

    def start(self, tenant: str, *, trigger: str, actor: str, request_id: str = "", max_documents: int = 4) -> Cycle:
        """Open a cycle for the oldest admitted documents (they become LEARNING).

        Raises: NotFound, InvalidArgument, FailedPrecondition (none admitted, or a cycle is open for this tenant).
        """
        with self._database.write() as tx:
            return cycle_rows.start(
                tx, tenant, trigger=trigger, actor=actor, request_id=request_id, max_documents=max_documents
            )

    def get(self, tenant: str, cycle: str) -> Cycle:
        """Return the tenant's cycle. Raises: NotFound."""
        with self._database.read() as tx:
            return cycle_rows.get(tx, tenant, cycle)

    def by_id(self, cycle: str) -> Cycle:
        """Return the cycle, whoever owns it: for workers, never for a tenant's call. Raises: NotFound."""
        with self._database.read() as tx:
            return cycle_rows.by_id(tx, cycle)

    def page(self, tenant: str, *, page_size: int = 50, page_token: str = "") -> Page[Cycle]:
        """Return the tenant's cycles, newest first. Raises: NotFound (tenant), InvalidArgument."""
        with self._database.read() as tx:
            return cycle_rows.pages(tx, tenant, page_size=page_size, page_token=page_token)

    def documents(self, cycle: str) -> tuple[Document, ...]:
        """Return the documents that the cycle claimed, oldest first. Raises: NotFound."""
        with self._database.read() as tx:
            return cycle_rows.documents_of(tx, cycle)

    def claim(self, *, worker: str, lease_seconds: float) -> Claim | None:
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
                self._artifacts.verify(effect.artifact)
        with self._database.write() as tx:
            recorded = journal.record_step(tx, claim, step=step, output=output, seconds=seconds, effects=effects)
            self._artifacts.require(artifacts_of(effects))
            fault_injection.point("registry.cycles.record_step.before_commit")
        fault_injection.point("registry.cycles.record_step.after_commit")
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
