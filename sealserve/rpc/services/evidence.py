"""FeedbackService and EvaluationService: what people give to measure by."""

import asyncio
from typing import Any

from sealserve.errors import InvalidArgument
from sealserve.records.feedback import Feedback
from sealserve.records.question_sets import EvaluationSet
from sealserve.registry.registry import Registry
from sealserve.rpc.call_context import actor
from sealserve.rpc.page_tokens import page_size_of
from sealserve.v1 import evaluation_pb2, evaluation_pb2_grpc, feedback_pb2, feedback_pb2_grpc
from sealserve.wire import feedback, names
from sealserve.wire.values import without_long_items


class FeedbackService(feedback_pb2_grpc.FeedbackServiceServicer):
    """Keeps what people think of answers and shows it to their tenant."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def CreateFeedback(self, request: feedback_pb2.CreateFeedbackRequest, context: Any) -> feedback_pb2.Feedback:
        """Raises: InvalidArgument, NotFound (tenant, version), AlreadyExists, QuotaExceeded."""
        tenant = names.tenant_of(request.parent)
        opinion = feedback.opinion_from_wire(request.feedback, tenant=tenant)
        who = actor()

        def create() -> Feedback:
            return self._registry.feedback.add(tenant, opinion, actor=who, request_id=request.request_id)

        return feedback.feedback_to_wire(await asyncio.to_thread(create))

    async def ListFeedback(
        self, request: feedback_pb2.ListFeedbackRequest, context: Any
    ) -> feedback_pb2.ListFeedbackResponse:
        """Raises: InvalidArgument, NotFound."""
        page = await asyncio.to_thread(
            self._registry.feedback.page,
            names.tenant_of(request.parent),
            page_size=page_size_of(request.page_size),
            page_token=request.page_token,
        )
        return feedback_pb2.ListFeedbackResponse(
            feedback=map(feedback.feedback_to_wire, page.items), next_page_token=page.next_page_token
        )

    async def SummarizeFeedback(
        self, request: feedback_pb2.SummarizeFeedbackRequest, context: Any
    ) -> feedback_pb2.SummarizeFeedbackResponse:
        """Raises: InvalidArgument, NotFound."""
        tenant = names.tenant_of(request.parent)
        found = await asyncio.to_thread(self._registry.feedback.by_version, tenant)
        return feedback_pb2.SummarizeFeedbackResponse(
            versions=(feedback.version_feedback_to_wire(tenant, one) for one in found)
        )


class EvaluationService(evaluation_pb2_grpc.EvaluationServiceServicer):
    """Keeps tenants' evaluation sets and shows them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def AddEvaluationSet(
        self, request: evaluation_pb2.AddEvaluationSetRequest, context: Any
    ) -> evaluation_pb2.AddEvaluationSetResponse:
        """Raises: InvalidArgument, NotFound, QuotaExceeded."""
        tenant, items = names.tenant_of(request.parent), tuple(map(feedback.item_from_wire, request.items))
        who = actor()

        def add() -> tuple[EvaluationSet, bool]:
            return self._registry.question_sets.add(tenant, request.set_id, items, actor=who)

        kept, is_new = await asyncio.to_thread(add)
        return evaluation_pb2.AddEvaluationSetResponse(
            evaluation_set=without_long_items(feedback.set_to_wire(kept)), already_known=not is_new
        )

    async def GetEvaluationSet(
        self, request: evaluation_pb2.GetEvaluationSetRequest, context: Any
    ) -> evaluation_pb2.EvaluationSet:
        """Raises: InvalidArgument, NotFound."""
        tenant, name = feedback.set_of(request.name)
        if request.revision < 0:
            raise InvalidArgument("revision counts from 1; 0 is the newest", field="revision")
        kept = await asyncio.to_thread(self._registry.question_sets.get, tenant, name, revision=request.revision)
        return feedback.set_to_wire(kept)

    async def ListEvaluationSets(
        self, request: evaluation_pb2.ListEvaluationSetsRequest, context: Any
    ) -> evaluation_pb2.ListEvaluationSetsResponse:
        """Raises: InvalidArgument, NotFound."""
        page = await asyncio.to_thread(
            self._registry.question_sets.page,
            names.tenant_of(request.parent),
            page_size=page_size_of(request.page_size),
            page_token=request.page_token,
        )
        return evaluation_pb2.ListEvaluationSetsResponse(
            evaluation_sets=map(feedback.set_to_wire, page.items),
            next_page_token=page.next_page_token,
        )
