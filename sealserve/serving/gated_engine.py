"""The engine behind its gates: every call waits for its adapter's slot, and background calls also yield to tenants."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from sealserve.engine.engine import (
    TENANT_PRIORITY,
    AdapterFiles,
    Delta,
    Engine,
    GenerateRequest,
    Likelihood,
    ScoreRequest,
)
from sealserve.errors import Unavailable
from sealserve.records.inference import ChatTurn, EngineInfo
from sealserve.serving.background_gate import BackgroundGate
from sealserve.serving.slot_gate import SlotGate

_BYTES_PER_TOKEN = 4  # tokenising a prompt twice costs more than a rough count
_LOST = ("ENGINE_DEAD", "ENGINE_REBUILDING")


class GatedEngine:
    """`Engine` whose generate and score pass the gates; everything else goes straight through."""

    def __init__(self, engine: Engine, gate: SlotGate, background: BackgroundGate | None = None) -> None:
        """Without `background` nothing yields."""
        self._engine = engine
        self._gate = gate
        self._background = background or BackgroundGate(max_sequences=1, slowdown=0)

    async def start(self) -> None:
        """Start the engine."""
        await self._engine.start()

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()

    def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta, None]:
        """Stream the answer once it may begin. Raises: see `Engine.generate`; QuotaExceeded (background, no room)."""
        if request.priority > TENANT_PRIORITY:
            return self._answer_in_background(request)
        return self._answer(request)

    async def score(self, request: ScoreRequest) -> Likelihood:
        """Score once it may begin. Raises: see `Engine.score`; QuotaExceeded (background, no room)."""
        if request.priority <= TENANT_PRIORITY:
            async with self._gate.entered(request.adapter, priority=request.priority):
                return await self._engine.score(request)
        tokens = _tokens(request.turns) + len(request.completion.encode()) / _BYTES_PER_TOKEN
        async with (
            self._background.entered(tokens) as entry,
            self._gate.entered(request.adapter, priority=request.priority),
        ):
            entry.began()
            try:
                return await self._engine.score(request)
            except Unavailable as error:
                self._note_loss(error)
                raise

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

    async def _answer(self, request: GenerateRequest) -> AsyncGenerator[Delta, None]:
        with self._background.beside() as call:
            async with self._gate.entered(request.adapter, priority=request.priority):
                stream = self._engine.generate(request)
                async with aclosing(stream):  # type: ignore[type-var]  # every engine's iterator is a generator
                    async for delta in stream:
                        call.received(delta.completion_tokens)
                        yield delta

    async def _answer_in_background(self, request: GenerateRequest) -> AsyncGenerator[Delta, None]:
        async with (
            self._background.entered(_tokens(request.turns)) as entry,
            self._gate.entered(request.adapter, priority=request.priority),
        ):
            entry.began()
            stream = self._engine.generate(request)
            try:
                async with aclosing(stream):  # type: ignore[type-var]
                    async for delta in stream:
                        entry.received()
                        yield delta
            except Unavailable as error:
                self._note_loss(error)
                raise

    def _note_loss(self, error: Unavailable) -> None:
        if error.reason in _LOST:
            self._background.start_over()


def _tokens(turns: tuple[ChatTurn, ...]) -> float:
    return sum(len(turn.content.encode()) for turn in turns) / _BYTES_PER_TOKEN
