"""One cycle's journal: a recorded step is read, any other step is run and recorded."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from sealserve.records.cycles import Claim, Step, StepRecord
from sealserve.records.step_outputs import from_json, to_json
from sealserve.registry.registry import Effect, Registry
from sealserve.telemetry import Telemetry
from sealserve.telemetry.names import Attribute, LogEvent, Span

_LOG = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Generic[T]):
    """What a step returns: its output, and the registry rows to write in the same transaction."""

    output: T
    effects: tuple[Effect, ...] = ()


class Journal:
    """The recorded steps of a claimed cycle."""

    def __init__(self, registry: Registry, claim: Claim, *, telemetry: Telemetry) -> None:
        self._registry = registry
        self._claim = claim
        self._telemetry = telemetry
        self._records: dict[Step, StepRecord] = {}

    async def open(self) -> None:
        """Read the recorded steps."""
        records = await asyncio.to_thread(self._registry.cycles.steps, self._claim.cycle)
        self._records = {record.step: record for record in records}

    def recorded(self, step: Step, kind: type[T]) -> T | None:
        """Return the step's output, or None while it is not recorded."""
        record = self._records.get(step)
        return from_json(kind, record.output) if record else None

    def output(self, step: Step, kind: type[T]) -> T:
        """Return the step's output. Raises: LookupError while it is not recorded."""
        return from_json(kind, self._records[step].output)

    async def step(self, step: Step, kind: type[T], act: Callable[[], Awaitable[Done[T]]]) -> T:
        """Return the step's recorded output. Without one, act, then record output and effects in one transaction.

        No transaction is open while `act` runs. Raises: LeaseLost, Conflict (from Publish), and whatever `act` raises;
        then nothing is recorded.
        """
        recorded = self.recorded(step, kind)
        if recorded is not None:
            return recorded
        started = time.monotonic()
        with self._telemetry.span(Span.STEP, {Attribute.STEP: step.value}):
            done = await act()
            seconds = time.monotonic() - started
            record = await asyncio.to_thread(
                self._registry.cycles.record_step,
                self._claim,
                step,
                to_json(done.output),
                seconds=seconds,
                effects=done.effects,
            )
        self._records[step] = record
        self._telemetry.metrics.step_finished(step, seconds)
        _LOG.info(LogEvent.STEP_FINISHED, cycle=self._claim.cycle, step=step.value, seconds=round(seconds, 2))
        return from_json(kind, record.output)
