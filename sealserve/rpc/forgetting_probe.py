"""After forgetting: does anybody still know it? The document's quiz, kept in memory alone, is asked once more.

Asked as the tenant is answered, and of the base model, which was never taught: once the pointer has moved, and again
once the rest has been taught anew. The counts go into the audit trail; the questions go with this process. A process
that ends earlier leaves the certificate without a probe. Decides nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Protocol

import structlog

from sealserve.engine.engine import BACKGROUND_PRIORITY, ChatTurn, Delta, Engine, GenerateRequest, Sampling
from sealserve.errors import CouldNotMeasure, SealserveError
from sealserve.gate.grade import is_right
from sealserve.records import CycleState, Forgotten, QuizItem
from sealserve.registry.registry import Registry
from sealserve.rpc.call import new_request_id

MOST_QUESTIONS = 48
ANSWER_TOKENS = 48
ANSWER_SECONDS = 60.0
_OPEN = (CycleState.PENDING, CycleState.RUNNING)
_LOG = structlog.get_logger(__name__)


class Answers(Protocol):
    """As `InferenceService` needs it."""

    def stream(
        self,
        tenant: str,
        turns: tuple[ChatTurn, ...],
        sampling: Sampling,
        *,
        request_id: str,
        deadline_seconds: float,
    ) -> AsyncGenerator[Any, None]:
        """Yield the Route, then Deltas."""


class ForgettingProbe:
    """Probes in the background; one question at a time, so that tenants wait for none of it."""

    def __init__(self, registry: Registry, *, answers: Answers, engine: Engine, poll_seconds: float) -> None:
        self._registry = registry
        self._answers = answers
        self._engine = engine
        self._poll_seconds = poll_seconds
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, done: Forgotten, items: Sequence[QuizItem]) -> None:
        """Probe what `done` forgot with `items`, its quiz; returns at once."""
        task = asyncio.create_task(self._probe(done, items[:MOST_QUESTIONS]), name="forgetting-probe")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Stop what runs."""
        for task in tuple(self._running):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _probe(self, done: Forgotten, items: Sequence[QuizItem]) -> None:
        try:
            if items:
                await self._ask(done, items, version=done.desired_version)
            if items and done.cycle and (version := await self._taught_again(done)) is not None:
                await self._ask(done, items, version=version)
        except SealserveError as error:
            _LOG.warning("forgetting not probed", tenant=done.tenant, document=done.document, why=error.message)

    async def _ask(self, done: Forgotten, items: Sequence[QuizItem], *, version: int) -> None:
        """Ask everything of the version, as soon as it answers here, and of the base; keep the counts."""
        right = base_right = 0
        for item in items:
            right += is_right(await self._said(done.tenant, item.question, version=version), item.answer)
            base_right += is_right(await self._base_says(item.question), item.answer)
        await asyncio.to_thread(
            self._registry.certify_probe, done, version=version, n=len(items), right=right, base_right=base_right
        )

    async def _taught_again(self, done: Forgotten) -> int | None:
        """Return the version that holds the rest, once it is there; None when the cycle promotes none."""
        while True:
            cycle = await asyncio.to_thread(self._registry.cycle, done.tenant, done.cycle)
            if cycle.state not in _OPEN:
                return cycle.version if cycle.state is CycleState.PROMOTED else None
            await asyncio.sleep(self._poll_seconds)

    async def _said(self, tenant: str, question: str, *, version: int) -> str:
        """Return the answer that `version` gives; one by another version is thrown away, and asked for again."""
        while True:
            texts: list[str] = []
            stream = self._answers.stream(
                tenant,
                (ChatTurn(role="user", content=question),),
                Sampling(max_tokens=ANSWER_TOKENS),
                request_id=new_request_id(),
                deadline_seconds=ANSWER_SECONDS,
            )
            async with aclosing(stream) as parts:
                route = await anext(parts)
                async for delta in parts:
                    texts.append(delta.text)
            if route.version == version:
                return "".join(texts)
            if (await asyncio.to_thread(self._registry.tenant, tenant)).desired_version != version:
                raise CouldNotMeasure(f"version {version} was replaced before it could be asked")
            await asyncio.sleep(self._poll_seconds)

    async def _base_says(self, question: str) -> str:
        request = GenerateRequest(
            request_id=new_request_id(),
            turns=(ChatTurn(role="user", content=question),),
            sampling=Sampling(max_tokens=ANSWER_TOKENS),
            priority=BACKGROUND_PRIORITY,
        )
        deltas: list[Delta] = [delta async for delta in self._engine.generate(request)]
        return "".join(delta.text for delta in deltas)
