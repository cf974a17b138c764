"""What written rules are told, and what comes of their rulings: the one place between the gate and who asks it.

Builds each event's input from the registry, has it ruled on, and keeps the ruling. Decides nothing by itself.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import structlog

from sealserve.canonical import Json
from sealserve.errors import FailedPrecondition, PermissionDenied, SealserveError
from sealserve.policy.events import Event
from sealserve.policy.rulebook import Rulebook
from sealserve.proof.manifest import Seals
from sealserve.records.approvals import Approval, ApprovalState
from sealserve.records.cycles import SelfEdit
from sealserve.records.documents import DocumentState, Refusal
from sealserve.records.policy_decisions import PolicyDecision, RuleEffect
from sealserve.records.score_json import scorecard_json
from sealserve.records.scores import Decision, Scorecard, Verdict
from sealserve.records.versions import BASE_VERSION, AdapterVersion
from sealserve.registry.registry import Registry
from sealserve.scanners.contradictions import origin_of
from sealserve.scanners.findings import INJECTIONS, PERSONAL, Finding, findings_in, total

_NO_EDITS: Json = {
    "admitted": 0,
    "dropped": 0,
    "largest_share": 0.0,
    "documents": 0,
    "origins": 0,
    "largest_origin": 0,
    "contested": 0,
    "refused": 0,
    "personal": 0,
    "secrets": 0,
    "instructions": 0,
}
_DENIED = "DENIED: "
_LOG = structlog.get_logger(__name__)

RECOVERY = "serve"
"""Who endorses what was cut off, in the audit trail."""


class PolicyEnforcer:
    """Asks the rules in force before something happens. Safe to use from many threads."""

    def __init__(self, registry: Registry, rules: Rulebook, *, seals: Seals | None = None) -> None:
        """With `seals`, the manifest of an approved version says who approved it."""
        self._registry = registry
        self._rules = rules
        self._seals = seals

    def refuse_document(
        self,
        tenant: str,
        *,
        document: str,
        title: str,
        source: str,
        media_type: str,
        size_bytes: int,
        actor: str,
        findings: Mapping[str, int],
        similar: int,
        contradicted: int,
    ) -> Refusal | None:
        """Return why the document may not be learned from, or None when it may.

        Its id `document` is not for rules: by it, forgetting finds what they were told. For what `findings`,
        `similar` and `contradicted` count see `intake.inspection`.
        """
        about: Json = {"id": document, "title": title, "source": source, "media_type": media_type}
        about |= {"size_bytes": size_bytes, "findings": dict(findings)}
        about |= {"similar": similar, "contradicted": contradicted}
        given = {"tenant": {"id": tenant}, "actor": actor, "document": about}
        ruling = self._kept(Event.DOCUMENT_INGEST, given, tenant=tenant, subject=source)
        if not _stops(ruling):
            return None
        reasons = "; ".join(ruling.reasons)
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
        _require(
            self._kept(Event.ADAPTER_PROMOTE, given, tenant=tenant, subject=f"tenants/{tenant}/adapters/{version}")
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
        subject = _adapter(held.tenant, held.version)
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

    def endorse(self, tenant: str, version: int, *, actor: str) -> None:
        """Have the version's manifest say who approved it; a version without one is left as it is.

        Raises: NotFound, BadAdapter (it is not as it was signed), BadConfig (keys).
        """
        found = self._registry.versions.get(tenant, version)
        if self._seals is None or found.lineage.manifest is None:
            return
        opinions = self._registry.approvals.get(tenant, version).opinions
        approvals = [one.actor for one in opinions if one.approves]
        if tuple(approvals) == found.lineage.approvals:
            return
        manifest = self._seals.with_approvals(found, approvals)
        self._registry.versions.countersign(tenant, version, manifest=manifest, approvals=approvals, actor=actor)

    def endorse_released(self, tenant: str, *, actor: str = RECOVERY) -> None:
        """Endorse every version of the tenant that people released, where that was cut off or could not be done.

        What cannot be endorsed now is logged, and left to the next call: the pointer has moved already.
        """
        try:
            for one in self._registry.approvals.page(tenant):
                if one.state is ApprovalState.APPROVED:
                    self.endorse(tenant, one.version, actor=actor)
        except SealserveError as error:
            _LOG.warning("approvals.not_endorsed", tenant=tenant, reason=error.message)

    def endorse_every_released(self) -> None:
        """Do so for every tenant; what cannot be done is logged."""
        try:
            tenants = self._registry.tenants.activated()
        except SealserveError as error:
            _LOG.warning("approvals.not_endorsed", tenant="", reason=error.message)
            return
        for tenant in tenants:
            self.endorse_released(tenant.tenant)

    def require_rollback(self, tenant: str, to_version: int | None, *, actor: str, reason: str) -> None:
        """Return if the tenant may go back. Raises: NotFound (tenant), FailedPrecondition, as `require_promote`."""
        now = self._registry.tenants.get(tenant).desired_version
        moves = (one for one in self._registry.versions.activations(tenant).items if one.kind != "traffic")
        before = next((one.previous for one in moves), BASE_VERSION)
        to = before if to_version is None else to_version
        given = {"tenant": {"id": tenant}, "actor": actor, "version": {"now": now, "to": to}, "reason": reason}
        _require(self._kept(Event.ADAPTER_ROLLBACK, given, tenant=tenant, subject=_adapter(tenant, now)))

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

    def _kept(self, event: Event, given: Json, *, tenant: str, subject: str) -> PolicyDecision:
        ruling = self._rules.rule(event, given, tenant=tenant, subject=subject)
        self._registry.policy_decisions.keep(ruling)
        return ruling

    def _promotion(self, tenant: str, found: AdapterVersion, *, actor: str) -> Json:
        """Whoever promotes approves of it; so did those who said so when it was held."""
        held = [one for one in self._registry.approvals.page(tenant) if one.version == found.version]
        said = [opinion.actor for one in held for opinion in one.opinions if opinion.approves]
        approvals = sorted({*said, actor})
        return promotion(
            tenant,
            actor=actor,
            author=self._registry.policy_decisions.cycle_author(found.cycle),
            authors=self._behind(self._registry.policy_decisions.cycle_authors(tenant, found.cycle), approvals),
            trigger="person",
            cycle=found.cycle,
            parent=found.parent,
            verdict=found.lineage.verdict or {"decision": "", "policy": ""},
            scores=found.lineage.scores or {},
            edits=self._registry.cycles.self_edits(found.cycle),
            documents=self._sources(tenant, found.documents),
            approvals=approvals,
            anomalies=found.lineage.anomalies or {},
            is_imported=bool(found.lineage.imported) and not found.lineage.scores,
        )

    def _behind(self, authors: Sequence[str], people: Sequence[str]) -> list[str]:
        """Return `authors`, and those of `people` who may be one of them, with a token that an author made."""
        return [*authors, *sorted(self._registry.tokens.made_by(authors).intersection(people).difference(authors))]

    def _sources(self, tenant: str, documents: Sequence[str]) -> list[Json]:
        return [{"id": one, "source": self._registry.documents.get(tenant, one).source} for one in documents]


def promotion(
    tenant: str,
    *,
    actor: str,
    author: str,
    authors: Sequence[str],
    trigger: str,
    cycle: str,
    parent: int,
    verdict: Json,
    scores: Json,
    edits: Sequence[SelfEdit],
    documents: list[Json],
    approvals: list[str],
    anomalies: Json,
    is_imported: bool = False,
) -> Json:
    """Return the input of `adapter.promote`; a score that does not apply is left out, an unmeasured one has no n."""
    return {
        "tenant": {"id": tenant},
        "actor": actor,
        "author": author,
        "authors": list(authors),
        "trigger": trigger,
        "version": {"parent": parent, "cycle": cycle, "is_imported": is_imported},
        "verdict": {"decision": str(verdict.get("decision", "")), "policy": str(verdict.get("policy", ""))},
        "scores": [_score(name, one) for name, one in scores.items() if "because" not in one],
        "edits": edit_counts(edits, documents),
        "adapter": _strange(anomalies),
        "documents": documents,
        "approvals": approvals,
    }


def _strange(anomalies: Json) -> Json:
    """What is strange about the adapter, as rules are told; a version that nobody probed has no numbers."""
    gap = anomalies.get("trigger_gap")
    return {
        "is_probed": gap is not None,
        "trigger_gap": gap or 0.0,
        "spectrum_z": anomalies.get("spectrum_z", 0.0),
        "history": anomalies.get("history", 0),
    }


def edit_counts(edits: Sequence[SelfEdit], documents: Sequence[Json]) -> Json:
    """Return how many self-edits there are, whose they are, and what the admitted ones hold.

    `largest_share` is that of the document that gave most, `largest_origin` the number of the origin that gave most.
    """
    admitted = [edit for edit in edits if edit.admitted]
    why = Counter(edit.reason for edit in edits if not edit.admitted)
    counts = {**_NO_EDITS, "dropped": why.total(), "contested": why["contested"], "refused": why["finding"]}
    if not admitted:
        return counts
    by_document = Counter(edit.document for edit in admitted)
    sources = {str(one["id"]): origin_of(str(one["source"])) for one in documents}
    by_origin = Counter(sources.get(edit.document, "") for edit in admitted)
    held = [findings_in(edit.text) for edit in admitted]
    return counts | {
        "admitted": len(admitted),
        "largest_share": max(by_document.values()) / len(admitted),
        "documents": len(by_document),
        "origins": len(by_origin),
        "largest_origin": max(by_origin.values()),
        "personal": sum(total(found, PERSONAL) for found in held),
        "secrets": sum(found[Finding.SECRET] for found in held),
        "instructions": sum(total(found, INJECTIONS) for found in held),
    }


def card_scores(card: Scorecard) -> Json:
    """Return `card` as `promotion` takes it."""
    return scorecard_json(card)


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


def _adapter(tenant: str, version: int) -> str:
    return f"tenants/{tenant}/adapters/{version}"


def _score(name: str, tree: Json) -> Json:
    if "why" in tree:
        return {"name": name, "is_measured": False}
    numbers = {field: tree[field] for field in ("n", "gain", "gain_low", "gain_high")}
    return {"name": name, "is_measured": True, **numbers}


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
