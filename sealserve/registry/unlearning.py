"""Unlearning a document: its text and everything made of it goes, and every version that learned it.

One transaction moves the pointer to the last version that never saw it, deletes the rows and opens the cycle that
teaches the rest; files follow once it is committed, and a call that was cut off there is finished by the same call.
What stays: the document's id and digest, the audit row that certifies all this, and earlier audit rows, which no one
can change: of a document that was refused they name the source.
"""

from typing import Any

from sqlalchemy import delete, select, update

from sealserve import fault_injection
from sealserve.canonical import Json
from sealserve.errors import FailedPrecondition
from sealserve.records.cycles import FORGET_TRIGGER, QuizItem, Split
from sealserve.records.documents import Document, DocumentState, Unlearned
from sealserve.records.validation import require_short
from sealserve.records.versions import BASE_VERSION
from sealserve.registry import audit, journal, tenants
from sealserve.registry.artifacts.artifact_gc import ArtifactGc, touched
from sealserve.registry.artifacts.artifact_store import ArtifactStore
from sealserve.registry.cycles import cycle_rows
from sealserve.registry.documents import document_rows as documents
from sealserve.registry.sql import request_ids
from sealserve.registry.sql import tables as t
from sealserve.registry.sql.database import Database, Transaction
from sealserve.registry.versions import activations, version_rows

_ACTION = "document.forget"
_UNNAMED = frozenset({"directives", "remarks"})
"""What the steps of a cycle that claimed the document say without naming it."""


class Unlearning:
    """Unlearning a document, and the certificate of it."""

    def __init__(self, database: Database, artifacts: ArtifactStore) -> None:
        self._database = database
        self._artifacts = artifacts

    def unlearn(self, tenant: str, document: str, *, actor: str, reason: str, request_id: str = "") -> Unlearned:
        """Unlearn the document; an open cycle of the tenant ends, its other documents wait for the next one.

        The same request_id again returns the first answer. Raises: NotFound, InvalidArgument,
        FailedPrecondition (forgotten already).
        """
        ArtifactGc(self._database, self._artifacts).sweep_unlearned(tenant)  # what an earlier call may have left
        with self._database.write() as tx:
            done = _forget(tx, tenant, document, actor=actor, reason=reason, request_id=request_id)
            fault_injection.point("registry.unlearning.unlearn.before_commit")
        fault_injection.point("registry.unlearning.unlearn.after_commit")
        ArtifactGc(self._database, self._artifacts).sweep_unlearned(tenant)
        return done

    def quiz_on(self, tenant: str, document: str) -> tuple[QuizItem, ...]:
        """Return what any cycle asked about the document, each question once. Raises: NotFound (document)."""
        with self._database.read() as tx:
            documents.get(tx, tenant, document)
            query = select(t.quiz).where(t.quiz.c.tenant == tenant, t.quiz.c.document == document)
            rows = {row.question: row for row in tx.rows(query.order_by(t.quiz.c.sequence))}
        return tuple(
            QuizItem(question=row.question, answer=row.answer, document=document, split=Split(row.split), fact=row.fact)
            for row in rows.values()
        )

    def certify_probe(self, done: Unlearned, *, version: int, n: int, right: int, base_right: int) -> None:
        """Record in the audit trail that `version` and the base answered `n` questions on the unlearned document."""
        counts = {"n": n, "right": right, "base_right": base_right, "above_base": (right - base_right) / n}
        self._tell_of_probe(done, "document.forget.probe", {"version": version, **counts})

    def certify_no_probe(self, done: Unlearned, *, version: int, because: str) -> None:
        """Record in the audit trail that `version` could not be asked about the unlearned document."""
        self._tell_of_probe(done, "document.forget.unprobed", {"version": version, "because": because})

    def _tell_of_probe(self, done: Unlearned, action: str, details: Json) -> None:
        subject = documents.resource(done.tenant, done.document)
        with self._database.write() as tx:
            audit.append(tx, action, actor="probe", tenant=done.tenant, subject=subject, details=details)


def _forget(tx: Transaction, tenant: str, document: str, *, actor: str, reason: str, request_id: str) -> Unlearned:
    require_short(reason, field="reason")
    present = documents.get(tx, tenant, document)
    arguments = {"document": document, "reason": reason}
    request: dict[str, Any] = {"tenant": tenant, "request_id": request_id, "arguments": arguments}
    if earlier := request_ids.earlier_answer(tx, "forget_document", **request):
        return _certificate(tx, tenant, document, sequence=int(earlier))
    if present.state is DocumentState.FORGOTTEN:
        raise FailedPrecondition(f"{documents.resource(tenant, document)} is unlearned already", reason="FORGOTTEN")
    journal.end_open(tx, tenant, actor=actor, reason="a document of this tenant was unlearned while the cycle ran")
    was_desired = tenants.get(tx, tenant).desired_version
    revoked = _revoke_versions(tx, tenant, document, actor=actor)
    documents.move(tx, tenant, [document], to=DocumentState.FORGOTTEN, reason=reason)
    notes, items = _delete_rows(tx, tenant, document)
    _redact_rulings(tx, present)
    own = t.documents.c.tenant == tenant, t.documents.c.document == document
    tx.run(update(t.documents).where(*own).values(title="", source="", size_bytes=0))
    done = Unlearned(
        tenant=tenant,
        document=document,
        versions=revoked,
        desired_version=tenants.get(tx, tenant).desired_version,
        self_edits=notes,
        quiz_items=items,
        cycle=_teach_the_rest(tx, tenant, document, left=was_desired, actor=actor),
    )
    _certify(tx, done, digest=present.digest, actor=actor, reason=reason)
    request_ids.remember(tx, "forget_document", **request, answer=str(audit.head(tx)[0]))
    return done


def _revoke_versions(tx: Transaction, tenant: str, document: str, *, actor: str) -> tuple[int, ...]:
    """Quarantine every version that learned the document; only then move the pointer, past all of them."""
    held = t.version_documents
    query = select(held.c.version).where(held.c.tenant == tenant, held.c.document == document)
    found = tuple(int(row.version) for row in tx.rows(query.order_by(held.c.version)))
    why = f"document {document} was forgotten"
    for version in found:
        version_rows.quarantine(tx, tenant, version, actor=actor, reason=why)
    desired = tenants.get(tx, tenant).desired_version
    if desired in found:
        activations.leave_quarantined(tx, tenant, desired, actor=actor, reason=why)
    return found


def _delete_rows(tx: Transaction, tenant: str, document: str) -> tuple[int, int]:
    """Delete self-edits and quiz items of the document, and what the tenant's recorded steps contain of it."""
    notes = tx.run(delete(t.self_edits).where(t.self_edits.c.tenant == tenant, t.self_edits.c.document == document))
    items = tx.run(delete(t.quiz).where(t.quiz.c.tenant == tenant, t.quiz.c.document == document))
    about = t.subjects.c
    tx.run(delete(t.subjects).where(about.tenant == tenant, about.document == document))
    claimed = t.cycle_documents
    query = select(claimed.c.cycle).where(claimed.c.tenant == tenant, claimed.c.document == document)
    own = {row.cycle for row in tx.rows(query)}
    later = select(t.steps.c.sequence, t.steps.c.cycle, t.steps.c.output).where(t.steps.c.cycle.in_(touched(tenant)))
    for row in tx.rows(later):
        kept = _without(row.output, document, unnamed=_UNNAMED if row.cycle in own else frozenset())
        if kept != row.output:
            tx.run(update(t.steps).where(t.steps.c.sequence == row.sequence).values(output=kept))
    return notes, items


def _redact_rulings(tx: Transaction, present: Document) -> None:
    """Remove the document's title and source from the inputs of policy decisions; the decisions stay."""
    table = t.rulings
    for row in tx.rows(select(table).where(table.c.tenant == present.tenant)):
        given = dict(row.input)
        about: Json = given.get("document") or {}
        is_own = bool(about) and _is_about(about, present)
        if is_own:
            given["document"] = {**about, "title": "", "source": ""}
        held = [one for one in given.get("documents", []) if one.get("id") == present.document]
        if held:
            given["documents"] = [{**one, "source": ""} if one in held else one for one in given["documents"]]
        if is_own or held:
            subject = documents.resource(present.tenant, present.document) if is_own else row.subject
            tx.run(update(table).where(table.c.sequence == row.sequence).values(input=given, subject=subject))


def _is_about(about: Json, present: Document) -> bool:
    """Whether the input of a decision is about this document; where no id was kept, of one that is called the same."""
    if "id" in about:
        return bool(about["id"] == present.document)
    return (about.get("title"), about.get("source")) == (present.title, present.source)


def _teach_the_rest(tx: Transaction, tenant: str, document: str, *, left: int, actor: str) -> str:
    """Open a cycle for the documents that only the version left had, besides the one forgotten."""
    if left == BASE_VERSION or tenants.get(tx, tenant).desired_version == left:
        return ""
    rest = documents.held_in(tx, tenant, left, states=[DocumentState.WITHDRAWN])
    if not rest:
        return ""
    return cycle_rows.open_for(tx, tenant, rest, trigger=FORGET_TRIGGER, actor=actor).cycle


def _certify(tx: Transaction, done: Unlearned, *, digest: str, actor: str, reason: str) -> None:
    audit.append(
        tx,
        _ACTION,
        actor=actor,
        tenant=done.tenant,
        subject=documents.resource(done.tenant, done.document),
        details={
            "digest": digest,
            "reason": reason,
            "versions": list(done.versions),
            "desired_version": done.desired_version,
            "self_edits": done.self_edits,
            "quiz_items": done.quiz_items,
            "cycle": done.cycle,
        },
    )


def _certificate(tx: Transaction, tenant: str, document: str, *, sequence: int) -> Unlearned:
    details = audit.rows(tx, tenant=tenant, after=sequence - 1, limit=1)[0].details
    return Unlearned(
        tenant=tenant,
        document=document,
        versions=tuple(details["versions"]),
        desired_version=details["desired_version"],
        self_edits=details["self_edits"],
        quiz_items=details["quiz_items"],
        cycle=details["cycle"],
    )


def _without(tree: Any, document: str, *, unnamed: frozenset[str]) -> Any:
    """Return the JSON without what is marked as the document's; lists called one of `unnamed` are emptied."""
    if isinstance(tree, list):
        return [_without(one, document, unnamed=unnamed) for one in tree if not _is_of(one, document)]
    if isinstance(tree, dict):
        return {name: [] if name in unnamed else _without(one, document, unnamed=unnamed) for name, one in tree.items()}
    return tree


def _is_of(one: Any, document: str) -> bool:
    return isinstance(one, dict) and document in (one.get("document"), one.get("newer"))
