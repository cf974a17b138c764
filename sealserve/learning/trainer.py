"""The training parent: starts the child, listens, kills it in time, and believes only files that pass pre-flight.

Knows nothing of what is learned. Cancelling it kills the child.
"""

import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from sealserve.config import LearnSettings
from sealserve.engine.base_model import base_shape
from sealserve.engine.preflight import check_adapter
from sealserve.errors import BadAdapter, TrainingFailed
from sealserve.learning.devices import CPU, DeviceLeases, devices, held, spare
from sealserve.learning.training import (
    EXIT_BAD_JOB,
    EXIT_DONE,
    EXIT_FAILED,
    JOB_FILE,
    Result,
    TrainingJob,
    adapter_path,
    read_result,
)
from sealserve.records import Json

STDERR_BYTES = 2000
"""How much of the child's last words an operator gets to see."""

SMALL_BASE_BYTES = 100 * 10**6

SPARE = "spare"
"""As learn.devices: whichever device does not serve and nobody trains on."""

LEASE_SECONDS = 60.0
LEASE_DIRECTORY = Path(tempfile.gettempdir()) / f"sealserve-devices-{os.getuid()}"
"""Of the machine, not of an installation: two of them do not train on one device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedAdapter:
    """A finished candidate: `path` holds its two files. `losses`, `drift`, `weight_change`: see `training.Result`."""

    index: int
    path: Path
    final_loss: float
    seconds: float
    losses: tuple[float, ...] = ()
    drift: float | None = None
    weight_change: float | None = None


class Trainer(Protocol):
    """Trains the candidates of a job."""

    async def train(
        self, job: TrainingJob, directory: Path, *, heard: Callable[[Json], None]
    ) -> tuple[TrainedAdapter, ...]:
        """Return the candidates, trained; what `directory` holds of the same job already is used.

        One that failed alone is absent. `heard` gets each progress report. Raises: TrainingFailed (none is left).
        """


class ChildTrainer:
    """Trains in a child process on this machine."""

    def __init__(self, settings: LearnSettings, *, max_rank: int) -> None:
        self._settings = settings
        self._max_rank = max_rank

    async def train(
        self, job: TrainingJob, directory: Path, *, heard: Callable[[Json], None]
    ) -> tuple[TrainedAdapter, ...]:
        """As `Trainer.train`: the child dies when it takes too long, when this is cancelled, or with this process."""
        await asyncio.to_thread(_write_job, job, directory)
        async with self._device() as device:
            await self._train_in_children(job, directory, device=device, heard=heard)
        return await asyncio.to_thread(self._all_checked, job, directory)

    @asynccontextmanager
    async def _device(self) -> AsyncIterator[str]:
        """Yield the children's CUDA_VISIBLE_DEVICES, "" to inherit it; a spare device is held meanwhile."""
        if self._settings.devices != SPARE:
            yield self._settings.devices
            return
        found = await asyncio.to_thread(devices)
        free = spare(found, serving=found[0], may_share=False)
        if free == (CPU,):
            yield ""
            return
        if not free:
            raise TrainingFailed("no device is spare: the only one serves; name it in learn.devices to train on it too")
        leases = DeviceLeases(LEASE_DIRECTORY, lease_seconds=LEASE_SECONDS)
        async with held(leases, free, renew_seconds=LEASE_SECONDS / 4) as lease:
            yield lease.device

    async def _train_in_children(
        self, job: TrainingJob, directory: Path, *, device: str, heard: Callable[[Json], None]
    ) -> None:
        indexes = [attempt.index for attempt in job.attempts]
        processes = min(self._settings.trainer_processes or _processes_for(job.base_directory), len(indexes))
        threads = max(1, (self._settings.threads or _cores()) // processes)
        shares = [indexes[place::processes] for place in range(processes)]
        seconds = self._settings.trainer_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                run = partial(self._run, directory, threads=threads, device=device, heard=heard)
                await _all_or_none(run(share) for share in shares)
        except TimeoutError as error:
            raise TrainingFailed(f"training took longer than {seconds:g} s and was stopped") from error

    async def _run(
        self, directory: Path, indexes: list[int], *, threads: int, device: str, heard: Callable[[Json], None]
    ) -> None:
        command = [
            *(sys.executable, "-m", "sealserve.learning.lora_train"),
            *("--job", str(directory / JOB_FILE), "--directory", str(directory)),
            *("--threads", str(threads), "--niceness", str(self._settings.niceness)),
            *("--candidates", *map(str, indexes)),
        ]
        child = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=self._environment(threads, device)
        )
        try:
            said, last_words, code = await asyncio.gather(_listen(child, heard), _last_words(child), child.wait())
        finally:
            await _end(child)
        if code != EXIT_DONE:
            raise TrainingFailed(_diagnosis(code, said)) from ChildProcessError(last_words)

    def _environment(self, threads: int, device: str) -> dict[str, str]:
        """Threads that wait asleep: spinning ones stall each other when serving shares the cores (20 times slower)."""
        fixed = {
            "OMP_NUM_THREADS": str(threads),
            "OMP_WAIT_POLICY": "PASSIVE",
            "GOMP_SPINCOUNT": "0",
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        visible = {"CUDA_VISIBLE_DEVICES": device} if device else {}
        return {**os.environ, **fixed, **visible}

    def _all_checked(self, job: TrainingJob, directory: Path) -> tuple[TrainedAdapter, ...]:
        results = [read_result(directory, attempt.index) for attempt in job.attempts]
        if all(result.failure for result in results):
            raise TrainingFailed("; ".join(result.failure for result in results))
        return tuple(self._checked(job, directory, result) for result in results if not result.failure)

    def _checked(self, job: TrainingJob, directory: Path, result: Result) -> TrainedAdapter:
        path = adapter_path(directory, result.index)
        try:
            check_adapter(path, base_shape(job.base_directory), max_rank=self._max_rank)
        except BadAdapter as error:
            raise TrainingFailed(f"candidate {result.index} is not a sound adapter: {error.message}") from error
        return TrainedAdapter(
            index=result.index,
            path=path,
            final_loss=result.losses[-1],
            seconds=result.seconds,
            losses=result.losses,
            drift=result.drift,
            weight_change=result.weight_change,
        )


def _processes_for(base: Path) -> int:
    """One a core for a small base: single threads do not wait for each other. A large base is kept once."""
    size = sum(file.stat().st_size for file in base.glob("*.safetensors"))
    return _cores() if size < SMALL_BASE_BYTES else 1


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _write_job(job: TrainingJob, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    aside = directory / f".job-{os.getpid()}"
    aside.write_text(job.to_json(), encoding="utf-8")
    aside.rename(directory / JOB_FILE)


async def _all_or_none(runs: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run them together; when one fails, stop the others. Raises: what the first one raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for run in runs:
                group.create_task(run)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _listen(child: Process, heard: Callable[[Json], None]) -> str:
    """Hand on progress; return the error that the child reported, if any."""
    said = ""
    assert child.stdout is not None
    async for line in child.stdout:
        with suppress(ValueError):
            report = json.loads(line)
            said = report.get("error", said)
            heard(report)
    return said


async def _last_words(child: Process) -> str:
    tail = b""
    assert child.stderr is not None
    async for line in child.stderr:
        tail = (tail + line)[-STDERR_BYTES:]
    return tail.decode(errors="replace")


async def _end(child: Process) -> None:
    """Kill the child if it lives, and reap it."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def _diagnosis(code: int, said: str) -> str:
    if code in (EXIT_FAILED, EXIT_BAD_JOB) and said:
        return said
    if code == -9:
        return "the training process was killed; most often that is the machine out of memory"
    return f"the training process ended with code {code}"
