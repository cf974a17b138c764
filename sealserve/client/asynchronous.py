"""The client for asyncio: the methods of `Client`, awaited. One event loop, the one of its first call."""

import contextlib
from collections.abc import AsyncGenerator, Iterable

from sealserve.client import calls, document_calls
from sealserve.client.canaries import AsyncCanaryMethods
from sealserve.client.document_calls import NewDocument
from sealserve.client.evidence import AsyncEvidenceMethods
from sealserve.client.people import AsyncPeopleMethods
from sealserve.client.watches import AsyncWatchMethods
from sealserve.errors import SealserveError
from sealserve.records.audit import AuditRow
from sealserve.records.cycles import SelfEdit
from sealserve.records.documents import Document, DocumentState, Unlearned
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.records.reports import AdapterReport, Answer, AnswerEvent, CycleReport, ServerInfo
from sealserve.records.tenants import Tenant
from sealserve.records.versions import Activation, AdapterVersion

Question = str | Iterable[ChatTurn]


class AsyncClient(AsyncEvidenceMethods, AsyncCanaryMethods, AsyncWatchMethods, AsyncPeopleMethods):
    """One connection to one server. Every method may raise any class of `sealserve.errors` that the server sent.

    Methods that return iterators fetch as they go; closing one early cancels its call.
    """

    # answers

    async def ask(
        self,
        tenant: str,
        question: Question,
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
        stop: tuple[str, ...] = (),
        request_id: str = "",
        min_activation: int = 0,
        sticky_key: str = "",
    ) -> Answer:
        """Return the answer of the tenant's active adapter to a question or a conversation.

        With `min_activation`, Unavailable is raised until the server answers with at least that activation. The same
        `sticky_key` gets the same version.
        """
        sampling = Sampling(max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed, stop=stop)
        return await self._unary(
            calls.generate(
                tenant,
                question,
                sampling=sampling,
                request_id=request_id,
                min_activation=min_activation,
                sticky_key=sticky_key,
            )
        )

    def stream(
        self,
        tenant: str,
        question: Question,
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
        stop: tuple[str, ...] = (),
        request_id: str = "",
        min_activation: int = 0,
        sticky_key: str = "",
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Return the answer as it is written: one Answering, Pieces, one Ended."""
        sampling = Sampling(max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed, stop=stop)
        given = {"request_id": request_id, "min_activation": min_activation, "sticky_key": sticky_key}
        call = calls.stream(tenant, question, sampling=sampling, **given)  # type: ignore[arg-type]
        return self._stream(call, timeout_seconds=self._timeout_seconds)

    async def count_tokens(self, tenant: str, question: Question) -> int:
        """Return how many prompt tokens the conversation takes."""
        return await self._unary(calls.count_tokens(tenant, question))

    async def engine_info(self) -> ServerInfo:
        """Return what model answers there and whether it can answer now."""
        return await self._unary(calls.server_info())

    # documents

    async def add_document(
        self, tenant: str, body: str | bytes, *, title: str = "", media_type: str = "", source: str = ""
    ) -> tuple[Document, bool]:
        """Hand a document in: text, or bytes of `media_type`. Return it, and whether it is new.

        A document that could not be read comes back QUARANTINED, with its reason.
        Raises: InvalidArgument (empty, or TOO_LARGE, found before anything is sent), NotFound (tenant).
        """
        new = NewDocument(body=body, title=title, media_type=media_type, source=source)
        return await self._unary(document_calls.add_document(tenant, new))

    def add_documents(
        self, tenant: str, documents: Iterable[NewDocument]
    ) -> AsyncGenerator[tuple[Document, bool] | SealserveError, None]:
        """Hand many in; one result for each, in order: (document, is new), or why that one was refused.

        Raises: InvalidArgument (TOO_LARGE) for one that cannot be sent at all; those before it are kept.
        """
        method = self._channel.stream_stream(**document_calls.STREAM_DOCUMENTS)
        requests = document_calls.stream_documents(tenant, documents, max_bytes=self._max_message_bytes)
        return self._read(method(iter(requests), metadata=self._shown), document_calls.read_outcome)

    async def document(self, tenant: str, document: str) -> Document:
        """Return one document."""
        return await self._unary(document_calls.document(tenant, document))

    async def document_text(self, tenant: str, document: str) -> str:
        """Return a document's text."""
        return await self._unary(document_calls.document_text(tenant, document))

    async def release_document(self, tenant: str, document: str, *, reason: str = "", request_id: str = "") -> Document:
        """Let a document be learned that policy holds.

        Raises: NotFound, FailedPrecondition (ALREADY_RELEASED; NOT_HELD: nothing holds it).
        """
        return await self._unary(
            document_calls.release_document(tenant, document, reason=reason, request_id=request_id)
        )

    async def forget_document(self, tenant: str, document: str, *, reason: str = "", request_id: str = "") -> Unlearned:
        """Delete a document and all that was made of it; versions that learned it never answer again.

        Until the cycle in the answer has taught the other documents once more, the last version that never saw the
        document answers. Raises: NotFound, FailedPrecondition (forgotten already).
        """
        return await self._unary(document_calls.forget_document(tenant, document, reason=reason, request_id=request_id))

    def documents(self, tenant: str, *, state: DocumentState | None = None) -> AsyncGenerator[Document, None]:
        """Return every document of the tenant, or those in `state`, oldest first."""
        return self._pages(lambda token: document_calls.list_documents(tenant, state=state, page_token=token))

    # cycles

    async def start_cycle(self, tenant: str, *, request_id: str = "") -> CycleReport:
        """Start learning the admitted documents. Raises: FailedPrecondition (none, or a cycle is open)."""
        return await self._unary(calls.start_cycle(tenant, request_id=request_id))

    async def cycle(self, tenant: str, cycle: str) -> CycleReport:
        """Return one cycle with steps, candidates, scores and verdict."""
        return await self._unary(calls.cycle(tenant, cycle))

    def cycles(self, tenant: str) -> AsyncGenerator[CycleReport, None]:
        """Return every cycle of the tenant, newest first, in short."""
        return self._pages(lambda token: calls.list_cycles(tenant, page_token=token))

    def watch_cycle(self, tenant: str, cycle: str) -> AsyncGenerator[CycleReport, None]:
        """Return the cycle now and after every change, until it ends."""
        return self._stream(calls.watch_cycle(tenant, cycle), timeout_seconds=None)

    def self_edits(self, tenant: str, cycle: str) -> AsyncGenerator[SelfEdit, None]:
        """Return what the model wrote for itself in a cycle, dropped ones included."""
        return self._pages(lambda token: calls.list_self_edits(tenant, cycle, page_token=token))

    # adapters

    def adapters(self, tenant: str) -> AsyncGenerator[AdapterVersion, None]:
        """Return every published version, newest first. Which one is active: `tenant(…).desired_version`."""
        return self._pages(lambda token: calls.list_adapters(tenant, page_token=token))

    async def adapter(self, tenant: str, version: int) -> AdapterVersion:
        """Return one version with its lineage; 0 is the base model."""
        return await self._unary(calls.adapter(tenant, version))

    async def promote(
        self, tenant: str, version: int, *, etag: str = "", reason: str = "", request_id: str = ""
    ) -> Activation:
        """Make a version the one that answers. Raises: Conflict (etag), FailedPrecondition."""
        return await self._unary(calls.promote(tenant, version, etag=etag, reason=reason, request_id=request_id))

    async def rollback(
        self, tenant: str, *, to_version: int | None = None, etag: str = "", reason: str = "", request_id: str = ""
    ) -> Activation:
        """Go back to the version before, or to `to_version`. Raises: Conflict (etag), FailedPrecondition."""
        return await self._unary(
            calls.rollback(tenant, to_version=to_version, etag=etag, reason=reason, request_id=request_id)
        )

    def activations(self, tenant: str) -> AsyncGenerator[Activation, None]:
        """Return every move of the tenant's pointer, newest first."""
        return self._pages(lambda token: calls.list_activations(tenant, page_token=token))

    def watch_adapters(
        self, tenant: str, *, timeout_seconds: float | None = None
    ) -> AsyncGenerator[AdapterReport, None]:
        """Return what is desired and what each replica answers with: now and after every change."""
        return self._stream(calls.watch_adapters(tenant), timeout_seconds=timeout_seconds)

    async def wait_until_observed(self, tenant: str, activation: int, *, timeout_seconds: float = 60) -> AdapterReport:
        """Return once every replica answers with at least `activation`. Raises: DeadlineExceeded."""
        async with contextlib.aclosing(self.watch_adapters(tenant, timeout_seconds=timeout_seconds)) as reports:
            return await anext(report async for report in reports if report.has_reached(activation))

    # tenants and the audit trail

    async def create_tenant(self, tenant: str, *, display_name: str = "", request_id: str = "") -> Tenant:
        """Make a tenant. Raises: AlreadyExists, InvalidArgument (its name)."""
        return await self._unary(calls.create_tenant(tenant, display_name=display_name, request_id=request_id))

    async def tenant(self, tenant: str) -> Tenant:
        """Return one tenant, with its etag."""
        return await self._unary(calls.tenant(tenant))

    def tenants(self) -> AsyncGenerator[Tenant, None]:
        """Return every tenant."""
        return self._pages(lambda token: calls.list_tenants(page_token=token))

    def audit(self, tenant: str | None = None) -> AsyncGenerator[AuditRow, None]:
        """Return the audit trail of a tenant, or of all."""
        return self._pages(lambda token: calls.list_audit_rows(tenant, page_token=token))

    async def verify_audit(self) -> int:
        """Return how many rows the audit chain has. Raises: CorruptArtifact (it is broken, and where)."""
        return await self._unary(calls.verify_audit())
