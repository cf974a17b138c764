"""Supervision of an engine: notices that it died or hangs, builds another, and loads the same adapters again.

While it rebuilds, every call raises Unavailable. An adapter in use when the engine died is loaded last, alone and
on probation (`suspects.py`). Rebuilding is retried for ever. A busy engine is left alone however long its steps take.
"""

import asyncio
import dataclasses
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import structlog

from sealserve.concurrency import together
from sealserve.engine.engine import AdapterFiles, Delta, Engine, GenerateRequest, Likelihood, Progress, ScoreRequest
from sealserve.engine.suspects import LONGEST_STEP_SECONDS, WINDOW_SECONDS, Patience, Suspects
from sealserve.errors import BadAdapter, EngineFailed, SealserveError, Unavailable
from sealserve.records.inference import ChatTurn, EngineInfo, EngineState, FinishReason, Sampling
from sealserve.settings.engine import EngineSettings
from sealserve.telemetry import Telemetry
from sealserve.telemetry.names import Attribute, LogEvent, Span

ENGINE_DEAD = "ENGINE_DEAD"
DIED, HUNG, FAILING = "died", "hung", "failing"
LOOK_SECONDS = 0.5
BUSY_SHARE = 0.2
"""Of one core: an engine that uses more than this computes. One that waits uses next to nothing."""

FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS = 1.0, 60.0
LIVENESS_PRIORITY = -1
_PROBE_TURNS = (ChatTurn(role="user", content="Hello."),)


class MortalEngine(Engine, Protocol):
    """An engine that can say how far it has come, and how it died."""

    def progress(self) -> Progress:
        """Return the steps done and the CPU time used since the start."""

    def was_killed(self) -> bool:
        """True if one of its processes was ended by a signal from outside. May block for seconds."""


class Suspicion(StrEnum):
    """What the supervisor thinks of an adapter."""

    CONVICTED = "convicted"  # the engine died while it was tried alone: never to be loaded again
    SUSPENDED = "suspended"  # out of service until it has been tried alone
    CLEARED = "cleared"  # it was suspended, and the engine lived when it was tried alone


OnSuspect = Callable[[tuple[str, ...], Suspicion, str], Awaitable[None]]
"""Is told engine names, what is thought of them, and why."""


@dataclass(slots=True)
class _Suspended:
    """An adapter that is not in service, and since when it waits to be tried alone."""

    files: AdapterFiles
    since_seconds: float


class SupervisedEngine:
    """`Engine` over the engines that `factory` makes, one at a time. Use it from one event loop."""

    def __init__(
        self,
        factory: Callable[[], MortalEngine],
        *,
        settings: EngineSettings,
        on_suspect: OnSuspect,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._factory = factory
        self._settings = settings
        self._on_suspect = on_suspect
        self._telemetry = telemetry or Telemetry.off()
        self._engine: MortalEngine = factory()
        self._state = EngineState.STARTING
        self._rebuilds = 0
        self._files: dict[str, AdapterFiles] = {}  # what should be loaded
        self._suspended: dict[str, _Suspended] = {}
        self._in_use: Counter[str | None] = Counter()  # None is the base model
        self._in_use_at_death: set[str | None] = set()
        self._tried: str | None = None  # what is tried alone now
        self._suspects = Suspects()
        self._patience = Patience(settings.liveness_deadline_seconds)
        self._trouble = asyncio.Event()
        self._progress = Progress(steps=0, cpu_seconds=0.0, slowest_step_seconds=0.0)  # as last seen
        self._last_token_seconds = 0.0
        self._supervision: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("sealserve.engine")

    async def start(self) -> None:
        """Start the first engine and its supervision. Raises: BadConfig, EngineFailed (the first one only)."""
        await self._engine.start()
        self._state = EngineState.SERVING
        self._last_token_seconds = self._now()
        self._supervision = asyncio.create_task(self._keep_alive(), name="engine watch")

    async def close(self) -> None:
        """Stop watching and stop the engine; running requests end with ABORT."""
        self._state = EngineState.STOPPED
        if self._supervision is not None:
            self._supervision.cancel()
            await asyncio.gather(self._supervision, return_exceptions=True)
        await self._engine.close()

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta, None]:
        """Stream the answer. Raises: as `Engine.generate`; Unavailable when the engine dies in the middle."""
        engine = self._serving()
        with self._used(request.adapter, engine):
            async with aclosing(engine.generate(request)) as deltas:  # type: ignore[type-var]
                async for delta in deltas:
                    if delta.finish is FinishReason.ABORT and self._state is EngineState.REBUILDING:
                        raise _rebuilding()
                    self._last_token_seconds = self._now()
                    yield delta

    async def score(self, request: ScoreRequest) -> Likelihood:
        """Return the completion's log-likelihood. Raises: as `Engine.score`."""
        engine = self._serving()
        with self._used(request.adapter, engine):
            likelihood = await engine.score(request)
            self._last_token_seconds = self._now()
            return likelihood

    async def count_tokens(self, turns: tuple[ChatTurn, ...]) -> int:
        """Return how many prompt tokens `turns` make. Raises: InvalidArgument, Unavailable."""
        return await self._serving().count_tokens(turns)

    async def load(self, adapter: AdapterFiles) -> None:
        """Make the adapter answerable by name; one that is suspended is tried alone first.

        Raises: BadAdapter (also: it has killed the engine); Unavailable (ADAPTER_SUSPENDED: the engine is busy, so that
        nothing can be tried alone).
        """
        engine = self._serving()
        if adapter.name in self._suspects.convicted:
            raise BadAdapter("the engine has died under this adapter", defect="killed_engine")
        if adapter.name in self._suspended:
            await self._try_alone(adapter, engine)
            await self._clear(adapter.name)
        else:
            with self._used(adapter.name, engine):
                await engine.load(adapter)
        self._files[adapter.name] = adapter

    async def unload(self, name: str) -> bool:
        """Drop the adapter; False if it was not loaded. Raises: Unavailable."""
        is_dropped = await self._serving().unload(name)
        self._files.pop(name, None)
        return is_dropped

    async def info(self) -> EngineInfo:
        """Return what runs now. Never raises."""
        info = await self._engine.info()
        is_serving = self._state is EngineState.SERVING
        return dataclasses.replace(
            info,
            state=info.state if is_serving and info.state is EngineState.SERVING else self._reported_state(),
            loaded=info.loaded if is_serving else (),
            rebuilds=self._rebuilds,
        )

    def _reported_state(self) -> EngineState:
        return EngineState.REBUILDING if self._state is EngineState.SERVING else self._state

    def _serving(self) -> MortalEngine:
        if self._state is EngineState.REBUILDING:
            raise _rebuilding()
        if self._state is not EngineState.SERVING:
            raise Unavailable(f"the engine is {self._state}", reason="ENGINE_STOPPED", retry_seconds=5)
        return self._engine

    @contextmanager
    def _used(self, adapter: str | None, engine: MortalEngine) -> Iterator[None]:
        """Count the adapter as in use; if `engine` dies meanwhile, remember that it was, and raise the alarm."""
        self._in_use[adapter] += 1
        try:
            yield
        except Unavailable as error:
            if error.reason == ENGINE_DEAD and engine is self._engine:
                self._in_use_at_death.add(adapter)
                self._trouble.set()
            raise
        finally:
            self._in_use[adapter] -= 1

    async def _keep_alive(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._trouble.wait(), LOOK_SECONDS)
            trouble = await self._diagnose()
            self._trouble.clear()
            if trouble:
                await self._rebuild(trouble)
            else:
                await self._try_suspended()

    async def _diagnose(self) -> str:
        """Return DIED, HUNG, FAILING or nothing. Neither silence nor a slow answer proves a hang: standing still does.

        FAILING is an engine that lives and cannot answer the liveness check.
        """
        if self._trouble.is_set() or (await self._engine.info()).state is not EngineState.SERVING:
            return DIED
        if self._has_moved() or self._now() - self._last_token_seconds < self._settings.liveness_seconds:
            return ""
        try:
            await self._await_moving(self._probe_liveness(None))
        except TimeoutError:
            return HUNG
        except SealserveError as error:
            self._log.warning(LogEvent.LIVENESS_PROBE_FAILED, reason=error.reason)
            return DIED if error.reason == ENGINE_DEAD else FAILING
        return ""

    def _has_moved(self) -> bool:
        """Return whether the engine finished a step since this was last asked; if so, that counts as a sign of life."""
        progress, before = self._engine.progress(), self._progress
        self._progress = progress
        if progress.steps == before.steps:
            return False
        self._last_token_seconds = self._now()
        return True

    async def _await_moving(self, work: Coroutine[Any, Any, None], *, patience_seconds: float | None = None) -> None:
        """Wait for `work` as long as the engine moves: finishes steps, or computes one that takes long.

        Raises: TimeoutError (no step and hardly any CPU time for `patience_seconds`, else for as long as `Patience`
        allows), and what `work` raises.
        """
        task = asyncio.ensure_future(work)
        seen, moved_at = self._engine.progress(), self._now()
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=LOOK_SECONDS)
                present, now = self._engine.progress(), self._now()
                is_computing = present.cpu_seconds - seen.cpu_seconds >= BUSY_SHARE * (now - moved_at) > 0
                if present.steps != seen.steps or is_computing:
                    seen, moved_at = present, now
                elif not task.done() and now - moved_at >= (patience_seconds or self._patience_seconds()):
                    raise TimeoutError
            task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _patience_seconds(self, *, base_seconds: float = 0.0) -> float:
        slowest = max(base_seconds, self._engine.progress().slowest_step_seconds)
        return self._patience.seconds(slowest_step_seconds=slowest, at_seconds=self._now())

    async def _patience_alone(self) -> float:
        """Return how long the engine may stand still under an adapter that is tried alone: it is measured on the base.

        Raises: TimeoutError, Unavailable (the engine was lost without any adapter).
        """
        began = self._now()
        await self._await_moving(self._probe_liveness(None), patience_seconds=LONGEST_STEP_SECONDS)
        return self._patience_seconds(base_seconds=self._now() - began)

    async def _probe_liveness(self, adapter: str | None) -> None:
        request = GenerateRequest(
            request_id=f"liveness-{adapter or 'base'}",
            turns=_PROBE_TURNS,
            adapter=adapter,
            sampling=Sampling(max_tokens=1),
            priority=LIVENESS_PRIORITY,
        )
        async for _ in self._engine.generate(request):
            self._last_token_seconds = self._now()

    async def _rebuild(self, trouble: str) -> None:
        self._state = EngineState.REBUILDING
        self._telemetry.metrics.engine_rebuilt(trouble)
        with self._telemetry.span(Span.REBUILD, {Attribute.REASON: trouble}):
            in_use = self._in_use_at_death | {name for name, uses in self._in_use.items() if uses > 0}
            suspects = {name for name in in_use if name is not None}
            was_killed = trouble == DIED and await asyncio.to_thread(self._engine.was_killed)
            self._log.error(LogEvent.ENGINE_LOST, reason=trouble, was_killed=was_killed, in_use=sorted(suspects))
            if trouble == HUNG:
                self._patience.hung(at_seconds=self._now())
            if trouble == DIED and not was_killed:
                await self._blame(in_use, suspects)
            await self._restore(suspects)
        self._in_use_at_death.clear()
        self._tried = None
        self._trouble.clear()
        self._state = EngineState.SERVING
        self._log.info(LogEvent.ENGINE_REBUILT, rebuilds=self._rebuilds, loaded=len(self._files))

    async def _blame(self, in_use: set[str | None], suspects: set[str]) -> None:
        if self._tried is not None and in_use == {self._tried}:
            await self._convict(self._tried)
            return
        suspended = self._suspects.in_use_at_death(suspects, at_seconds=self._now())
        await self._suspend(suspended, "in use at two deaths of the engine")

    async def _restore(self, suspects: set[str]) -> None:
        """Retry, with growing back-off, until an engine runs with every adapter loaded."""
        wait_seconds = FIRST_BACK_OFF_SECONDS
        while True:
            try:
                await self._replace_engine()
                await self._load_all(suspects)
                return
            except (SealserveError, OSError) as error:
                self._log.error(
                    LogEvent.ENGINE_NOT_REBUILT, error_type=type(error).__name__, retry_seconds=wait_seconds
                )
                await asyncio.sleep(wait_seconds)
                wait_seconds = min(2 * wait_seconds, LONGEST_BACK_OFF_SECONDS)

    async def _replace_engine(self) -> None:
        """Raises: EngineFailed (the new one did not start; vLLM raises many classes, so none is named here)."""
        await asyncio.gather(self._engine.close(), return_exceptions=True)
        self._rebuilds += 1
        self._engine = self._factory()
        (failure,) = await asyncio.gather(self._engine.start(), return_exceptions=True)
        if failure is not None:
            raise EngineFailed("the engine did not start again") from failure
        self._last_token_seconds = self._now()

    async def _load_all(self, suspects: set[str]) -> None:
        """Load the suspects last and probe each alone. Raises: EngineFailed (this engine was lost, too).

        Only a death convicts. An engine that stands still under an adapter may be slow, so that adapter is suspended.
        """
        try:
            await together(self._load_again(name) for name in sorted(self._files.keys() - suspects))
            patience_seconds = await self._patience_alone() if suspects else 0.0
        except (Unavailable, TimeoutError) as error:
            raise EngineFailed("the engine was lost again") from error
        for name in sorted(self._files.keys() & suspects):
            try:
                await self._await_moving(self._load_again(name, probe=True), patience_seconds=patience_seconds)
            except TimeoutError as error:
                await self._suspend({name}, "the engine stood still when it was tried alone")
                raise EngineFailed(f"the engine was lost again, under {name}") from error
            except Unavailable as error:
                if not await asyncio.to_thread(self._engine.was_killed):
                    await self._convict(name)
                raise EngineFailed(f"the engine was lost again, under {name}") from error

    async def _load_again(self, name: str, *, probe: bool = False) -> None:
        try:
            await self._engine.load(self._files[name])
            if probe:
                await self._probe_liveness(name)
        except BadAdapter as error:
            del self._files[name]
            self._log.warning(LogEvent.ADAPTER_NOT_RELOADED, adapter=name, defect=error.defect)

    async def _try_suspended(self) -> None:
        """Try what has been suspended for ten minutes, when nothing runs; what the engine survives is cleared."""
        for name, suspended in list(self._suspended.items()):
            if self._now() - suspended.since_seconds < WINDOW_SECONDS or self._in_use.total():
                continue
            suspended.since_seconds = self._now()
            try:
                await self._try_alone(suspended.files, self._engine)
                await self._engine.unload(name)  # whoever wants it loads it again
                await self._clear(name)
            except BadAdapter:
                self._suspended.pop(name, None)  # its files are gone
            except SealserveError as error:
                self._log.warning(LogEvent.LIVENESS_PROBE_FAILED, reason=error.reason, adapter=name)

    async def _try_alone(self, adapter: AdapterFiles, engine: MortalEngine) -> None:
        """Load a suspended adapter and probe it while nothing else runs, and return if the engine lives.

        Raises: Unavailable (something runs; the engine stood still, or died, which convicts it), BadAdapter.
        """
        self._require_quiet()
        is_dead = False
        try:
            patience_seconds = await self._patience_alone()
            self._require_quiet()
            self._tried = adapter.name
            with self._used(adapter.name, engine):
                await self._await_moving(self._load_and_probe(adapter, engine), patience_seconds=patience_seconds)
        except TimeoutError as error:
            raise Unavailable(
                "the engine stands still when it tries this adapter", reason="ADAPTER_SUSPENDED"
            ) from error
        except Unavailable as error:
            is_dead = error.reason == ENGINE_DEAD
            raise
        finally:
            if self._tried == adapter.name and not is_dead:  # else the rebuild has to know
                self._tried = None

    async def _clear(self, name: str) -> None:
        self._suspended.pop(name, None)
        self._suspects.clear(name)
        await self._report({name}, Suspicion.CLEARED, "the engine lived when it was tried alone")

    def _require_quiet(self) -> None:
        if self._in_use.total() or self._tried is not None:
            text = "this adapter is tried alone before it serves again, and the engine is busy"
            raise Unavailable(text, reason="ADAPTER_SUSPENDED", retry_seconds=5)

    async def _load_and_probe(self, adapter: AdapterFiles, engine: MortalEngine) -> None:
        await engine.load(adapter)
        await self._probe_liveness(adapter.name)

    async def _convict(self, name: str) -> None:
        """Never load it again; even if the report fails, `load` refuses it from now on."""
        self._suspects.died_alone_with(name)
        self._files.pop(name, None)
        self._suspended.pop(name, None)
        await self._report({name}, Suspicion.CONVICTED, "the engine died when it was tried alone")

    async def _suspend(self, names: set[str] | frozenset[str], reason: str) -> None:
        for name in names:
            if name in self._files:
                self._suspended[name] = _Suspended(self._files.pop(name), self._now())
        if names:
            await self._report(names, Suspicion.SUSPENDED, reason)

    async def _report(self, names: set[str] | frozenset[str], suspicion: Suspicion, reason: str) -> None:
        try:
            await self._on_suspect(tuple(sorted(names)), suspicion, reason)
        except SealserveError as error:
            self._log.error(LogEvent.SUSPECTS_NOT_REPORTED, adapters=sorted(names), reason=error.reason)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _rebuilding() -> Unavailable:
    return Unavailable("the engine is being started again", reason="ENGINE_REBUILDING", retry_seconds=10)
