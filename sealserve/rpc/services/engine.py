"""EngineService: the engine for the learning side, always behind the tenants' calls.

The interceptor keeps everybody else out.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, aclosing
from pathlib import Path
from typing import Any

from sealserve.concurrency import in_thread
from sealserve.engine.engine import (
    BACKGROUND_PRIORITY,
    AdapterFiles,
    Delta,
    Engine,
    GenerateRequest,
    ScoreRequest,
)
from sealserve.errors import EngineFailed, InvalidArgument
from sealserve.rpc.call_context import CURRENT_CALL
from sealserve.rpc.conversations import Choices
from sealserve.v1 import common_pb2, engine_pb2, engine_pb2_grpc
from sealserve.wire.engine import choices_to_wire, finish_to_wire, info_to_wire, sampling_from_wire, turns_from_wire

MAX_NAME_CHARACTERS = 256


class EngineService(engine_pb2_grpc.EngineServiceServicer):
    """The same methods as `Engine`; adapters come by digest from the shared artifact store."""

    def __init__(
        self, engine: Engine, *, materialise: Callable[[str], AbstractContextManager[Path]], max_bytes: int
    ) -> None:
        """`materialise` gives an artifact's checked files (`ArtifactStore.materialise`); `max_bytes` bounds a chat."""
        self._engine = engine
        self._materialise = materialise
        self._max_bytes = max_bytes

    async def Generate(
        self, request: engine_pb2.EngineGenerateRequest, context: Any
    ) -> engine_pb2.EngineGenerateResponse:
        """Raises: as `Engine.generate`."""
        asked = GenerateRequest(
            request_id=CURRENT_CALL.get().request_id,
            turns=turns_from_wire(request.messages, max_bytes=self._max_bytes),
            adapter=request.adapter or None,
            sampling=sampling_from_wire(request.sampling),
            cache_salt=request.cache_salt,
            priority=BACKGROUND_PRIORITY,
        )
        choices = Choices()
        last: Delta | None = None
        async with aclosing(self._engine.generate(asked)) as deltas:  # type: ignore[type-var]
            async for last in deltas:
                choices.add(last)
        if last is None:
            raise EngineFailed("the engine ended without an answer")
        found = choices.whole(finish=last.finish)
        return engine_pb2.EngineGenerateResponse(
            text=found[0].text,
            finish_reason=finish_to_wire(found[0].finish),
            choices=choices_to_wire(found),
            usage=common_pb2.Usage(
                prompt_tokens=last.prompt_tokens,
                completion_tokens=last.completion_tokens,
                cached_tokens=last.cached_tokens,
            ),
        )

    async def Score(self, request: engine_pb2.EngineScoreRequest, context: Any) -> engine_pb2.EngineScoreResponse:
        """Raises: as `Engine.score`."""
        asked = ScoreRequest(
            request_id=CURRENT_CALL.get().request_id,
            turns=turns_from_wire(request.messages, max_bytes=self._max_bytes),
            completion=request.completion,
            adapter=request.adapter or None,
            cache_salt=request.cache_salt,
            priority=BACKGROUND_PRIORITY,
        )
        likelihood = await self._engine.score(asked)
        return engine_pb2.EngineScoreResponse(log_likelihood=likelihood.log_likelihood, tokens=likelihood.tokens)

    async def CountTokens(
        self, request: engine_pb2.EngineCountTokensRequest, context: Any
    ) -> engine_pb2.EngineCountTokensResponse:
        """Raises: as `Engine.count_tokens`."""
        turns = turns_from_wire(request.messages, max_bytes=self._max_bytes)
        return engine_pb2.EngineCountTokensResponse(prompt_tokens=await self._engine.count_tokens(turns))

    async def LoadAdapter(self, request: engine_pb2.LoadAdapterRequest, context: Any) -> engine_pb2.LoadAdapterResponse:
        """Raises: NotFound and CorruptArtifact (the artifact), BadAdapter, Unavailable."""
        name = _checked_name(request.name)
        async with in_thread(self._materialise(request.artifact_digest)) as path:
            await self._engine.load(AdapterFiles(name=name, path=path))
        return engine_pb2.LoadAdapterResponse(loaded=(await self._engine.info()).loaded)

    async def UnloadAdapter(
        self, request: engine_pb2.UnloadAdapterRequest, context: Any
    ) -> engine_pb2.UnloadAdapterResponse:
        """Raises: Unavailable."""
        unloaded = await self._engine.unload(_checked_name(request.name))
        return engine_pb2.UnloadAdapterResponse(unloaded=unloaded, loaded=(await self._engine.info()).loaded)

    async def GetEngineInfo(self, request: engine_pb2.GetEngineInfoRequest, context: Any) -> engine_pb2.EngineInfo:
        """Never fails."""
        return info_to_wire(await self._engine.info())


def _checked_name(name: str) -> str:
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidArgument(f"name must be 1 to {MAX_NAME_CHARACTERS} printable characters", field="name")
    return name
