"""An engine that works in steps, as vLLM does: nothing comes out before a step ends, however long it takes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field

from sealserve.engine.engine import AdapterFiles, Delta, GenerateRequest, Likelihood, Progress, ScoreRequest
from sealserve.errors import Unavailable
from sealserve.records.inference import ChatTurn, EngineInfo, EngineState, FinishReason

Request = GenerateRequest | ScoreRequest


@dataclass(eq=False)
class _Sequence:
    request: Request
    prefill_tokens: int
    outputs: asyncio.Queue[bool] = field(default_factory=asyncio.Queue)  # False: the engine is gone
    is_running: bool = False


class SteppingEngine:
    """`MortalEngine` whose step takes `step_seconds`, and `token_seconds` more for each token of a prompt in it.

    A step takes whole prompts, tenants' first, up to `step_tokens`; sequences that run get one token each. A prompt has
    one token per 4 bytes. `burns_cpu` says whether its CPU time can be seen.
    """

    def __init__(
        self,
        *,
        step_seconds: float,
        token_seconds: float = 0.0,
        step_tokens: int = 2048,
        max_sequences: int = 64,
        burns_cpu: bool = True,
    ) -> None:
        self._step_seconds = step_seconds
        self._token_seconds = token_seconds
        self._step_tokens = step_tokens
        self._max_sequences = max_sequences
        self._burns_cpu = burns_cpu
        self._sequences: list[_Sequence] = []
        self._arrived = asyncio.Event()
        self._steps = 0
        self._slowest = 0.0
        self._cpu_seconds = 0.0
        self._step_began: float | None = None
        self._running: asyncio.Task[None] | None = None
        self._state = EngineState.STARTING
        self._loaded: set[str] = set()
        self.scores_done = 0
        self.prefill_beside_tenants: list[int] = []  # background prompt tokens in each step that a tenant was in

    async def start(self) -> None:
        self._state = EngineState.SERVING
        self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        self._state = EngineState.STOPPED
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
        for sequence in self._sequences:
            sequence.outputs.put_nowait(False)

    def was_killed(self) -> bool:
        return False

    def progress(self) -> Progress:
        now = asyncio.get_running_loop().time()
        present = now - self._step_began if self._step_began is not None else 0.0
        cpu = self._cpu_seconds + present if self._burns_cpu else 0.0
        return Progress(steps=self._steps, cpu_seconds=cpu, slowest_step_seconds=self._slowest)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta, None]:
        sequence = self._enter(request, request.turns)
        try:
            for count in range(1, request.sampling.max_tokens + 1):
                await self._output(sequence)
                finish = FinishReason.LENGTH if count == request.sampling.max_tokens else None
                yield Delta(text="w ", completion_tokens=count, prompt_tokens=1, cached_tokens=0, finish=finish)
        finally:
            self._sequences.remove(sequence)

    async def score(self, request: ScoreRequest) -> Likelihood:
        sequence = self._enter(request, (*request.turns, ChatTurn(role="assistant", content=request.completion)))
        try:
            await self._output(sequence)
        finally:
            self._sequences.remove(sequence)
        self.scores_done += 1
        return Likelihood(log_likelihood=-1.0, tokens=1)

    async def count_tokens(self, turns: tuple[ChatTurn, ...]) -> int:
        return _tokens(turns)

    async def load(self, adapter: AdapterFiles) -> None:
        self._loaded.add(adapter.name)

    async def unload(self, name: str) -> bool:
        self._loaded.discard(name)
        return True

    async def info(self) -> EngineInfo:
        return EngineInfo(
            state=self._state, model="steps", base_digest="b" * 64, max_context_tokens=4096, max_rank=8, slots=4,
            loaded=tuple(sorted(self._loaded)), rebuilds=0,
        )  # fmt: skip

    def _enter(self, request: Request, turns: tuple[ChatTurn, ...]) -> _Sequence:
        if self._state is not EngineState.SERVING:
            raise Unavailable("the engine has stopped", reason="ENGINE_DEAD")
        sequence = _Sequence(request, _tokens(turns))
        self._sequences.append(sequence)
        self._arrived.set()
        return sequence

    async def _output(self, sequence: _Sequence) -> None:
        if not await sequence.outputs.get():
            raise Unavailable("the engine has stopped", reason="ENGINE_DEAD")

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._arrived.clear()
            if not self._sequences:
                await self._arrived.wait()
            batch, prompt_tokens = self._next_batch()
            seconds = self._step_seconds + self._token_seconds * prompt_tokens
            self._step_began = loop.time()
            await asyncio.sleep(seconds)
            self._step_began = None
            self._steps += 1
            self._slowest = max(self._slowest, seconds)
            self._cpu_seconds += seconds
            for sequence in batch:
                sequence.outputs.put_nowait(True)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    def _next_batch(self) -> tuple[list[_Sequence], int]:
        batch = [one for one in self._sequences if one.is_running]
        waiting = sorted((one for one in self._sequences if not one.is_running), key=lambda one: one.request.priority)
        room, new = self._step_tokens, list[_Sequence]()
        for sequence in waiting[: self._max_sequences - len(batch)]:
            if new and sequence.prefill_tokens > room:
                break
            room -= sequence.prefill_tokens
            sequence.is_running = True
            new.append(sequence)
        background = sum(one.prefill_tokens for one in new if one.request.priority > 0)
        if any(one.request.priority == 0 for one in (*batch, *new)):
            self.prefill_beside_tenants.append(background)
        return [*batch, *new], sum(one.prefill_tokens for one in new)


def _tokens(turns: tuple[ChatTurn, ...]) -> int:
    return max(1, sum(len(turn.content.encode()) for turn in turns) // 4)
