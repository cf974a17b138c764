"""Asks the written rules before something happens, and enforces their decisions.

Builds each event's input from the registry, has the rules decide, and records the decision. Nothing
else asks the rules.
"""

from collections.abc import Sequence

import structlog

from sealserve.canonical import Json
from sealserve.errors import FailedPrecondition, PermissionDenied, SealserveError
from sealserve.policy.events import Event
from sealserve.policy.inputs import PromotionRequest, edit_counts, promotion_input
from sealserve.policy.rulebook import Rulebook
from sealserve.proof.manifest import Seals
from sealserve.records.approvals import Approval, ApprovalState
from sealserve.records.cycles import IMPORT_TRIGGER, Claim, SelfEdit
from sealserve.records.documents import DocumentState, IncomingDocument, Refusal
from sealserve.records.policy_decisions import PolicyDecision, RuleEffect
from sealserve.records.score_json import scorecard_json, verdict_json
from sealserve.records.scores import Decision, Scorecard, Verdict
from sealserve.records.versions import BASE_VERSION, AdapterVersion
from sealserve.registry.registry import Registry
from sealserve.telemetry.names import LogEvent
from sealserve.wire.names import adapter_name

_DENIED = "DENIED: "
_LOG = structlog.get_logger(__name__)

RECOVERY = "serve"
"""The actor, in the audit log, of countersignatures that a restart makes up for."""


class PolicyEnforcer:
    """Asks the rules in force. Safe to use from many threads."""

    def __init__(self, registry: Registry, rules: Rulebook, *, seals: Seals | None = None) -> None:
        """With `seals`, the manifest of an approved version names its approvers."""
        self._registry = registry
        self._rules = rules
        self._seals = seals

    def refuse_document(self, tenant: str, incoming: IncomingDocument, *, actor: str) -> Refusal | None:
        """Return why the document may not be learned from, or None when it may.

        Its id is not for rules: by it, unlearning finds what they were given.
        """
        about: Json = {
            "id": incoming.document,
            "title": incoming.title,
            "source": incoming.source,
            "media_type": incoming.media_type,
            "size_bytes": incoming.size_bytes,
            "findings": dict(incoming.findings),
            "similar": incoming.similar,
            "contradicted": incoming.contradicted,
        }
        given = {"tenant": {"id": tenant}, "actor": actor, "document": about}
        ruling = self._decide(Event.DOCUMENT_INGEST, given, tenant=tenant, subject=incoming.source)
        if not _stops(ruling):
            return None
        reasons = "; ".join(sorted(ruling.reasons, key=lambda reason: _is_warning(ruling, reason)))
        if ruling.effect is RuleEffect.HOLD:
            return Refusal(state=DocumentState.HELD, reason=reasons)
        return Refusal(state=DocumentState.QUARANTINED, reason=_DENIED + reasons)

    def require_promote(self, tenant: str, version: int, *, actor: str) -> None:
        """Return if a person may make `version` the active one.

        Raises: NotFound, FailedPrecondition (POLICY_DENIED, POLICY_HELD: the rules that stop it).
        """
        if version == BASE_VERSION:  # the registry's to refuse
            return
        found = self._registry.versions.get(tenant, version)
        given = self._promotion(tenant, found, actor=actor)
        _require(self._decide(Event.ADAPTER_PROMOTE, given, tenant=tenant, subject=adapter_name(tenant, version)))

    def rule_winner(
        self, claim: Claim, *, incumbent: int, verdict: Verdict, scorecard: Scorecard, anomalies: Json
    ) -> tuple[PolicyDecision, ...]:
        """Return the decisions on a cycle's self-edits and on promoting its winner; a cycle's step records them.

        An imported adapter has no batch of self-edits to decide on.
        """
        edits = self._registry.cycles.self_edits(claim.cycle)
        released = self._released(claim.tenant, edits)
        documents: list[Json] = [
            {"id": one.document, "source": one.source} for one in self._registry.cycles.documents(claim.cycle)
        ]
        batch = {
            "tenant": {"id": claim.tenant},
            "cycle": claim.cycle,
            "edits": edit_counts(edits, documents, released=released),
            "documents": documents,
        }
        request = PromotionRequest(
            tenant=claim.tenant,
            actor=f"worker:{claim.worker}",
            trigger="cycle",
            author=self._registry.policy_decisions.cycle_author(claim.cycle),
            authors=self._registry.policy_decisions.cycle_authors(claim.tenant, claim.cycle),
            cycle=claim.cycle,
            parent=incumbent,
            verdict=verdict_json(verdict),
            scores=scorecard_json(scorecard),
            anomalies=anomalies,
            edits=edits,
            documents=documents,
            released=released,
        )
        inputs: list[tuple[Event, Json]] = [(Event.ADAPTER_PROMOTE, promotion_input(request))]
        if self._registry.cycles.by_id(claim.cycle).trigger != IMPORT_TRIGGER:
            inputs.insert(0, (Event.SELFEDIT_BATCH, batch))
        return tuple(
            self._rules.rule(event, given, tenant=claim.tenant, subject=claim.cycle) for event, given in inputs
        )

    def approve(self, held: Approval, *, actor: str) -> tuple[bool, tuple[PolicyDecision, ...]]:
        """Return whether the approval of `actor` releases a held version, or more people have to approve it.

        The rulings are to be kept with the approval. Raises: PermissionDenied (not this person),
        FailedPrecondition (not this version), each with its ruling kept.
        """
        found = self._registry.versions.get(held.tenant, held.version)
        verdict = found.lineage.verdict or {}
        given = {
            "tenant": {"id": held.tenant},
            "actor": actor,
            "author": self._registry.policy_decisions.cycle_author(held.cycle),
            "authors": self._behind(held.authors, [actor]),
            "version": {"number": held.version, "cycle": held.cycle},
            "verdict": {"decision": Decision.HOLD.value, "policy": str(verdict.get("policy", ""))},
        }
        subject = adapter_name(held.tenant, held.version)
        grant = self._granted(given, tenant=held.tenant, subject=subject)
        given = self._promotion(held.tenant, found, actor=actor)
        promotes = self._rules.rule(Event.ADAPTER_PROMOTE, given, tenant=held.tenant, subject=subject)
        if promotes.effect is RuleEffect.DENY:
            self._registry.policy_decisions.keep(promotes)
            _require(promotes)
        return not _stops(promotes), (grant, promotes)

    def require_release(self, tenant: str, document: str, *, actor: str) -> None:
        """Return if `actor` may let a held document in. Raises: NotFound, PermissionDenied (not this person)."""
        authors = self._registry.policy_decisions.document_authors(tenant, document)
        given = {
            "tenant": {"id": tenant},
            "actor": actor,
            "author": next(iter(authors), ""),
            "authors": self._behind(authors, [actor]),
            "version": {"number": BASE_VERSION, "cycle": ""},
            "verdict": {"decision": Decision.HOLD.value, "policy": ""},
        }
        self._registry.policy_decisions.keep(
            self._granted(given, tenant=tenant, subject=f"tenants/{tenant}/documents/{document}")
        )

    def countersign(self, tenant: str, version: int, *, actor: str) -> None:
        """Sign the version's manifest again, with the names of its approvers; without a manifest, do nothing.

        Raises: NotFound, BadAdapter (it differs from what was signed), BadConfig (keys).
        """
        found = self._registry.versions.get(tenant, version)
        if self._seals is None or found.lineage.manifest is None:
            return
        votes = self._registry.approvals.get(tenant, version).opinions
        approvals = [vote.actor for vote in votes if vote.approves]
        if tuple(approvals) == found.lineage.approvals:
            return
        manifest = self._seals.with_approvals(found, approvals)
        self._registry.versions.countersign(tenant, version, manifest=manifest, approvals=approvals, actor=actor)

    def countersign_released(self, tenant: str, *, actor: str = RECOVERY) -> None:
        """Countersign every released version of the tenant whose countersignature is missing.

        A failure is logged and left to the next call: the pointer has moved already.
        """
        try:
            for approval in self._registry.approvals.page(tenant):
                if approval.state is ApprovalState.APPROVED:
                    self.countersign(tenant, approval.version, actor=actor)
        except SealserveError as error:
            _LOG.warning(LogEvent.APPROVALS_NOT_COUNTERSIGNED, tenant=tenant, error=error.message)

    def countersign_all_released(self) -> None:
        """Call `countersign_released` for every tenant that a version was ever held of; failures are logged."""
        try:
            tenants = self._registry.approvals.tenants()
        except SealserveError as error:
            _LOG.warning(LogEvent.APPROVALS_NOT_COUNTERSIGNED, tenant="", error=error.message)
            return
        for tenant in tenants:
            self.countersign_released(tenant)

    def require_rollback(self, tenant: str, to_version: int | None, *, actor: str, reason: str) -> None:
        """Return if the tenant may go back. Raises: NotFound (tenant), FailedPrecondition, as `require_promote`."""
        now = self._registry.tenants.get(tenant).desired_version
        moves = (one for one in self._registry.versions.activations(tenant).items if one.kind != "traffic")
        before = next((one.previous for one in moves), BASE_VERSION)
        to = before if to_version is None else to_version
        given = {"tenant": {"id": tenant}, "actor": actor, "version": {"now": now, "to": to}, "reason": reason}
        _require(self._decide(Event.ADAPTER_ROLLBACK, given, tenant=tenant, subject=adapter_name(tenant, now)))

    def _granted(self, given: Json, *, tenant: str, subject: str) -> PolicyDecision:
        """Return the ruling that lets the actor approve. Raises: PermissionDenied, with its ruling kept."""
        grant = self._rules.rule(Event.APPROVAL_GRANT, given, tenant=tenant, subject=subject)
        if _stops(grant):
            self._registry.policy_decisions.keep(grant)
            text = (
                f"policy does not let {given['actor']} approve it: {'; '.join(grant.reasons)} (decision {grant.ruling})"
            )
            raise PermissionDenied(text, reason="POLICY_DENIED")
        return grant

    def _decide(self, event: Event, given: Json, *, tenant: str, subject: str) -> PolicyDecision:
        ruling = self._rules.rule(event, given, tenant=tenant, subject=subject)
        self._registry.policy_decisions.keep(ruling)
        return ruling

    def _promotion(self, tenant: str, found: AdapterVersion, *, actor: str) -> Json:
        """Whoever promotes approves of it; so did those who said so when it was held."""
        held = [one for one in self._registry.approvals.page(tenant) if one.version == found.version]
        said = [opinion.actor for one in held for opinion in one.opinions if opinion.approves]
        approvals = sorted({*said, actor})
        edits = self._registry.cycles.self_edits(found.cycle)
        request = PromotionRequest(
            tenant=tenant,
            actor=actor,
            trigger="person",
            author=self._registry.policy_decisions.cycle_author(found.cycle),
            authors=self._behind(self._registry.policy_decisions.cycle_authors(tenant, found.cycle), approvals),
            cycle=found.cycle,
            parent=found.parent,
            verdict=found.lineage.verdict or {"decision": "", "policy": ""},
            scores=found.lineage.scores or {},
            edits=edits,
            documents=self._sources(tenant, found.documents),
            released=self._released(tenant, edits),
            approvals=approvals,
            anomalies=found.lineage.anomalies or {},
            is_imported=bool(found.lineage.imported) and not found.lineage.scores,
        )
        return promotion_input(request)

    def _behind(self, authors: Sequence[str], people: Sequence[str]) -> list[str]:
        """Return `authors`, and those of `people` who may be one of them, with a token that an author made."""
        return [*authors, *sorted(self._registry.tokens.made_by(authors, among=people).difference(authors))]

    def _released(self, tenant: str, edits: Sequence[SelfEdit]) -> frozenset[str]:
        """Return the documents of `edits` that a person let in."""
        return self._registry.documents.released(tenant, {edit.document for edit in edits})

    def _sources(self, tenant: str, documents: Sequence[str]) -> list[Json]:
        return [{"id": one, "source": self._registry.documents.get(tenant, one).source} for one in documents]


def ruled(verdict: Verdict, rulings: Sequence[PolicyDecision]) -> Verdict:
    """Return what is left of `verdict` under `rulings`: they only ever make it stricter."""
    decision = verdict.decision
    if decision not in (Decision.PROMOTE, Decision.HOLD):
        return verdict
    effects = {ruling.effect for ruling in rulings}
    if RuleEffect.DENY in effects:
        decision = Decision.REJECT
    elif RuleEffect.HOLD in effects:
        decision = Decision.HOLD
    spoken = tuple(reason for ruling in rulings for reason in ruling.reasons)
    return Verdict(
        decision=decision,
        reasons=(*verdict.reasons, *spoken),
        policy=verdict.policy,
        policy_digest=verdict.policy_digest,
    )


def _is_warning(ruling: PolicyDecision, reason: str) -> bool:
    """Whether the rule that gives the reason only warns: what stops comes first."""
    rule = reason.partition(":")[0]
    return any(one.rule == rule and one.effect is RuleEffect.WARN for one in ruling.results)


def _stops(ruling: PolicyDecision) -> bool:
    return ruling.effect in (RuleEffect.DENY, RuleEffect.HOLD)


def _require(ruling: PolicyDecision) -> None:
    if not _stops(ruling):
        return
    is_held = ruling.effect is RuleEffect.HOLD
    raise FailedPrecondition(
        f"policy {'holds' if is_held else 'denies'} it: {'; '.join(ruling.reasons)} (decision {ruling.ruling})",
        reason="POLICY_HELD" if is_held else "POLICY_DENIED",
    )
