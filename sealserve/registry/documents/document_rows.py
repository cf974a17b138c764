"""Rows of documents: adding, finding and moving them between states. Contents are in the artifact store.

Identity is the digest of title and normalised text, so the same article is kept once.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Row, and_, func, select, update

from sealserve.errors import NotFound, QuotaExceeded
from sealserve.records.documents import Document, DocumentState, NewDocument, id_of
from sealserve.records.pages import Page
from sealserve.registry import audit, state_machine, tenants
from sealserve.registry.sql import paging
from sealserve.registry.sql.database import Transaction
from sealserve.registry.sql.tables import audit as audit_table
from sealserve.registry.sql.tables import cycle_documents, documents, version_documents

_FULL_RETRY_SECONDS = 3600.0


_BATCH = 500  # names in one statement: databases bound the number of parameters


def add(
    tx: Transaction,
    tenant: str,
    *,
    offered: NewDocument,
    contents: str,
    actor: str,
    readmit: bool,
) -> tuple[Document, bool]:
    """Store the document, whose bytes are the artifact `contents`; return it and whether anything changed.

    With `readmit`, a document that is stored already may move back to ADMITTED. Raises: NotFound (tenant).
    """
    tenants.get(tx, tenant)
    name = id_of(offered.digest)
    present = tx.row(_select_one(tenant, name))
    if present is not None:
        return _readmit(tx, _record(present), offered=offered, contents=contents, actor=actor, readmit=readmit)
    tx.insert(
        documents,
        [
            {
                "tenant": tenant,
                "document": name,
                "digest": offered.digest,
                "contents": contents,
                "title": offered.title,
                "source": offered.source,
                "media_type": offered.media_type,
                "size_bytes": len(offered.data),
                "state": offered.state,
                "reason": offered.reason,
                "created_at": tx.now,
            }
        ],
    )
    action = "document.admit" if offered.state is DocumentState.ADMITTED else "document.quarantine"
    audit.append(
        tx,
        action,
        actor=actor,
        tenant=tenant,
        subject=resource(tenant, name),
        details={"digest": offered.digest, "size_bytes": len(offered.data)},
    )
    return get(tx, tenant, name), True


def require_room(
    tx: Transaction, tenant: str, offered: NewDocument, *, max_documents: int | None, max_bytes: int
) -> None:
    """Return if the tenant may keep another document, or has this one. Raises: QuotaExceeded."""
    if tx.row(_select_one(tenant, id_of(offered.digest))) is not None:
        return
    own = documents.c.tenant == tenant
    kept = tx.row(select(func.count().label("n")).select_from(documents).where(own))
    size = select(func.coalesce(func.sum(documents.c.size_bytes), 0).label("size"))
    stored = tx.row(size.where(own, documents.c.state != DocumentState.FORGOTTEN))
    assert kept is not None
    assert stored is not None
    text = ""
    if max_documents is not None and kept.n >= max_documents:
        text = f"tenant {tenant} has {kept.n} documents and may have no more; ask the operator to raise "
        text += "intake.max_documents_per_tenant"
    elif stored.size + len(offered.data) > max_bytes:
        text = f"tenant {tenant} keeps {stored.size} bytes of documents, of {max_bytes} at most; unlearn some, or ask "
        text += "the operator to raise limits.document_bytes"
    if text:
        raise QuotaExceeded(text, retry_seconds=_FULL_RETRY_SECONDS, subject=f"tenants/{tenant}")


def get(tx: Transaction, tenant: str, document: str) -> Document:
    """Return the document. Raises: NotFound (tenant or document)."""
    return _record(_row(tx, tenant, document))


def contents(tx: Transaction, tenant: str, document: str) -> str:
    """Return the artifact digest of the document's text. Raises: NotFound."""
    return str(_row(tx, tenant, document).contents)


def pages(
    tx: Transaction, tenant: str, *, state: DocumentState | None, page_size: int, page_token: str
) -> Page[Document]:
    """Return the tenant's documents in order of arrival. Raises: NotFound (tenant), InvalidArgument."""
    tenants.get(tx, tenant)
    query = select(documents).where(documents.c.tenant == tenant)
    if state is not None:
        query = query.where(documents.c.state == state)
    return paging.page(
        tx,
        query,
        key=documents.c.sequence,
        scope=f"{tenant}/documents/{state or ''}",
        page_size=page_size,
        page_token=page_token,
        convert=_record,
    )


def counts(tx: Transaction) -> dict[DocumentState, int]:
    """Return how many documents are in each state, over all tenants."""
    query = select(documents.c.state, func.count().label("held")).group_by(documents.c.state)
    found = {DocumentState(row.state): int(row.held) for row in tx.rows(query)}
    return {state: found.get(state, 0) for state in DocumentState}


def oldest_admitted(tx: Transaction, tenant: str, *, limit: int) -> tuple[str, ...]:
    """Return the ids of the documents that have waited longest for a cycle."""
    query = select(documents.c.document).where(
        documents.c.tenant == tenant, documents.c.state == DocumentState.ADMITTED
    )
    return tuple(row.document for row in tx.rows(query.order_by(documents.c.sequence).limit(limit)))


def waiting_from(tx: Transaction, tenant: str, source: str, *, besides: str) -> tuple[str, ...]:
    """Return the ids of the documents of that source, but one, that wait for a cycle."""
    waiting = documents.c.state == DocumentState.ADMITTED
    query = select(documents.c.document).where(documents.c.tenant == tenant, waiting, documents.c.source == source)
    return tuple(row.document for row in tx.rows(query.where(documents.c.document != besides)))


def tenants_with_admitted(tx: Transaction, *, min_bytes: int) -> tuple[str, ...]:
    """Return the tenants that have documents of `min_bytes` together waiting for a cycle, by name."""
    query = (
        select(documents.c.tenant)
        .where(documents.c.state == DocumentState.ADMITTED)
        .group_by(documents.c.tenant)
        .having(func.sum(documents.c.size_bytes) >= min_bytes)
    )
    return tuple(row.tenant for row in tx.rows(query.order_by(documents.c.tenant)))


def explain_waiting(tx: Transaction, *, min_bytes: int, reason: str) -> None:
    """Give `reason` to admitted documents without one, of tenants whose admitted ones have less than `min_bytes`."""
    enough = tenants_with_admitted(tx, min_bytes=min_bytes)
    waiting = documents.c.state == DocumentState.ADMITTED, documents.c.reason == ""
    few = set(tenants_with_admitted(tx, min_bytes=0)) - set(enough)
    for tenant in few:
        tx.run(update(documents).where(documents.c.tenant == tenant, *waiting).values(reason=reason))


def claimed_by(tx: Transaction, cycle: str) -> tuple[Document, ...]:
    """Return the documents that the cycle claimed, oldest first."""
    query = select(documents).join(
        cycle_documents,
        and_(cycle_documents.c.tenant == documents.c.tenant, cycle_documents.c.document == documents.c.document),
    )
    query = query.where(cycle_documents.c.cycle == cycle).order_by(cycle_documents.c.position)
    return tuple(map(_record, tx.rows(query)))


def held_in(tx: Transaction, tenant: str, version: int, *, states: Collection[DocumentState]) -> tuple[str, ...]:
    """Return the documents that the version contains and that are in one of `states`."""
    held = version_documents
    query = (
        select(documents.c.document)
        .join(held, and_(held.c.tenant == documents.c.tenant, held.c.document == documents.c.document))
        .where(held.c.tenant == tenant, held.c.version == version, documents.c.state.in_(states))
    )
    return tuple(row.document for row in tx.rows(query.order_by(held.c.position)))


def require_all(tx: Transaction, tenant: str, names: Sequence[str]) -> None:
    """Return if every document is the tenant's. Raises: NotFound, naming the first that is not."""
    found = {row.document for row in _select_states(tx, tenant, names)}
    for name in names:
        if name not in found:
            raise NotFound(resource(tenant, name), kind="document")


def move(tx: Transaction, tenant: str, names: Sequence[str], *, to: DocumentState, reason: str) -> None:
    """Move documents of one tenant to `to`. Raises: FailedPrecondition if one may not make that move."""
    for row in _select_states(tx, tenant, names):
        state_machine.require_document_move(DocumentState(row.state), to)
    for some in _batches(names):
        own = documents.c.tenant == tenant, documents.c.document.in_(some)
        tx.run(update(documents).where(*own).values(state=to, reason=reason))


def released(tx: Transaction, tenant: str, names: Iterable[str]) -> frozenset[str]:
    """Return those of the documents that a person has released at any time."""
    by_subject = {resource(tenant, name): name for name in names}
    subjects = list(by_subject)
    return frozenset(
        by_subject[row.subject]
        for some in _batches(subjects)
        for row in tx.rows(
            select(audit_table.c.subject).where(
                audit_table.c.tenant == tenant,
                audit_table.c.subject.in_(some),
                audit_table.c.action == "document.release",
            )
        )
    )


def resource(tenant: str, document: str) -> str:
    """Return the document's resource name."""
    return f"tenants/{tenant}/documents/{document}"


def _readmit(
    tx: Transaction, present: Document, *, offered: NewDocument, contents: str, actor: str, readmit: bool
) -> tuple[Document, bool]:
    is_wanted = readmit and offered.state is DocumentState.ADMITTED and present.state in state_machine.READMISSIBLE
    if not is_wanted:
        return present, False
    labels = {"title": offered.title, "source": offered.source} if present.state is DocumentState.FORGOTTEN else {}
    tx.run(
        update(documents)
        .where(documents.c.tenant == present.tenant, documents.c.document == present.document)
        .values(contents=contents, **labels)
    )
    move(tx, present.tenant, [present.document], to=DocumentState.ADMITTED, reason=offered.reason)
    audit.append(
        tx,
        "document.readmit",
        actor=actor,
        tenant=present.tenant,
        subject=resource(present.tenant, present.document),
        details={"was": present.state},
    )
    return get(tx, present.tenant, present.document), True


def _select_states(tx: Transaction, tenant: str, names: Sequence[str]) -> Iterator[Row[Any]]:
    for some in _batches(names):
        own = documents.c.tenant == tenant, documents.c.document.in_(some)
        yield from tx.rows(select(documents.c.document, documents.c.state).where(*own))


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _BATCH] for start in range(0, len(names), _BATCH))


def _select_one(tenant: str, document: str) -> Any:
    return select(documents).where(documents.c.tenant == tenant, documents.c.document == document)


def _row(tx: Transaction, tenant: str, document: str) -> Row[Any]:
    tenants.get(tx, tenant)
    row = tx.row(_select_one(tenant, document))
    if row is None:
        raise NotFound(resource(tenant, document), kind="document")
    return row


def _record(row: Row[Any]) -> Document:
    return Document(
        tenant=row.tenant,
        document=row.document,
        digest=row.digest,
        title=row.title,
        source=row.source,
        media_type=row.media_type,
        size_bytes=row.size_bytes,
        state=DocumentState(row.state),
        reason=row.reason,
        created_at=row.created_at,
    )
