"""The clock and the workers of `sealserve learn`: gathers documents into cycles, and runs cycles to their end.

APScheduler is used as the clock only. Any number of processes may work; the one that holds the lease "clock"
does the scheduled work.
"""

import asyncio
import shutil
import time
import traceback
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from sealserve.errors import FailedPrecondition, LeaseLost, SealserveError
from sealserve.learning.cleanup import sweep, tidy
from sealserve.learning.context import LearnContext
from sealserve.learning.cycle import run_cycle
from sealserve.learning.editor.rounds import run_rounds
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.evaluation.nightly import evaluate_active_versions
from sealserve.learning.journal import Journal
from sealserve.learning.leases import under_lease
from sealserve.learning.steps.publish import failure
from sealserve.records.cycles import Claim, Cycle, CycleState, Step
from sealserve.records.step_outputs import Judged, Published, from_json
from sealserve.settings.cron import DAYS, parse_cron
from sealserve.telemetry.names import LogEvent
from sealserve.telemetry.traces import error_type

_LOG = structlog.get_logger(__name__)
T = TypeVar("T")

CLOCK = "clock"
JOB_DEFAULTS = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
"""What is late, after a busy moment or a machine's sleep, runs once, however late."""

MAX_BACKOFF_SECONDS = 30.0
TIDY_SECONDS = 60.0
SWEEP_SECONDS = 3600.0


class Learner:
    """One learning process. It can be killed at any point without loss: the journal records where each cycle stands."""

    def __init__(self, context: LearnContext, *, worker: str) -> None:
        self._context = context
        self._worker = worker
        self._settings = context.settings.learn
        self._lease_seconds = context.settings.registry.lease_seconds
        self._clock_seconds = max(self._lease_seconds, 3 * self._settings.gather_seconds)
        self._refused = ""  # why, when documents were gathered last

    async def run(self, stop: asyncio.Event) -> None:
        """Gather documents and run cycles until `stop` is set; unfinished cycles are then released."""
        clock = AsyncIOScheduler(timezone="UTC", job_defaults=JOB_DEFAULTS)
        clock.add_job(self._gather_as_leader, IntervalTrigger(seconds=self._settings.gather_seconds), name="gather")
        clock.add_job(self._evaluate_as_leader, cron_trigger(self._settings.nightly), name="nightly")
        if rounds := self._settings.editor.rounds:
            clock.add_job(self._run_rounds_as_leader, cron_trigger(rounds), name="editor")
        clock.add_job(self._tidy, IntervalTrigger(seconds=TIDY_SECONDS), name="tidy")
        clock.add_job(self._sweep, IntervalTrigger(seconds=SWEEP_SECONDS), name="sweep")
        await self._tidy()
        await self._sweep()
        clock.start()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._settings.workers):
                    group.create_task(self._work(stop))
        finally:
            clock.shutdown(wait=False)

    async def gather(self) -> int:
        """Open a cycle for every tenant with admitted documents and no open cycle; return how many. Checks no lease.

        Documents too small to be measured alone wait for more: see learn.study.pool_bytes. While the base model is
        refused, all wait.
        """
        if await self._is_refused():
            return 0
        documents, pool_bytes = self._context.registry.documents, self._settings.study.pool_bytes
        tenants = await asyncio.to_thread(documents.tenants_with_admitted, min_bytes=pool_bytes)
        if pool_bytes:
            await asyncio.to_thread(documents.explain_waiting, min_bytes=pool_bytes)
        opened = 0
        for tenant in tenants:
            with suppress(FailedPrecondition):  # a cycle is open already, or somebody else took the documents
                await asyncio.to_thread(
                    self._context.registry.cycles.start,
                    tenant,
                    trigger="schedule",
                    actor=f"worker:{self._worker}",
                    max_documents=self._settings.max_documents_per_cycle,
                )
                opened += 1
        return opened

    async def _is_refused(self) -> bool:
        reason = await asyncio.to_thread(self._context.refusal)
        if reason and reason != self._refused:
            _LOG.warning(LogEvent.LEARNING_REFUSED, error=reason)
        self._refused = reason
        return bool(reason)

    async def work_once(self) -> Cycle | None:
        """Claim one cycle and run it as far as possible; None if there was none to claim.

        A cycle whose attempt fails is released, and the attempt is counted. After too many it ends as FAILED.
        """
        claim = await asyncio.to_thread(
            self._context.registry.cycles.claim, worker=self._worker, lease_seconds=self._lease_seconds
        )
        return await self._run_claimed(claim) if claim else None

    async def _work(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            pause = await _run_unless(stop, self._attempt())
            await _run_unless(stop, asyncio.sleep(pause or 0.0))

    async def _attempt(self) -> float:
        """Run one cycle; return how long to wait before the next."""
        try:
            cycle = await self.work_once()
        except SealserveError as error:
            _LOG.warning(LogEvent.CYCLE_NOT_CLAIMED, error=error.message)
            return self._settings.gather_seconds
        if cycle is None:
            return min(0.5, self._settings.gather_seconds)
        return 0.0 if cycle.state is not CycleState.RUNNING else min(2.0 ** (cycle.attempts - 2), MAX_BACKOFF_SECONDS)

    async def _run_claimed(self, claim: Claim) -> Cycle:
        context, started = self._context, time.monotonic()
        try:
            if await self._count_wasted_claims(claim) > self._settings.max_attempts:
                await self._give_up(claim, "the worker died in it every time")
            else:
                await under_lease(context.registry, claim, run_cycle(context, claim), lease_seconds=self._lease_seconds)
        except LeaseLost as error:
            _LOG.warning(LogEvent.CYCLE_LOST, cycle=claim.cycle, error=error.message)
        except asyncio.CancelledError:
            await asyncio.to_thread(context.registry.cycles.release, claim)
            raise
        except Exception as error:
            await self._handle_failure(claim, error)
        cycle = await asyncio.to_thread(context.registry.cycles.get, claim.tenant, claim.cycle)
        if cycle.state not in (CycleState.PENDING, CycleState.RUNNING):
            await self._finish(cycle, seconds=time.monotonic() - started)
        return cycle

    async def _handle_failure(self, claim: Claim, error: Exception) -> None:
        """Count a failed attempt, and release the cycle or end it. The log contains no text of a document."""
        wasted = await self._count_wasted_claims(claim)
        reason = (
            error.message if isinstance(error, SealserveError) else f"an error inside sealserve: {error_type(error)}"
        )
        _LOG.warning(
            LogEvent.CYCLE_CRASHED, cycle=claim.cycle, attempt=wasted, error_type=error_type(error), at=_location(error)
        )
        with suppress(LeaseLost):
            if wasted >= self._settings.max_attempts:
                await self._give_up(claim, reason)
            else:
                await asyncio.to_thread(self._context.registry.cycles.release, claim)

    async def _count_wasted_claims(self, claim: Claim) -> int:
        """Return how many claims of this cycle, this one included, have recorded no step."""
        cycle = await asyncio.to_thread(self._context.registry.cycles.get, claim.tenant, claim.cycle)
        steps = await asyncio.to_thread(self._context.registry.cycles.steps, claim.cycle)
        return cycle.attempts - len({step.fence for step in steps})

    async def _give_up(self, claim: Claim, why: str) -> None:
        journal = Journal(self._context.registry, claim, telemetry=self._context.telemetry)
        reason = f"gave up after {self._settings.max_attempts} attempts: {why}"
        await journal.step(Step.PUBLISH, Published, lambda: failure(reason))

    async def _finish(self, cycle: Cycle, *, seconds: float) -> None:
        context = self._context
        client = EngineClient(context.engine, tenant=cycle.tenant, cycle=cycle.cycle, concurrency=1)
        await client.drop_leftovers()
        await asyncio.to_thread(shutil.rmtree, context.work_directory(cycle.cycle), ignore_errors=True)
        steps = {step.step: step for step in await asyncio.to_thread(context.registry.cycles.steps, cycle.cycle)}
        judged = steps.get(Step.JUDGE)
        verdict = from_json(Judged, judged.output).verdict.decision if judged else None
        failed = "FAILED" if cycle.state is CycleState.FAILED else ""
        context.telemetry.metrics.cycle_finished(seconds, verdict=verdict, error=failed)
        _LOG.info(LogEvent.CYCLE_FINISHED, cycle=cycle.cycle, state=cycle.state.value, seconds=round(seconds, 1))

    async def _gather_as_leader(self) -> None:
        try:
            if await self._is_leader():
                await self.gather()
        except Exception as error:
            _LOG.warning(LogEvent.DOCUMENTS_NOT_GATHERED, error_type=error_type(error), at=_location(error))

    async def _tidy(self) -> None:
        """Runs without the lease: each machine has its own work directories."""
        try:
            await tidy(self._context)
        except Exception as error:
            _LOG.warning(LogEvent.CLEANUP_FAILED, error_type=error_type(error), at=_location(error))

    async def _sweep(self) -> None:
        try:
            await asyncio.to_thread(sweep, self._context)
        except Exception as error:
            _LOG.warning(LogEvent.ARTIFACT_GC_FAILED, error_type=error_type(error), at=_location(error))

    async def _evaluate_as_leader(self) -> None:
        try:
            if await self._leads_after_all():
                await evaluate_active_versions(self._context)
        except Exception as error:
            _LOG.warning(LogEvent.NIGHTLY_FAILED, error_type=error_type(error), at=_location(error))

    async def _run_rounds_as_leader(self) -> None:
        try:
            if await self._leads_after_all():
                await run_rounds(self._context)
        except Exception as error:
            _LOG.warning(LogEvent.EDITOR_ROUNDS_FAILED, error_type=error_type(error), at=_location(error))

    async def _is_leader(self) -> bool:
        return await asyncio.to_thread(
            self._context.registry.hold, CLOCK, holder=self._worker, lease_seconds=self._clock_seconds
        )

    async def _leads_after_all(self) -> bool:
        """Whether this process is the leader, or follows one that fell silent just before: rare work is not lost."""
        if await self._is_leader():
            return True
        await asyncio.sleep(self._clock_seconds)
        return await self._is_leader()


async def _run_unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what `work` returns, or None when `stop` came first; `work` has then been cancelled and has ended."""
    working, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        stopped.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})


def _location(error: BaseException) -> str:
    """Return file and line where `error` was raised: a traceback's values could hold a document."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def cron_trigger(line: str) -> BaseTrigger:
    """Return the trigger of a cron line, in UTC. Raises: ValueError (it is none)."""
    cron = parse_cron(line)
    every = {"minute": cron.minutes, "hour": cron.hours, "month": cron.months}
    fields = {name: ",".join(map(str, numbers)) for name, numbers in every.items()}
    days = {"day": ",".join(map(str, cron.days))}
    weekdays = {"day_of_week": ",".join(DAYS[n] for n in cron.weekdays)}  # by name: the library's own 0 is Monday
    if not cron.is_either_day:
        return CronTrigger(**fields, **days, **weekdays, timezone="UTC")
    return OrTrigger([CronTrigger(**fields, **chosen, timezone="UTC") for chosen in (days, weekdays)])
