"""The engine behind the slot gate: tenants' calls and the learner's pass the same door."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from sealserve.engine.engine import AdapterFiles, Delta, Engine, GenerateRequest, Likelihood, ScoreRequest
from sealserve.records.inference import ChatTurn, EngineInfo
from sealserve.serving.slot_gate import SlotGate


class GatedEngine:
    """`Engine` whose generate and score wait for their adapter's turn; everything else goes straight through."""

    def __init__(self, engine: Engine, gate: SlotGate) -> None:
        self._engine = engine
        self._gate = gate

    async def start(self) -> None:
        """Start the engine."""
        await self._engine.start()

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta, None]:
        """Stream the answer once its adapter has a slot. Raises: see `Engine.generate`."""
        async with self._gate.entered(request.adapter, priority=request.priority):
            stream = self._engine.generate(request)
            async with aclosing(stream):  # type: ignore[type-var]  # every engine's iterator is a generator
                async for delta in stream:
                    yield delta

    async def score(self, request: ScoreRequest) -> Likelihood:
        """Score once the adapter has a slot. Raises: see `Engine.score`."""
        async with self._gate.entered(request.adapter, priority=request.priority):
            return await self._engine.score(request)

    async def count_tokens(self, turns: tuple[ChatTurn, ...]) -> int:
        """Return how many prompt tokens `turns` make."""
        return await self._engine.count_tokens(turns)

    async def load(self, adapter: AdapterFiles) -> None:
        """Make the adapter answerable by name. Raises: BadAdapter, Unavailable."""
        await self._engine.load(adapter)

    async def unload(self, name: str) -> bool:
        """Drop the adapter; False if it was not loaded."""
        return await self._engine.unload(name)

    async def info(self) -> EngineInfo:
        """Return what runs now. Never raises."""
        return await self._engine.info()
