"""Calls of DocumentService: add, list, read, release and forget documents."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sealserve.client.calls.core import PACKAGE, PAGE_SIZE, Call, call, check_size, new_request_id, page
from sealserve.errors import InvalidArgument, SealserveError
from sealserve.records.documents import Document, DocumentState, Unlearned
from sealserve.records.pages import Page
from sealserve.v1 import document_pb2
from sealserve.wire import documents, names
from sealserve.wire.engine import check_text
from sealserve.wire.statuses import from_status


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDocument:
    """A document to hand in: text, or bytes in the format of `media_type`."""

    body: str | bytes
    title: str = ""
    media_type: str = ""
    source: str = ""


ENVELOPE_BYTES = 2**15
"""Room in a message for what surrounds a document's content: its title, source, names."""

MAX_FILE_BYTES = 32 * 2**20
"""The server's default limit (intake.max_file_bytes)."""

STREAM_DOCUMENTS: Mapping[str, Any] = {
    "method": f"/{PACKAGE}.DocumentService/StreamDocuments",
    "request_serializer": document_pb2.StreamDocumentsRequest.SerializeToString,
    "response_deserializer": document_pb2.StreamDocumentsResponse.FromString,
}


def add_document(tenant: str, new: NewDocument) -> Call[tuple[Document, bool]]:
    """Take a document in; the answer is (document, whether it is new)."""
    request = _add_request(tenant, new)
    return call("DocumentService/AddDocument", request, document_pb2.AddDocumentResponse, _read_added)


def is_one_message(new: NewDocument, *, max_bytes: int) -> bool:
    """Whether the document fits a message of `max_bytes`; a larger one is streamed in pieces."""
    return len(_body(new)) + ENVELOPE_BYTES <= max_bytes


def stream_documents(
    tenant: str, documents: Iterable[NewDocument], *, max_bytes: int, max_file_bytes: int
) -> Iterator[document_pb2.StreamDocumentsRequest]:
    """Take many in. Raises: InvalidArgument (TOO_LARGE) when one comes that cannot be sent."""
    for new in documents:
        check_file_size(new, max_file_bytes=max_file_bytes)
        whole = document_pb2.StreamDocumentsRequest(document=_add_request(tenant, new))
        if whole.ByteSize() <= max_bytes:
            yield whole
        else:
            yield from _pieces(whole, new, most=max(1, max_bytes - ENVELOPE_BYTES))


def check_file_size(new: NewDocument, *, max_file_bytes: int) -> None:
    """Return if the document may be sent. Raises: InvalidArgument (TOO_LARGE), before a byte is sent."""
    size = len(_body(new))
    if size > max_file_bytes:
        text = f"the document has {size} bytes, of {max_file_bytes} at most (intake.max_file_bytes); split it"
        raise InvalidArgument(text, field="content", reason="TOO_LARGE")


def _pieces(
    whole: document_pb2.StreamDocumentsRequest, new: NewDocument, *, most: int
) -> Iterator[document_pb2.StreamDocumentsRequest]:
    body = _body(new)
    for start in range(0, len(body), most):
        piece = document_pb2.AddDocumentRequest() if start else whole.document
        piece.content = body[start : start + most]
        check_size(piece, max_bytes=most + ENVELOPE_BYTES)
        yield document_pb2.StreamDocumentsRequest(document=piece, has_more=start + most < len(body))


def read_outcome(wire: document_pb2.StreamDocumentsResponse) -> tuple[Document, bool] | SealserveError:
    """Return what became of one of many."""
    return from_status(wire.error) if wire.HasField("error") else _read_added(wire.added)


def _body(new: NewDocument) -> bytes:
    return new.body.encode(errors="replace") if isinstance(new.body, str) else new.body


def _add_request(tenant: str, new: NewDocument) -> document_pb2.AddDocumentRequest:
    check_text(new.title, field="title")
    check_text(new.source, field="source")
    request = document_pb2.AddDocumentRequest(
        parent=names.tenant_name(tenant),
        title=new.title,
        media_type=new.media_type,
        source=new.source,
        request_id=new_request_id(),
    )
    if isinstance(new.body, str):
        check_text(new.body, field="text")
        request.text = new.body
    else:
        request.content = new.body
    return request


def _read_added(wire: document_pb2.AddDocumentResponse) -> tuple[Document, bool]:
    return documents.document_from_wire(wire.document), not wire.already_known


def document(tenant: str, document: str) -> Call[Document]:
    """Ask for one document."""
    request = document_pb2.GetDocumentRequest(name=names.document_name(tenant, document))
    return call("DocumentService/GetDocument", request, document_pb2.Document, documents.document_from_wire)


def document_text(tenant: str, document: str) -> Call[str]:
    """Ask for a document's text."""
    request = document_pb2.GetDocumentRequest(name=names.document_name(tenant, document), include_text=True)
    return call("DocumentService/GetDocument", request, document_pb2.Document, lambda wire: str(wire.text))


def list_documents(tenant: str, *, state: DocumentState | None, page_token: str) -> Call[Page[Document]]:
    """Ask for a page of documents."""
    request = document_pb2.ListDocumentsRequest(
        parent=names.tenant_name(tenant),
        page_size=PAGE_SIZE,
        page_token=page_token,
        state=documents.document_state_to_wire(state),
    )
    read = page("documents", documents.document_from_wire)
    return call("DocumentService/ListDocuments", request, document_pb2.ListDocumentsResponse, read)


def release_document(tenant: str, document: str, *, reason: str, request_id: str) -> Call[Document]:
    """Let a held document be learned."""
    request = document_pb2.ReleaseDocumentRequest(
        name=names.document_name(tenant, document), reason=reason, request_id=request_id or new_request_id()
    )
    return call("DocumentService/ReleaseDocument", request, document_pb2.Document, documents.document_from_wire)


def forget_document(tenant: str, document: str, *, reason: str, request_id: str) -> Call[Unlearned]:
    """Forget a document and all that was made of it."""
    request = document_pb2.ForgetDocumentRequest(
        name=names.document_name(tenant, document), reason=reason, request_id=request_id or new_request_id()
    )
    response = document_pb2.ForgetDocumentResponse
    return call("DocumentService/ForgetDocument", request, response, documents.forgotten_from_wire)
