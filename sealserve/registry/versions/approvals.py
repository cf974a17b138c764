"""Deciding on held versions: an approval moves the pointer as any promotion does, in one transaction with its row.

Whether somebody may decide is settled before (role, policy); here only what cannot be true is refused.
"""

from typing import Any

from sealserve import fault_injection
from sealserve.errors import Conflict, FailedPrecondition, InvalidArgument
from sealserve.records.approvals import OPINIONS_MOVED, Approval, ApprovalRuling, ApprovalState
from sealserve.records.validation import require_short
from sealserve.records.versions import Activation
from sealserve.registry import audit, tenants
from sealserve.registry.policy_decisions import keep
from sealserve.registry.sql import request_ids
from sealserve.registry.sql.database import Database, Transaction
from sealserve.registry.sql.tables import opinions
from sealserve.registry.versions import activations, held
from sealserve.registry.versions.version_rows import resource

_RELEASED = ApprovalRuling()


class Approvals:
    """Held versions and what people decide on them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, tenant: str) -> tuple[Approval, ...]:
        """Return every version of the tenant that was ever held, newest first. Raises: NotFound (tenant)."""
        with self._database.read() as tx:
            return held.of_tenant(tx, tenant)

    def tenants(self) -> tuple[str, ...]:
        """Return the tenants of which a version was ever held."""
        with self._database.read() as tx:
            return held.tenants_of_held(tx)

    def get(self, tenant: str, version: int) -> Approval:
        """Return the state of a held version. Raises: NotFound (no such version, or it was never held)."""
        with self._database.read() as tx:
            return held.get(tx, tenant, version)

    def approve(
        self,
        tenant: str,
        version: int,
        *,
        actor: str,
        reason: str,
        ruling: ApprovalRuling = _RELEASED,
        expected_etag: str | None = None,
        request_id: str = "",
    ) -> tuple[Approval, Activation | None]:
        """Keep the approval; if `ruling` releases the version, make it the desired one in the same transaction.

        The same request_id again returns the first answer. Raises: NotFound; FailedPrecondition (ALREADY_DECIDED,
        ALREADY_APPROVED by this actor, INCUMBENT_MOVED); Conflict (etag; OPINIONS_MOVED: there are others than
        `ruling` counted, ask policy again); InvalidArgument.
        """
        require_short(reason, field="reason")
        arguments = {"version": version, "expected_etag": expected_etag, "reason": reason, "actor": actor}
        request: dict[str, Any] = {"tenant": tenant, "request_id": request_id, "arguments": arguments}
        with self._database.write() as tx:
            found = held.get(tx, tenant, version)
            if earlier := request_ids.earlier_answer(tx, "approve", **request):
                return found, activations.get(tx, tenant, int(earlier)) if earlier != "-" else None
            _require_open(found)
            _require_decidable(found, actor=actor)
            if ruling.counted is not None and ruling.counted != found.opinions:
                text = f"somebody else decided on {resource(tenant, version)} meanwhile; read it again, then retry"
                raise Conflict(text, reason=OPINIONS_MOVED)
            owner = tenants.get(tx, tenant)
            if expected_etag is not None and expected_etag != owner.etag:
                raise Conflict(f"tenant {tenant} was changed by somebody else; read it again, then retry")
            for decision in ruling.rulings:
                keep(tx, decision)
            _keep(tx, found, "approval.approve", actor=actor, approves=True, reason=reason, releases=ruling.releases)
            moved = None
            if ruling.releases:
                why = reason or f"approved by {actor}"
                moved = activations.promote(tx, tenant, version, expected_etag=owner.etag, actor=actor, reason=why)
            request_ids.remember(tx, "approve", **request, answer=str(moved.activation) if moved else "-")
            done = held.get(tx, tenant, version)
            fault_injection.point("registry.approvals.approve.before_commit")
        fault_injection.point("registry.approvals.approve.after_commit")
        return done, moved

    def reject(self, tenant: str, version: int, *, actor: str, reason: str, request_id: str = "") -> Approval:
        """Keep the rejection: the version is never promoted. A late one may be rejected too.

        The same request_id again changes nothing. Raises: NotFound; FailedPrecondition (ALREADY_DECIDED);
        InvalidArgument (no reason: what was wrong is worth more than that it was).
        """
        require_short(reason, field="reason")
        if not reason.strip():
            raise InvalidArgument("reason is required: say what is wrong with the version", field="reason")
        arguments = {"version": version, "reason": reason, "actor": actor}
        request: dict[str, Any] = {"tenant": tenant, "request_id": request_id, "arguments": arguments}
        with self._database.write() as tx:
            found = held.get(tx, tenant, version)
            if request_ids.earlier_answer(tx, "reject", **request):
                return found
            _require_open(found)
            _keep(tx, found, "approval.reject", actor=actor, approves=False, reason=reason, releases=False)
            request_ids.remember(tx, "reject", **request, answer="-")
            return held.get(tx, tenant, version)


def _require_open(found: Approval) -> None:
    if found.state in (ApprovalState.APPROVED, ApprovalState.REJECTED):
        last = found.opinions[-1]
        raise FailedPrecondition(
            f"{resource(found.tenant, found.version)} was {found.state} by {last.actor} already",
            reason="ALREADY_DECIDED",
        )


def _require_decidable(found: Approval, *, actor: str) -> None:
    name = resource(found.tenant, found.version)
    if found.state is ApprovalState.LATE:
        raise FailedPrecondition(
            f"{name} was measured against a version that is no longer active, or is quarantined; reject it and let a "
            "new cycle learn its documents",
            reason="INCUMBENT_MOVED",
        )
    if any(one.actor == actor for one in found.opinions):
        raise FailedPrecondition(f"{name} has {actor}'s approval; somebody else's is needed", reason="ALREADY_APPROVED")


def _keep(
    tx: Transaction, found: Approval, action: str, *, actor: str, approves: bool, reason: str, releases: bool
) -> None:
    row = {
        "cycle": found.cycle,
        "tenant": found.tenant,
        "version": found.version,
        "actor": actor,
        "approves": approves,
        "releases": releases,
        "reason": reason,
        "given_at": tx.now,
    }
    tx.insert(opinions, [row])
    audit.append(
        tx,
        action,
        actor=actor,
        tenant=found.tenant,
        subject=resource(found.tenant, found.version),
        details={"cycle": found.cycle, "releases": releases, "reason": reason},
    )
