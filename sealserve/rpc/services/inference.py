"""InferenceService: conversations in, answers out, each naming the version that gave it."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from sealserve.engine.chat import require_fitting
from sealserve.engine.engine import Engine
from sealserve.records.reports import ServerInfo
from sealserve.rpc.call_context import CURRENT_PRINCIPAL
from sealserve.rpc.conversations import Conversations, Question
from sealserve.rpc.models import Models
from sealserve.serving.answers import Answers
from sealserve.v1 import inference_pb2, inference_pb2_grpc
from sealserve.wire import names
from sealserve.wire.engine import sampling_from_wire, turns_from_wire
from sealserve.wire.inference import answer_to_wire, event_to_wire, models_to_wire, server_info_to_wire

GenerateRequests = inference_pb2.GenerateRequest | inference_pb2.StreamGenerateRequest


class InferenceService(inference_pb2_grpc.InferenceServiceServicer):
    """Checks conversations, hands them to `answers`, and tells the answer as it comes."""

    def __init__(
        self, *, answers: Answers, engine: Engine, models: Models, replica: str, version: str, max_bytes: int
    ) -> None:
        """`max_bytes` bounds the text of a conversation; `version` is the package's."""
        self._answers = answers
        self._conversations = Conversations(answers, engine)
        self._models = models
        self._engine = engine
        self._replica = replica
        self._version = version
        self._max_bytes = max_bytes

    async def Generate(self, request: inference_pb2.GenerateRequest, context: Any) -> inference_pb2.GenerateResponse:
        """Raises: as `Conversations.events`."""
        return answer_to_wire(await self._conversations.answer(self._question(request)))

    async def StreamGenerate(
        self, request: inference_pb2.StreamGenerateRequest, context: Any
    ) -> AsyncIterator[inference_pb2.StreamGenerateResponse]:
        """Deltas are merged while the reader is slow; the first one never waits."""
        async with aclosing(self._conversations.events(self._question(request))) as events:
            async for event in events:
                yield event_to_wire(event)

    async def CountTokens(
        self, request: inference_pb2.CountTokensRequest, context: Any
    ) -> inference_pb2.CountTokensResponse:
        """Raises: InvalidArgument, NotFound, Unavailable."""
        tenant = names.tenant_of(request.parent)
        turns = turns_from_wire(request.messages, max_bytes=self._max_bytes)
        info = await self._engine.info()
        require_fitting(turns, max_characters=info.max_prompt_characters)
        await self._answers.require(tenant)
        tokens = await self._engine.count_tokens(turns)
        return inference_pb2.CountTokensResponse(prompt_tokens=tokens, max_context_tokens=info.max_context_tokens)

    async def ListModels(
        self, request: inference_pb2.ListModelsRequest, context: Any
    ) -> inference_pb2.ListModelsResponse:
        """Raises: InvalidArgument, NotFound."""
        models, desired = await self._models.of_tenant(names.tenant_of(request.parent))
        return models_to_wire(models, desired=desired)

    async def GetServerInfo(
        self, request: inference_pb2.GetServerInfoRequest, context: Any
    ) -> inference_pb2.ServerInfo:
        """Never fails. Which replica this is and how often its engine was rebuilt is not every tenant's to know."""
        info, is_unbound = await self._engine.info(), CURRENT_PRINCIPAL.get().tenants is None
        return server_info_to_wire(
            ServerInfo(
                server_version=self._version,
                replica=self._replica if is_unbound else "",
                model=info.model,
                base_digest=info.base_digest,
                max_context_tokens=info.max_context_tokens,
                engine_state=info.state,
                rebuilds=info.rebuilds if is_unbound else 0,
            )
        )

    def _question(self, request: GenerateRequests) -> Question:
        tenant = names.tenant_of(request.parent)
        return Question(
            tenant=tenant,
            turns=turns_from_wire(request.messages, max_bytes=self._max_bytes),
            sampling=sampling_from_wire(request.sampling),
            version=names.version_of(request.adapter, tenant=tenant, field="adapter") if request.adapter else None,
            min_activation=request.min_activation,
            sticky_key=request.sticky_key,
        )
