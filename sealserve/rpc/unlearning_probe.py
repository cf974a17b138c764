"""Unlearning probe: asks the quiz of an unlearned document once more, of the active version and of the base model.

Runs in the background, straight on the engine, and is excluded from rollout statistics: once after the pointer has
moved, and again after the remaining documents were retrained. The counts, or the reason there are none, are written to
the audit log. The quiz is kept in memory alone: if this process ends earlier, the certificate has no probe.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import structlog

from sealserve.engine.engine import BACKGROUND_PRIORITY, Engine, GenerateRequest
from sealserve.errors import CouldNotMeasure, NotFound, QuotaExceeded, SealserveError, Unavailable
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
    """Probes in the background, one question at a time, at a priority below every tenant's."""

    def __init__(
        self,
        registry: Registry,
        *,
        engine: Engine,
        salt: Callable[[str], str],
        poll_seconds: float,
        load_seconds: float = LOAD_SECONDS,
    ) -> None:
        """`salt` returns a tenant's prefix-cache salt (`TenantSalts.salt`), against timing attacks."""
        self._registry = registry
        self._engine = engine
        self._salt = salt
        self._poll_seconds = poll_seconds
        self._load_seconds = load_seconds
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, done: Unlearned, items: Sequence[QuizItem]) -> None:
        """Start a probe of the unlearned document with `items`, its quiz; return at once."""
        task = asyncio.create_task(self._probe(done, items[:MOST_QUESTIONS]), name="unlearning-probe")
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
            if items and done.cycle and (version := await self._retrained_version(done)) is not None:
                await self._ask(done, items, version=version)
        except SealserveError as error:  # of the registry, which can then be told nothing either
            _LOG.warning(
                LogEvent.UNLEARNING_NOT_PROBED, tenant=done.tenant, document=done.document, error=error.message
            )

    async def _ask(self, done: Unlearned, items: Sequence[QuizItem], *, version: int) -> None:
        """Ask all questions of the version and of the base; record the counts, or the reason there are none."""
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
            right += is_right(await self._answer(tenant, item.question, adapter=adapter), item.answer)
            base_right += is_right(await self._answer(tenant, item.question, adapter=None), item.answer)
        return right, base_right

    async def _retrained_version(self, done: Unlearned) -> int | None:
        """Return the retrained version once it is promoted; None if the cycle promotes none."""
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

    async def _answer(self, tenant: str, question: str, *, adapter: str | None) -> str:
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
        except (NotFound, QuotaExceeded, Unavailable) as error:
            raise CouldNotMeasure(f"the engine could not be asked: {error.message}") from error
