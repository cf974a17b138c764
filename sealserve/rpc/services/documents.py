"""DocumentService. What a document may be is the inbox's to say; here only the wire's shape is checked."""

import asyncio
import contextvars
import math
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sealserve.errors import DeadlineExceeded, InvalidArgument, SealserveError
from sealserve.intake.inbox import Inbox
from sealserve.policy.enforcement import PolicyEnforcer
from sealserve.registry.registry import Registry
from sealserve.rpc.budget import CURRENT_SHARE
from sealserve.rpc.call_context import actor
from sealserve.rpc.page_tokens import page_size_of
from sealserve.rpc.unlearning_probe import UnlearningProbe
from sealserve.serving.admission import Admission
from sealserve.v1 import document_pb2, document_pb2_grpc
from sealserve.wire import names
from sealserve.wire.documents import document_state_from_wire, document_to_wire, forgotten_to_wire
from sealserve.wire.statuses import to_status

SOURCE = "rpc"
DEFAULT_MEDIA_TYPE = "text/plain"
READERS = 4
"""Documents read at once. In threads of their own: a slow PDF must not keep other calls from the registry, and one
tenant's slow PDFs hold no more than half of them."""

READERS_OF_TENANT = 2
MOST_WAITING = 256
MOST_WAITING_OF_TENANT = 64
"""For a reader; those of a stream wait one by one."""


class DocumentService(document_pb2_grpc.DocumentServiceServicer):
    """Takes documents in and says what became of them."""

    def __init__(
        self,
        registry: Registry,
        inbox: Inbox,
        *,
        enforcer: PolicyEnforcer,
        probe: UnlearningProbe | None = None,
        idle_seconds: float = math.inf,
    ) -> None:
        """`enforcer` decides who may release a held document; `probe` tests whether an unlearned one is still known.

        A stream that brings no document for `idle_seconds` is ended.
        """
        self._idle_seconds = idle_seconds
        self._registry = registry
        self._probe = probe
        self._enforcer = enforcer
        self._inbox = inbox
        self._readers = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="intake")
        self._turns = Admission(
            max_running=READERS,
            max_running_per_tenant=READERS_OF_TENANT,
            max_queued=MOST_WAITING,
            max_queued_per_tenant=MOST_WAITING_OF_TENANT,
        )

    async def AddDocument(
        self, request: document_pb2.AddDocumentRequest, context: Any
    ) -> document_pb2.AddDocumentResponse:
        """Raises: InvalidArgument, NotFound, QuotaExceeded, StorageFailed."""
        return await self._added(request)

    async def StreamDocuments(
        self, requests: AsyncIterator[document_pb2.StreamDocumentsRequest], context: Any
    ) -> AsyncIterator[document_pb2.StreamDocumentsResponse]:
        """Answer each before the next is read: the sender is held back, nothing piles up.

        Raises: DeadlineExceeded (STREAM_IDLE), InvalidArgument (INCOMPLETE: the stream ended within a document).
        """
        index = 0
        while (first := await self._next(requests)) is not None:
            await CURRENT_SHARE.get().take_write()
            response = document_pb2.StreamDocumentsResponse(index=index)
            try:
                response.added.CopyFrom(await self._added(await self._joined(first, requests)))
            except SealserveError as error:
                response.error.CopyFrom(to_status(error, request_id=first.document.request_id))
            yield response
            index += 1

    async def GetDocument(self, request: document_pb2.GetDocumentRequest, context: Any) -> document_pb2.Document:
        """Raises: InvalidArgument, NotFound, CorruptArtifact."""
        tenant, document = names.document_of(request.name)
        found = await asyncio.to_thread(self._registry.documents.get, tenant, document)
        if not request.include_text:
            return document_to_wire(found)
        text = await asyncio.to_thread(self._registry.documents.text, tenant, document)
        return document_to_wire(found, text=text)

    async def ReleaseDocument(
        self, request: document_pb2.ReleaseDocumentRequest, context: Any
    ) -> document_pb2.Document:
        """Raises: InvalidArgument, NotFound, PermissionDenied (not this person), FailedPrecondition (nothing holds it),
        StorageFailed.
        """
        tenant, document = names.document_of(request.name)
        await asyncio.to_thread(self._enforcer.require_release, tenant, document, actor=actor())
        released = await asyncio.to_thread(
            self._registry.documents.release,
            tenant,
            document,
            actor=actor(),
            reason=request.reason,
            request_id=request.request_id,
        )
        return document_to_wire(released)

    async def ForgetDocument(
        self, request: document_pb2.ForgetDocumentRequest, context: Any
    ) -> document_pb2.ForgetDocumentResponse:
        """Raises: InvalidArgument, NotFound, FailedPrecondition (forgotten already), StorageFailed."""
        tenant, document = names.document_of(request.name)
        items = await asyncio.to_thread(
            self._registry.unlearning.quiz_on, tenant, document
        )  # gone once it is forgotten
        done = await asyncio.to_thread(
            self._registry.unlearning.unlearn,
            tenant,
            document,
            actor=actor(),
            reason=request.reason,
            request_id=request.request_id,
        )
        if self._probe is not None:
            self._probe.begin(done, items)
        return forgotten_to_wire(done, await asyncio.to_thread(self._registry.documents.get, tenant, document))

    async def ListDocuments(
        self, request: document_pb2.ListDocumentsRequest, context: Any
    ) -> document_pb2.ListDocumentsResponse:
        """Raises: InvalidArgument, NotFound."""
        state = document_state_from_wire(request.state)
        if request.state and state is None:
            raise InvalidArgument(f"state {request.state} is not one this server knows", field="state")
        page = await asyncio.to_thread(
            self._registry.documents.page,
            names.tenant_of(request.parent),
            state=state,
            page_size=page_size_of(request.page_size),
            page_token=request.page_token,
        )
        return document_pb2.ListDocumentsResponse(
            documents=map(document_to_wire, page.items), next_page_token=page.next_page_token
        )

    async def _added(self, request: document_pb2.AddDocumentRequest) -> document_pb2.AddDocumentResponse:
        tenant, context = names.tenant_of(request.parent), contextvars.copy_context()
        async with self._turns.entered(tenant, deadline=math.inf):
            running = asyncio.get_running_loop().run_in_executor(self._readers, context.run, self._add, request)
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                await asyncio.wait({running})  # its thread is busy: the tenant keeps the place until it is not
                running.exception()  # nobody is left to be told
                raise

    async def _next(
        self, requests: AsyncIterator[document_pb2.StreamDocumentsRequest]
    ) -> document_pb2.StreamDocumentsRequest | None:
        try:
            async with asyncio.timeout(self._idle_seconds):
                return await anext(requests, None)
        except TimeoutError as error:
            text = f"no document came for {self._idle_seconds:g} s: the stream is ended; open another one"
            raise DeadlineExceeded(text, reason="STREAM_IDLE") from error

    async def _joined(
        self, first: document_pb2.StreamDocumentsRequest, requests: AsyncIterator[document_pb2.StreamDocumentsRequest]
    ) -> document_pb2.AddDocumentRequest:
        """Return the document that `first` begins, read to its last piece; what is above the limit is not kept.

        Raises: InvalidArgument (INCOMPLETE, TOO_LARGE), DeadlineExceeded (STREAM_IDLE).
        """
        if not first.has_more:
            return first.document
        content = bytearray(_content(first.document))
        size, has_more = len(content), True
        while has_more:
            piece = await self._next(requests)
            if piece is None:
                raise InvalidArgument("the stream ended within a document", field="content", reason="INCOMPLETE")
            await CURRENT_SHARE.get().take_write()
            content += piece.document.content
            size, has_more = size + len(piece.document.content), piece.has_more
            if size > self._inbox.max_file_bytes:
                content.clear()
        self._inbox.require_size(size)
        first.document.content = bytes(content)
        return first.document

    def _add(self, request: document_pb2.AddDocumentRequest) -> document_pb2.AddDocumentResponse:
        tenant = names.tenant_of(request.parent)
        if request.WhichOneof("body") is None:
            raise InvalidArgument("the document is missing: set text or content", field="text", reason="EMPTY")
        document, is_new = self._inbox.receive(
            tenant,
            _content(request),
            media_type=request.media_type or DEFAULT_MEDIA_TYPE,
            title=request.title,
            source=request.source or SOURCE,
            actor=actor(),
        )
        return document_pb2.AddDocumentResponse(document=document_to_wire(document), already_known=not is_new)


def _content(request: document_pb2.AddDocumentRequest) -> bytes:
    return request.text.encode() if request.HasField("text") else request.content
