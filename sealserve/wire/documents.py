"""Documents."""

from sealserve.records.documents import Document, DocumentState, Unlearned
from sealserve.v1 import document_pb2
from sealserve.wire import names
from sealserve.wire.enums import enum_from_wire, enum_to_wire
from sealserve.wire.values import time_from_wire, time_to_wire

_STATE = document_pb2.DESCRIPTOR.enum_types_by_name["DocumentState"]


def document_to_wire(document: Document, *, text: str | None = None) -> document_pb2.Document:
    """Return the whole of `document`, with its text if given."""
    return document_pb2.Document(
        name=names.document_name(document.tenant, document.document),
        digest=document.digest,
        title=document.title,
        source=document.source,
        media_type=document.media_type,
        size_bytes=document.size_bytes,
        state=document_state_to_wire(document.state),
        state_reason=document.reason,
        create_time=time_to_wire(document.created_at),
        text=text,
    )


def document_from_wire(wire: document_pb2.Document) -> Document:
    """Return the whole of `wire`, text left out."""
    tenant, document = names.document_of(wire.name)
    return Document(
        tenant=tenant,
        document=document,
        digest=wire.digest,
        title=wire.title,
        source=wire.source,
        media_type=wire.media_type,
        size_bytes=wire.size_bytes,
        state=document_state_from_wire(wire.state) or DocumentState.QUARANTINED,
        reason=wire.state_reason,
        created_at=time_from_wire(wire.create_time),
    )


def document_state_to_wire(state: DocumentState | None) -> document_pb2.DocumentState.ValueType:
    """None is "any"."""
    number: document_pb2.DocumentState.ValueType = enum_to_wire(state, _STATE)
    return number


def document_state_from_wire(number: document_pb2.DocumentState.ValueType) -> DocumentState | None:
    """None is "any"."""
    return enum_from_wire(number, DocumentState, descriptor=_STATE)


def forgotten_to_wire(done: Unlearned, document: Document) -> document_pb2.ForgetDocumentResponse:
    """Return what forgetting `document` did."""
    return document_pb2.ForgetDocumentResponse(
        document=document_to_wire(document),
        versions=done.versions,
        desired_version=done.desired_version,
        self_edit_count=done.self_edits,
        quiz_item_count=done.quiz_items,
        cycle=names.cycle_name(done.tenant, done.cycle) if done.cycle else "",
    )


def forgotten_from_wire(wire: document_pb2.ForgetDocumentResponse) -> Unlearned:
    """Return what forgetting did."""
    tenant, document = names.document_of(wire.document.name)
    return Unlearned(
        tenant=tenant,
        document=document,
        versions=tuple(wire.versions),
        desired_version=wire.desired_version,
        self_edits=wire.self_edit_count,
        quiz_items=wire.quiz_item_count,
        cycle=names.cycle_of(wire.cycle)[1] if wire.cycle else "",
    )
