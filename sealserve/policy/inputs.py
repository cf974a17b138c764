"""The inputs of the written rules, put together from records: what a rule may know of a promotion and of self-edits."""

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass

from sealserve.canonical import Json
from sealserve.records.cycles import SelfEdit
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionRequest:
    """Who wants to promote which version, and on what grounds."""

    tenant: str
    actor: str
    trigger: str  # "cycle" or "person"
    author: str  # who started the cycle
    authors: Sequence[str]  # everybody behind the cycle and its documents
    cycle: str
    parent: int  # version
    verdict: Json
    scores: Json  # a scorecard's JSON
    anomalies: Json  # of the adapter's weights; empty if nobody probed them
    edits: Sequence[SelfEdit]
    documents: Sequence[Json]  # id and source of each
    released: Set[str] = frozenset()  # documents that a person let in
    approvals: Sequence[str] = ()
    is_imported: bool = False


def promotion_input(request: PromotionRequest) -> Json:
    """Return the input of `adapter.promote`. A score that does not apply is left out; an unmeasured score has no n."""
    verdict = request.verdict
    return {
        "tenant": {"id": request.tenant},
        "actor": request.actor,
        "author": request.author,
        "authors": list(request.authors),
        "trigger": request.trigger,
        "version": {"parent": request.parent, "cycle": request.cycle, "is_imported": request.is_imported},
        "verdict": {"decision": str(verdict.get("decision", "")), "policy": str(verdict.get("policy", ""))},
        "scores": [_score(name, tree) for name, tree in request.scores.items() if _is_score(tree)],
        "edits": edit_counts(request.edits, request.documents, released=request.released),
        "adapter": _anomalies(request.anomalies),
        "documents": list(request.documents),
        "approvals": list(request.approvals),
    }


def edit_counts(edits: Sequence[SelfEdit], documents: Sequence[Json], *, released: Set[str] = frozenset()) -> Json:
    """Return how many self-edits there are, whose they are, and what the admitted ones hold.

    What those of `released` documents hold a person has let in. `largest_share` is that of the document that gave most,
    `largest_origin` the number of the origin that gave most.
    """
    admitted = [edit for edit in edits if edit.admitted]
    why = Counter(edit.reason for edit in edits if not edit.admitted)
    counts = {**_NO_EDITS, "dropped": why.total(), "contested": why["contested"], "refused": why["finding"]}
    if not admitted:
        return counts
    by_document = Counter(edit.document for edit in admitted)
    sources = {str(one["id"]): origin_of(str(one["source"])) for one in documents}
    by_origin = Counter(sources.get(edit.document, "") for edit in admitted)
    held = [findings_in(edit.text) for edit in admitted if edit.document not in released]
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


def _is_score(tree: object) -> bool:
    """Whether a value of a scorecard is a comparison; the open-book share and what does not apply are none."""
    return isinstance(tree, dict) and "because" not in tree


def _score(name: str, tree: Json) -> Json:
    if "why" in tree:
        return {"name": name, "is_measured": False}
    numbers = {field: tree[field] for field in ("n", "gain", "gain_low", "gain_high")}
    return {"name": name, "is_measured": True, **numbers}


def _anomalies(anomalies: Json) -> Json:
    """Return the anomalies of the adapter's weights; all numbers are 0 if nobody probed it."""
    gap = anomalies.get("trigger_gap")
    return {
        "is_probed": gap is not None,
        "trigger_gap": gap or 0.0,
        "spectrum_z": anomalies.get("spectrum_z", 0.0),
        "history": anomalies.get("history", 0),
    }
