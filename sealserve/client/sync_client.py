# Generated from async_client.py by ops/clients. Do not edit.
"""The client: one method for each call of the API."""

import contextlib
from collections.abc import Generator, Iterable, Mapping
from typing import Unpack

from sealserve.client import calls
from sealserve.client.calls.documents import NewDocument
from sealserve.client.calls.inference import AskOptions, Question
from sealserve.client.sync_connection import Connection
from sealserve.errors import SealserveError
from sealserve.records.approvals import Approval, ApprovalState
from sealserve.records.audit import AuditRow
from sealserve.records.canary_suites import CanaryItem, CanaryResult, CanarySuite
from sealserve.records.cycles import SelfEdit
from sealserve.records.documents import Document, DocumentState, Unlearned
from sealserve.records.feedback import Feedback, Opinion, VersionFeedback
from sealserve.records.principals import Principal, Token
from sealserve.records.question_sets import EvaluationItem, EvaluationSet
from sealserve.records.reports import AdapterReport, Answer, AnswerEvent, CycleReport, Model, ServerInfo
from sealserve.records.rollouts import Traffic, WatchReport
from sealserve.records.sources import ItemState, NewSource, Source, SourceItem
from sealserve.records.tenants import Tenant
from sealserve.records.versions import Activation, AdapterVersion


class Client(Connection):
    """A connection to one server. Every method may raise any class of `sealserve.errors` that the server sends.

    Methods that return generators fetch as they go; closing a generator early cancels its call.
    """

    # answers

    def ask(self, tenant: str, question: Question, **options: Unpack[AskOptions]) -> Answer:
        """Return the answer of the tenant's active adapter to a question or a conversation.

        `max_tokens`, `temperature`, `top_p`, `seed` and `stop` are as usual. One of `choice`, `regex` and `json_schema`
        (an object as JSON text) holds the whole answer to that form; an answer that `max_tokens` cuts is the beginning
        of one. `sampling` stands for all of these, and for more: several answers, log probabilities, penalties.
        With `min_activation`, raises Unavailable until the server has reached at least that activation. Requests with
        the same `sticky_key` get the same version. With `version` that one answers (0: the base model), or the call
        fails.
        """
        return self._unary(calls.inference.generate(tenant, question, options))

    def stream(self, tenant: str, question: Question, **options: Unpack[AskOptions]) -> Generator[AnswerEvent, None]:
        """Return the answer as it is generated: one Answering, then Pieces, then one Ended. Arguments as for `ask`."""
        call = calls.inference.stream(tenant, question, options)
        return self._stream(call, timeout_seconds=self._timeout_seconds)

    def count_tokens(self, tenant: str, question: Question) -> int:
        """Return the number of prompt tokens of the conversation."""
        return self._unary(calls.inference.count_tokens(tenant, question))

    def models(self, tenant: str) -> tuple[Model, ...]:
        """Return what a request of the tenant can name: itself, its base model, its versions."""
        return self._unary(calls.inference.models(tenant))

    def engine_info(self) -> ServerInfo:
        """Return which model the server runs and whether it is ready."""
        return self._unary(calls.inference.server_info())

    # documents

    def add_document(
        self, tenant: str, body: str | bytes, *, title: str = "", media_type: str = "", source: str = ""
    ) -> tuple[Document, bool]:
        """Submit a document: text, or bytes of `media_type`. Return it, and whether it is new.

        A document that cannot be parsed comes back QUARANTINED, with the reason.
        Raises: InvalidArgument (empty, or TOO_LARGE, checked before anything is sent), NotFound (tenant).
        """
        new = NewDocument(body=body, title=title, media_type=media_type, source=source)
        calls.documents.check_file_size(new, max_file_bytes=self._max_file_bytes)
        if calls.documents.is_one_message(new, max_bytes=self._max_message_bytes):
            return self._unary(calls.documents.add_document(tenant, new))
        with contextlib.closing(self.add_documents(tenant, [new])) as outcomes:
            outcome = next(outcomes)
        if isinstance(outcome, SealserveError):
            raise outcome
        return outcome

    def add_documents(
        self, tenant: str, documents: Iterable[NewDocument]
    ) -> Generator[tuple[Document, bool] | SealserveError, None]:
        """Submit many documents over one stream; return one result each, in order.

        A result is (document, is new), or the error with which the document was refused. The server ends a stream after
        some 20 minutes (twice its `serve.max_connection_seconds`): submit what has no result yet over another one.
        Raises: InvalidArgument (TOO_LARGE) for a document that cannot be sent; those before it are kept.
        """
        method = self._channel.stream_stream(**calls.documents.STREAM_DOCUMENTS)
        requests = calls.documents.stream_documents(
            tenant, documents, max_bytes=self._max_message_bytes, max_file_bytes=self._max_file_bytes
        )
        return self._read(method(iter(requests), metadata=self._metadata), calls.documents.read_outcome)

    def document(self, tenant: str, document: str) -> Document:
        """Return one document. Raises: NotFound."""
        return self._unary(calls.documents.document(tenant, document))

    def document_text(self, tenant: str, document: str) -> str:
        """Return the text of a document. Raises: NotFound."""
        return self._unary(calls.documents.document_text(tenant, document))

    def release_document(self, tenant: str, document: str, *, reason: str = "", request_id: str = "") -> Document:
        """Allow a held document to be learned.

        Raises: NotFound, FailedPrecondition (ALREADY_RELEASED; NOT_HELD: the document is not held).
        """
        call = calls.documents.release_document(tenant, document, reason=reason, request_id=request_id)
        return self._unary(call)

    def forget_document(self, tenant: str, document: str, *, reason: str = "", request_id: str = "") -> Unlearned:
        """Delete a document and everything derived from it; versions trained on it never answer again.

        The newest version that never saw the document answers until the cycle named in the result has retrained
        the other documents. Raises: NotFound, FailedPrecondition (already forgotten).
        """
        call = calls.documents.forget_document(tenant, document, reason=reason, request_id=request_id)
        return self._unary(call)

    def documents(self, tenant: str, *, state: DocumentState | None = None) -> Generator[Document, None]:
        """Return every document of the tenant, or those in `state`, oldest first."""
        return self._pages(lambda token: calls.documents.list_documents(tenant, state=state, page_token=token))

    # sources

    def create_source(self, tenant: str, new: NewSource, *, request_id: str = "") -> Source:
        """Add a source of documents; its first sync begins soon.

        Raises: InvalidArgument, AlreadyExists (the name), QuotaExceeded.
        """
        return self._unary(calls.sources.create_source(tenant, new, request_id=request_id))

    def source(self, tenant: str, name: str) -> Source:
        """Return a source and how its last sync went."""
        return self._unary(calls.sources.source(tenant, name))

    def sources(self, tenant: str) -> Generator[Source, None]:
        """Return the tenant's sources, oldest first."""
        return self._pages(lambda token: calls.sources.list_sources(tenant, page_token=token))

    def test_source(self, tenant: str, name: str) -> tuple[int, tuple[str, ...], str]:
        """Return how many items the source has now, the first of their keys, and what is wrong; "" if nothing is."""
        return self._unary(calls.sources.test_source(tenant, name))

    def sync_source(self, tenant: str, name: str, *, accept_removals: bool = False) -> Source:
        """Have the next sync begin soon. With `accept_removals` it may forget however many items left the source."""
        return self._unary(calls.sources.sync_source(tenant, name, accept_removals=accept_removals))

    def delete_source(self, tenant: str, name: str) -> Source:
        """Remove a source; its documents stay."""
        return self._unary(calls.sources.delete_source(tenant, name))

    def source_items(self, tenant: str, name: str, *, state: ItemState | None = None) -> Generator[SourceItem, None]:
        """Return what became of each item of a source."""
        return self._pages(lambda token: calls.sources.list_source_items(tenant, name, state=state, page_token=token))

    # cycles

    def start_cycle(self, tenant: str, *, request_id: str = "") -> CycleReport:
        """Start learning the admitted documents. Raises: FailedPrecondition (no documents, or a cycle is running)."""
        return self._unary(calls.cycles.start_cycle(tenant, request_id=request_id))

    def cycle(self, tenant: str, cycle: str) -> CycleReport:
        """Return a cycle with its steps, candidates, scores and verdict."""
        return self._unary(calls.cycles.cycle(tenant, cycle))

    def cycles(self, tenant: str) -> Generator[CycleReport, None]:
        """Return a summary of every cycle of the tenant, newest first."""
        return self._pages(lambda token: calls.cycles.list_cycles(tenant, page_token=token))

    def watch_cycle(self, tenant: str, cycle: str) -> Generator[CycleReport, None]:
        """Return the cycle now and after every change, until it ends."""
        return self._watch(calls.cycles.watch_cycle(tenant, cycle), timeout_seconds=None)

    def self_edits(self, tenant: str, cycle: str) -> Generator[SelfEdit, None]:
        """Return the self-edits of a cycle, including those the filter dropped."""
        return self._pages(lambda token: calls.cycles.list_self_edits(tenant, cycle, page_token=token))

    # adapters

    def adapters(self, tenant: str) -> Generator[AdapterVersion, None]:
        """Return every published version, newest first. `tenant(…).desired_version` is the active one."""
        return self._pages(lambda token: calls.adapters.list_adapters(tenant, page_token=token))

    def adapter(self, tenant: str, version: int) -> AdapterVersion:
        """Return a version with its lineage; 0 is the base model."""
        return self._unary(calls.adapters.adapter(tenant, version))

    def promote(
        self, tenant: str, version: int, *, etag: str = "", reason: str = "", request_id: str = ""
    ) -> Activation:
        """Make a version active. Raises: Conflict (etag), FailedPrecondition."""
        call = calls.adapters.promote(tenant, version, etag=etag, reason=reason, request_id=request_id)
        return self._unary(call)

    def rollback(
        self, tenant: str, *, to_version: int | None = None, etag: str = "", reason: str = "", request_id: str = ""
    ) -> Activation:
        """Return to the previous version, or to `to_version`. Raises: Conflict (etag), FailedPrecondition."""
        call = calls.adapters.rollback(tenant, to_version=to_version, etag=etag, reason=reason, request_id=request_id)
        return self._unary(call)

    def activations(self, tenant: str) -> Generator[Activation, None]:
        """Return every activation of the tenant, newest first."""
        return self._pages(lambda token: calls.adapters.list_activations(tenant, page_token=token))

    def watch_adapters(self, tenant: str, *, timeout_seconds: float | None = None) -> Generator[AdapterReport, None]:
        """Return the desired version and the version each replica serves, now and after every change."""
        return self._watch(calls.adapters.watch_adapters(tenant), timeout_seconds=timeout_seconds)

    def wait_until_observed(self, tenant: str, activation: int, *, timeout_seconds: float = 60) -> AdapterReport:
        """Return once every replica has reached at least `activation`. Raises: DeadlineExceeded."""
        with contextlib.closing(self.watch_adapters(tenant, timeout_seconds=timeout_seconds)) as reports:
            return next(report for report in reports if report.has_reached(activation))

    # rollouts

    def traffic(self, tenant: str) -> Traffic:
        """Return how new requests are split between two versions. Raises: NotFound (tenant)."""
        return self._unary(calls.rollouts.traffic(tenant))

    def set_traffic(
        self, tenant: str, shares: Mapping[int, float], *, etag: str = "", reason: str = "", request_id: str = ""
    ) -> Traffic:
        """Split new requests between the active version and a formerly active one; the shares add up to 1.

        Raises: InvalidArgument, NotFound, FailedPrecondition (a version that may not answer), Conflict (etag).
        """
        call = calls.rollouts.set_traffic(tenant, shares, etag=etag, reason=reason, request_id=request_id)
        return self._unary(call)

    def watch(self, tenant: str, activation: int) -> WatchReport:
        """Return the watch over the version that this activation made active. Raises: NotFound."""
        return self._unary(calls.rollouts.watch(tenant, activation))

    def watches(self, tenant: str) -> Generator[WatchReport, None]:
        """Return the tenant's watches, newest first."""
        return self._pages(lambda token: calls.rollouts.list_watches(tenant, page_token=token))

    # approvals

    def approvals(self, tenant: str, *, state: ApprovalState | None = None) -> Generator[Approval, None]:
        """Return every version of the tenant that was ever held, or those in `state`, newest first."""
        return self._pages(lambda token: calls.approvals.list_approvals(tenant, state=state, page_token=token))

    def approval(self, tenant: str, version: int) -> Approval:
        """Return the approval of a held version. Raises: NotFound, also for a version that was never held."""
        return self._unary(calls.approvals.approval(tenant, version))

    def approve(
        self, tenant: str, version: int, *, etag: str = "", reason: str = "", request_id: str = ""
    ) -> tuple[Approval, Activation | None]:
        """Approve a held version; the activation is None if policy requires more approvals.

        Raises: FailedPrecondition (already decided, or too late), PermissionDenied (not you), Conflict (etag).
        """
        call = calls.approvals.approve(tenant, version, etag=etag, reason=reason, request_id=request_id)
        return self._unary(call)

    def reject(self, tenant: str, version: int, *, reason: str, request_id: str = "") -> Approval:
        """Reject a held version for good. Raises: FailedPrecondition (already decided), InvalidArgument (reason)."""
        return self._unary(calls.approvals.reject(tenant, version, reason=reason, request_id=request_id))

    # feedback, question sets and canaries

    def give_feedback(self, tenant: str, opinion: Opinion, *, request_id: str = "") -> Feedback:
        """Rate an answer. Raises: NotFound (version), AlreadyExists (the answer has feedback)."""
        return self._unary(calls.feedback.create_feedback(tenant, opinion, request_id=request_id))

    def feedback(self, tenant: str) -> Generator[Feedback, None]:
        """Return the tenant's feedback, newest first."""
        return self._pages(lambda token: calls.feedback.list_feedback(tenant, page_token=token))

    def version_feedback(self, tenant: str) -> tuple[VersionFeedback, ...]:
        """Return the thumb counts of each version that has any."""
        return self._unary(calls.feedback.summarize_feedback(tenant))

    def add_evaluation_set(self, tenant: str, name: str, items: Iterable[EvaluationItem]) -> tuple[EvaluationSet, bool]:
        """Submit questions with their answers; return the set, and whether it is new. Raises: InvalidArgument."""
        return self._unary(calls.question_sets.add_evaluation_set(tenant, name, items))

    def evaluation_set(self, tenant: str, name: str, *, revision: int = 0) -> EvaluationSet:
        """Return a set with its items; `revision` 0 is the newest. Raises: NotFound."""
        return self._unary(calls.question_sets.evaluation_set(tenant, name, revision=revision))

    def evaluation_sets(self, tenant: str) -> Generator[tuple[EvaluationSet, int], None]:
        """Return every revision of the tenant's sets, newest first, without items, and each one's item count."""
        return self._pages(lambda token: calls.question_sets.list_evaluation_sets(tenant, page_token=token))

    def put_canary_suite(
        self, tenant: str, name: str, items: Iterable[CanaryItem], *, request_id: str = ""
    ) -> tuple[CanarySuite, bool]:
        """Submit a regression suite; return it, and whether it is new. Raises: InvalidArgument."""
        return self._unary(calls.canaries.put_canary_suite(tenant, name, items, request_id=request_id))

    def canary_suite(self, tenant: str, name: str, *, version: int = 0) -> CanarySuite:
        """Return a suite with its items; `version` 0 is the newest. Raises: NotFound."""
        return self._unary(calls.canaries.canary_suite(tenant, name, version=version))

    def canary_suites(self, tenant: str) -> Generator[tuple[CanarySuite, int], None]:
        """Return every version of the tenant's suites, newest first, without items, and each one's item count."""
        return self._pages(lambda token: calls.canaries.list_canary_suites(tenant, page_token=token))

    def retire_canary_suite(self, tenant: str, name: str, *, reason: str = "") -> CanarySuite:
        """Stop running a suite; repeating the call changes nothing. Raises: NotFound."""
        return self._unary(calls.canaries.retire_canary_suite(tenant, name, reason=reason))

    def canary_results(self, tenant: str, *, suite: str = "") -> Generator[CanaryResult, None]:
        """Return the nightly results of the active versions, newest first."""
        return self._pages(lambda token: calls.canaries.list_canary_results(tenant, suite=suite, page_token=token))

    # tenants, tokens and the audit log

    def create_tenant(self, tenant: str, *, display_name: str = "", request_id: str = "") -> Tenant:
        """Create a tenant. Raises: AlreadyExists, InvalidArgument (its name)."""
        return self._unary(calls.tenants.create_tenant(tenant, display_name=display_name, request_id=request_id))

    def tenant(self, tenant: str) -> Tenant:
        """Return a tenant, with its etag. Raises: NotFound."""
        return self._unary(calls.tenants.tenant(tenant))

    def tenants(self) -> Generator[Tenant, None]:
        """Return every tenant that the caller may see."""
        return self._pages(lambda token: calls.tenants.list_tenants(page_token=token))

    def create_token(self, principal: Principal, *, expires_days: int | None = None) -> tuple[Token, str]:
        """Create a token; return it with its secret, which is shown only once. No expiry without `expires_days`.

        Raises: AlreadyExists (the name), InvalidArgument, PermissionDenied (rights that the caller lacks).
        """
        return self._unary(calls.tokens.create_token(principal, expires_days=expires_days))

    def tokens(self) -> Generator[Token, None]:
        """Return every token the caller may see, including revoked ones, oldest first."""
        return self._pages(lambda token: calls.tokens.list_tokens(page_token=token))

    def revoke_token(self, token: str) -> Token:
        """Revoke a token. Raises: NotFound, FailedPrecondition (the last administrator's)."""
        return self._unary(calls.tokens.revoke_token(token))

    def audit(self, tenant: str | None = None) -> Generator[AuditRow, None]:
        """Return the audit log of a tenant, or of all tenants."""
        return self._pages(lambda token: calls.audit.list_audit_rows(tenant, page_token=token))

    def verify_audit(self) -> int:
        """Return the number of rows in the audit chain. Raises: CorruptArtifact (where the chain is broken)."""
        return self._unary(calls.audit.verify_audit())
