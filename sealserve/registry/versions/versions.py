"""Adapter versions: published, activated, rolled back, quarantined and countersigned."""

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import update

from sealserve import fault_injection
from sealserve.canonical import Json
from sealserve.records.pages import Page
from sealserve.records.versions import Activation, AdapterVersion, Answering, Observed
from sealserve.registry import audit
from sealserve.registry.sql import tables as t
from sealserve.registry.sql.database import Database
from sealserve.registry.versions import activations as pointer
from sealserve.registry.versions import revocations, version_rows


class Versions:
    """Adapter versions and the pointer that says which of them answers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, tenant: str, version: int) -> AdapterVersion:
        """Return the version. Raises: NotFound, also for the base model, which is no adapter."""
        with self._database.read() as tx:
            return version_rows.get(tx, tenant, version)

    def page(self, tenant: str, *, page_size: int = 50, page_token: str = "") -> Page[AdapterVersion]:
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
            fault_injection.point("registry.versions.promote.before_commit")
        fault_injection.point("registry.versions.promote.after_commit")
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

    def quarantine(self, tenant: str, version: int, *, actor: str, reason: str) -> AdapterVersion:
        """Mark a version as never to be loaded; if it was desired, roll the pointer back in the same transaction.

        Raises: NotFound, InvalidArgument (the base model).
        """
        with self._database.write() as tx:
            marked = version_rows.quarantine(tx, tenant, version, actor=actor, reason=reason)
            pointer.leave_quarantined(tx, tenant, version, actor=actor, reason=reason)
            return marked

    def suspend(self, tenant: str, version: int, *, actor: str, reason: str) -> Activation | None:
        """Take the desired version out of service for a while: the one before it answers, and no document is withdrawn.

        None, and no change, if it is not the desired one. Raises: NotFound.
        """
        with self._database.write() as tx:
            return pointer.suspend(tx, tenant, version, actor=actor, reason=reason)

    def resume(self, tenant: str, version: int, *, actor: str, reason: str) -> Activation | None:
        """Put a suspended version back. None, and no change, if the pointer has moved since. Raises: NotFound."""
        with self._database.write() as tx:
            return pointer.resume(tx, tenant, version, actor=actor, reason=reason)

    def activations(self, tenant: str, *, page_size: int = 50, page_token: str = "") -> Page[Activation]:
        """Return the tenant's activations, newest first. Raises: NotFound (tenant), InvalidArgument."""
        with self._database.read() as tx:
            return pointer.pages(tx, tenant, page_size=page_size, page_token=page_token)

    def record_observed(self, *observed: Observed) -> None:
        """Record which versions a replica serves, in place of its last reports. Raises: NotFound (tenant)."""
        with self._database.write() as tx:
            pointer.record_observed(tx, *observed)

    def observed(self, tenant: str) -> tuple[Observed, ...]:
        """Return the last report of each replica that is alive. Raises: NotFound (tenant)."""
        with self._database.read() as tx:
            return pointer.observed(tx, tenant)

    def revoked(self, answering: Iterable[Answering]) -> dict[str, frozenset[int]]:
        """Return which of these versions may not answer any more, by tenant: quarantined, or rolled back from.

        Raises: NotFound (tenant).
        """
        with self._database.read() as tx:
            return revocations.revoked(tx, answering)

    def answerable(self, tenant: str, *, most: int) -> tuple[int, ...]:
        """Return the versions that a request may name, newest first, of the newest `most`. Raises: NotFound."""
        with self._database.read() as tx:
            return revocations.answerable(tx, tenant, most=most)

    def require_answerable(self, tenant: str, version: int) -> AdapterVersion:
        """Return the version if a request may name it: ready, released if it was held, not rolled back from.

        Raises: NotFound, FailedPrecondition.
        """
        with self._database.read() as tx:
            return revocations.require_answerable(tx, tenant, version)

    def countersign(
        self, tenant: str, version: int, *, manifest: Json, approvals: list[str], actor: str
    ) -> AdapterVersion:
        """Store `manifest` and who approved in the version's lineage; no change if both are there. Raises: NotFound."""
        own = t.versions.c.tenant == tenant, t.versions.c.version == version
        with self._database.write() as tx:
            found = version_rows.get(tx, tenant, version)
            if found.lineage.approvals == tuple(approvals):
                return found
            lineage = replace(found.lineage, manifest=manifest, approvals=tuple(approvals))
            tx.run(update(t.versions).where(*own).values(lineage=lineage.to_json()))
            audit.append(
                tx,
                "adapter.endorse",
                actor=actor,
                tenant=tenant,
                subject=version_rows.resource(tenant, version),
                details={"approvals": approvals},
            )
            return version_rows.get(tx, tenant, version)
