"""The engine as learners use it: their adapters take no reserved place, and give way to a rollback."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from sealserve.engine.engine import AdapterFiles, Delta, Engine, GenerateRequest, Likelihood, ScoreRequest
from sealserve.records.inference import ChatTurn, EngineInfo
from sealserve.serving.activation.places import Need, Places


class MeasuredEngine:
    """`Engine` for EngineService. An adapter that had to give way is NotFound; a learner then loads it again."""

    def __init__(self, engine: Engine, places: Places) -> None:
        self._engine = engine
        self._places = places

    async def start(self) -> None:
        """Start the engine."""
        await self._engine.start()

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta, None]:
        """Stream the answer. Raises: as `Engine.generate`."""
        with self._places.measuring(request.adapter):
            async with aclosing(self._engine.generate(request)) as deltas:  # type: ignore[type-var]
                async for delta in deltas:
                    yield delta

    async def score(self, request: ScoreRequest) -> Likelihood:
        """Return the completion's log-likelihood. Raises: as `Engine.score`."""
        with self._places.measuring(request.adapter):
            return await self._engine.score(request)

    async def count_tokens(self, turns: tuple[ChatTurn, ...]) -> int:
        """Return how many prompt tokens `turns` make."""
        return await self._engine.count_tokens(turns)

    async def load(self, adapter: AdapterFiles) -> None:
        """Make the adapter answerable by name. Raises: BadAdapter, Unavailable (also: no place for it now)."""
        await self._places.load(adapter, need=Need.MEASURED)

    async def unload(self, name: str) -> bool:
        """Drop the adapter; False if it was not loaded."""
        self._places.forget(name)
        return await self._engine.unload(name)

    async def info(self) -> EngineInfo:
        """Return what runs now. Never raises."""
        return await self._engine.info()
