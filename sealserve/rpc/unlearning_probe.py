"""After forgetting: does anybody still know it? The document's quiz, kept in memory alone, is asked once more.

Asked of the version that answers and of the base model, which was never taught, straight from the engine: no caller
waits for it, and no watch takes it for a caller. Once when the pointer has moved, and again once the rest has been
taught anew. The counts go into the audit trail, or why there are none; the questions go with this process, and one that
ends earlier leaves the certificate without a probe. Decides nothing.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import structlog

from sealserve.engine.engine import BACKGROUND_PRIORITY, Engine, GenerateRequest
from sealserve.errors import CouldNotMeasure, NotFound, SealserveError, Unavailable
from sealserve.grading.answers import is_right
from sealserve.records.cycles import CycleState, QuizItem
from sealserve.records.documents import Unlearned
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.records.versions import BASE_VERSION
from sealserve.registry.registry import Registry
from sealserve.rpc.call_context import new_request_id
from sealserve.telemetry.names import LogEvent

MOST_QUESTIONS = 48
ANSWER_TOKENS = 48
ANSWER_SECONDS = 300.0
"""Tenants go first, so a busy engine may take long."""

LOAD_SECONDS = 300.0
"""How long a version may take until it can be asked."""

_OPEN = (CycleState.PENDING, CycleState.RUNNING)
_LOG = structlog.get_logger(__name__)


class UnlearningProbe:
    """Probes in the background; one question at a time, so that tenants wait for none of it."""

    def __init__(
        self,
        registry: Registry,
        *,
        engine: Engine,
        salt: Callable[[str], str],
        poll_seconds: float,
        load_seconds: float = LOAD_SECONDS,
    ) -> None:
        """`salt` says a tenant's prefix-cache salt (`TenantSalts.salt`): nobody can time what was asked."""
        self._registry = registry
        self._engine = engine
        self._salt = salt
        self._poll_seconds = poll_seconds
        self._load_seconds = load_seconds
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, done: Unlearned, items: Sequence[QuizItem]) -> None:
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

    async def _probe(self, done: Unlearned, items: Sequence[QuizItem]) -> None:
        try:
            if items:
                await self._ask(done, items, version=done.desired_version)
            if items and done.cycle and (version := await self._taught_again(done)) is not None:
                await self._ask(done, items, version=version)
        except SealserveError as error:  # of the registry, which can then be told nothing either
            _LOG.warning(
                LogEvent.UNLEARNING_NOT_PROBED, tenant=done.tenant, document=done.document, error=error.message
            )

    async def _ask(self, done: Unlearned, items: Sequence[QuizItem], *, version: int) -> None:
        """Ask everything of the version and of the base; keep the counts, or why they could not be had."""
        try:
            right, base_right = await self._counted(done.tenant, items, version=version)
        except SealserveError as error:
            await asyncio.to_thread(
                self._registry.unlearning.certify_no_probe, done, version=version, because=error.message
            )
            return
        await asyncio.to_thread(
            self._registry.unlearning.certify_probe,
            done,
            version=version,
            n=len(items),
            right=right,
            base_right=base_right,
        )

    async def _counted(self, tenant: str, items: Sequence[QuizItem], *, version: int) -> tuple[int, int]:
        adapter = None
        if version != BASE_VERSION:
            adapter = (await asyncio.to_thread(self._registry.versions.get, tenant, version)).engine_name
            await self._loaded(tenant, adapter, version=version)
        right = base_right = 0
        for item in items:
            right += is_right(await self._said(tenant, item.question, adapter=adapter), item.answer)
            base_right += is_right(await self._said(tenant, item.question, adapter=None), item.answer)
        return right, base_right

    async def _taught_again(self, done: Unlearned) -> int | None:
        """Return the version that holds the rest, once it is there; None when the cycle promotes none."""
        while True:
            cycle = await asyncio.to_thread(self._registry.cycles.get, done.tenant, done.cycle)
            if cycle.state not in _OPEN:
                return cycle.version if cycle.state is CycleState.PROMOTED else None
            await asyncio.sleep(self._poll_seconds)

    async def _loaded(self, tenant: str, adapter: str, *, version: int) -> None:
        """Return once the engine has the adapter. Raises: CouldNotMeasure (replaced meanwhile, or never loaded)."""
        try:
            async with asyncio.timeout(self._load_seconds):
                while adapter not in (await self._engine.info()).loaded:
                    if (await asyncio.to_thread(self._registry.tenants.get, tenant)).desired_version != version:
                        raise CouldNotMeasure(f"version {version} was replaced before it could be asked")
                    await asyncio.sleep(self._poll_seconds)
        except TimeoutError:
            raise CouldNotMeasure(f"version {version} was not loaded within {self._load_seconds:g} s") from None

    async def _said(self, tenant: str, question: str, *, adapter: str | None) -> str:
        """Return the answer. Raises: CouldNotMeasure (unloaded meanwhile, no engine, or no answer in time)."""
        request = GenerateRequest(
            request_id=new_request_id(),
            turns=(ChatTurn(role="user", content=question),),
            adapter=adapter,
            sampling=Sampling(max_tokens=ANSWER_TOKENS),
            cache_salt=self._salt(tenant),
            priority=BACKGROUND_PRIORITY,
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return "".join([delta.text async for delta in self._engine.generate(request)])
        except TimeoutError:
            raise CouldNotMeasure(f"an answer took more than {ANSWER_SECONDS:g} s") from None
        except (NotFound, Unavailable) as error:
            raise CouldNotMeasure(f"the engine could not be asked: {error.message}") from error
