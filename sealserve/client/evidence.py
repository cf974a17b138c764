"""The clients' methods about feedback and evaluation sets, blocking and awaited. Both clients have them."""

from collections.abc import AsyncGenerator, Iterable, Iterator

from sealserve.client import evidence_calls
from sealserve.client.connection import AsyncConnection, Connection
from sealserve.records.feedback import Feedback, Opinion, VersionFeedback
from sealserve.records.question_sets import EvaluationItem, EvaluationSet


class EvidenceMethods(Connection):
    """For `Client`."""

    def give_feedback(self, tenant: str, opinion: Opinion, *, request_id: str = "") -> Feedback:
        """Say what somebody thinks of an answer. Raises: NotFound (version), AlreadyExists (it has its feedback)."""
        return self._unary(evidence_calls.create_feedback(tenant, opinion, request_id=request_id))

    def feedback(self, tenant: str) -> Iterator[Feedback]:
        """Return the tenant's feedback, newest first."""
        return self._pages(lambda token: evidence_calls.list_feedback(tenant, page_token=token))

    def version_feedback(self, tenant: str) -> tuple[VersionFeedback, ...]:
        """Return the thumbs of each version that got any."""
        return self._unary(evidence_calls.summarize_feedback(tenant))

    def add_evaluation_set(self, tenant: str, name: str, items: Iterable[EvaluationItem]) -> tuple[EvaluationSet, bool]:
        """Hand in questions with right answers; return the set, and whether it is new. Raises: InvalidArgument."""
        return self._unary(evidence_calls.add_evaluation_set(tenant, name, items))

    def evaluation_set(self, tenant: str, name: str, *, revision: int = 0) -> EvaluationSet:
        """Return one set with its items, the newest revision if none is named. Raises: NotFound."""
        return self._unary(evidence_calls.evaluation_set(tenant, name, revision=revision))

    def evaluation_sets(self, tenant: str) -> Iterator[tuple[EvaluationSet, int]]:
        """Return every revision of the tenant's sets, newest first: each without items, and how many it has."""
        return self._pages(lambda token: evidence_calls.list_evaluation_sets(tenant, page_token=token))


class AsyncEvidenceMethods(AsyncConnection):
    """For `AsyncClient`."""

    async def give_feedback(self, tenant: str, opinion: Opinion, *, request_id: str = "") -> Feedback:
        """Say what somebody thinks of an answer. Raises: NotFound (version), AlreadyExists (it has its feedback)."""
        return await self._unary(evidence_calls.create_feedback(tenant, opinion, request_id=request_id))

    def feedback(self, tenant: str) -> AsyncGenerator[Feedback, None]:
        """Return the tenant's feedback, newest first."""
        return self._pages(lambda token: evidence_calls.list_feedback(tenant, page_token=token))

    async def version_feedback(self, tenant: str) -> tuple[VersionFeedback, ...]:
        """Return the thumbs of each version that got any."""
        return await self._unary(evidence_calls.summarize_feedback(tenant))

    async def add_evaluation_set(
        self, tenant: str, name: str, items: Iterable[EvaluationItem]
    ) -> tuple[EvaluationSet, bool]:
        """Hand in questions with right answers; return the set, and whether it is new. Raises: InvalidArgument."""
        return await self._unary(evidence_calls.add_evaluation_set(tenant, name, items))

    async def evaluation_set(self, tenant: str, name: str, *, revision: int = 0) -> EvaluationSet:
        """Return one set with its items, the newest revision if none is named. Raises: NotFound."""
        return await self._unary(evidence_calls.evaluation_set(tenant, name, revision=revision))

    def evaluation_sets(self, tenant: str) -> AsyncGenerator[tuple[EvaluationSet, int], None]:
        """Return every revision of the tenant's sets, newest first: each without items, and how many it has."""
        return self._pages(lambda token: evidence_calls.list_evaluation_sets(tenant, page_token=token))
