"""InferenceService: conversations in, answers out, each naming the version that gave it."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

from sealserve.engine.chat import require_fitting
from sealserve.engine.engine import Delta, Engine
from sealserve.errors import EngineFailed, InvalidArgument, Unavailable
from sealserve.records.reports import Answer, AnswerEvent, Answering, Ended, Piece, ServerInfo, Usage
from sealserve.rpc.budget import CURRENT_SHARE
from sealserve.rpc.call_context import CURRENT_CALL, CURRENT_PRINCIPAL
from sealserve.rpc.delta_merging import merged
from sealserve.serving.answers import Answers
from sealserve.v1 import inference_pb2, inference_pb2_grpc
from sealserve.wire import names
from sealserve.wire.engine import sampling_from_wire, turns_from_wire
from sealserve.wire.inference import answer_to_wire, event_to_wire, server_info_to_wire

RETRY_SECONDS = 0.25
MERGE_SECONDS = 0.02
"""At most this long, a token waits for the next to travel with. Nobody reads faster."""

MAX_KEY_CHARACTERS = 256

GenerateRequests = inference_pb2.GenerateRequest | inference_pb2.StreamGenerateRequest


class InferenceService(inference_pb2_grpc.InferenceServiceServicer):
    """Checks conversations, hands them to `answers`, and tells the answer as it comes."""

    def __init__(self, *, answers: Answers, engine: Engine, replica: str, version: str, max_bytes: int) -> None:
        """`max_bytes` bounds the text of a conversation; `version` is the package's."""
        self._answers = answers
        self._engine = engine
        self._replica = replica
        self._version = version
        self._max_bytes = max_bytes

    async def Generate(self, request: inference_pb2.GenerateRequest, context: Any) -> inference_pb2.GenerateResponse:
        """Raises: InvalidArgument, NotFound, QuotaExceeded, Unavailable, DeadlineExceeded, EngineFailed."""
        texts: list[str] = []
        answering: Answering | None = None
        async with aclosing(self._events(request)) as events:
            async for event in events:
                if isinstance(event, Piece):
                    texts.append(event.text)
                elif isinstance(event, Answering):
                    answering = event
                elif answering is not None:
                    text = "".join(texts)
                    answer = Answer(text=text, finish=event.finish, usage=event.usage, answering=answering)
                    return answer_to_wire(answer)
        raise EngineFailed("the engine ended without an answer")

    async def StreamGenerate(
        self, request: inference_pb2.StreamGenerateRequest, context: Any
    ) -> AsyncIterator[inference_pb2.StreamGenerateResponse]:
        """Deltas are merged while the reader is slow; the first one never waits."""
        async with aclosing(self._events(request)) as events:
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

    async def _events(self, request: GenerateRequests) -> AsyncGenerator[AnswerEvent, None]:
        tenant, call = names.tenant_of(request.parent), CURRENT_CALL.get()
        turns = turns_from_wire(request.messages, max_bytes=self._max_bytes)
        if turns[-1].role != "user":
            raise InvalidArgument("the last turn must be the user's", field="messages")
        if len(request.sticky_key) > MAX_KEY_CHARACTERS:
            raise InvalidArgument(f"a key has at most {MAX_KEY_CHARACTERS} characters", field="sticky_key")
        info = await self._engine.info()
        require_fitting(turns, max_characters=info.max_prompt_characters)
        stream = self._answers.stream(
            tenant,
            turns,
            sampling_from_wire(request.sampling),
            request_id=call.request_id,
            sticky_key=request.sticky_key,
            deadline_seconds=call.deadline_seconds,
        )
        async with aclosing(merged(stream, seconds=MERGE_SECONDS)) as parts:
            route = await anext(parts, None)
            if route is None:
                raise EngineFailed("the engine ended without an answer")
            if route.activation < request.min_activation:
                text = f"this replica answers with activation {route.activation}, not yet with {request.min_activation}"
                raise Unavailable(text, reason="NOT_YET_ACTIVE", retry_seconds=RETRY_SECONDS)
            is_first, share, taken = True, CURRENT_SHARE.get(), 0
            async for delta in parts:
                used = delta.prompt_tokens + delta.completion_tokens
                share.take_tokens(used - taken)
                taken = used
                if is_first:
                    yield Answering(
                        request_id=call.request_id,
                        tenant=tenant,
                        version=route.version,
                        activation=route.activation,
                        base_digest=info.base_digest,
                        prompt_tokens=delta.prompt_tokens,
                    )
                    is_first = False
                for event in _told(delta):
                    yield event


def _told(delta: Delta) -> Iterator[AnswerEvent]:
    if delta.text:
        yield Piece(text=delta.text, completion_tokens=delta.completion_tokens)
    if delta.finish is not None:
        usage = Usage(
            prompt_tokens=delta.prompt_tokens,
            completion_tokens=delta.completion_tokens,
            cached_tokens=delta.cached_tokens,
        )
        yield Ended(finish=delta.finish, usage=usage)
