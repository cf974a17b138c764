"""The training parent: starts child processes, forwards their reports, and accepts only files that pass pre-flight.

Cancelling it kills the children.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from sealserve.atomic_files import replace_file
from sealserve.canonical import Json
from sealserve.concurrency import together
from sealserve.engine.base_model import base_shape
from sealserve.engine.memory_plan import SMALL_BASE_BYTES
from sealserve.engine.preflight import check_adapter
from sealserve.errors import BadAdapter, TrainingFailed
from sealserve.learning.training.executors.base import Child, Executor, Room
from sealserve.learning.training_job import (
    EXIT_BAD_JOB,
    EXIT_DONE,
    EXIT_FAILED,
    JOB_FILE,
    Result,
    TrainedAdapter,
    TrainingJob,
    adapter_path,
    read_result,
)
from sealserve.settings.learn import LearnSettings


class ChildTrainer:
    """Trains in children that `executor` runs."""

    def __init__(self, settings: LearnSettings, *, max_rank: int, executor: Executor) -> None:
        self._settings = settings
        self._max_rank = max_rank
        self._executor = executor

    async def train(
        self, job: TrainingJob, directory: Path, *, on_progress: Callable[[Json], None]
    ) -> tuple[TrainedAdapter, ...]:
        """As `Trainer.train`: the children die when they take too long, when this is cancelled, or with this process.

        Raises: LeaseLost (the device was taken by another), too.
        """
        await asyncio.to_thread(_write_job, job, directory)
        async with self._executor.room() as room:
            await self._train_in(room, job, directory, on_progress=on_progress)
        return await asyncio.to_thread(self._check_results, job, directory)

    async def _train_in(
        self, room: Room, job: TrainingJob, directory: Path, *, on_progress: Callable[[Json], None]
    ) -> None:
        indexes = [attempt.index for attempt in job.attempts]
        processes = min(self._settings.trainer_processes or _processes_for(job.base_directory, room), len(indexes))
        threads = max(1, min(self._settings.threads or room.cores, room.cores) // processes)
        shares = [indexes[place::processes] for place in range(processes)]
        await together(
            self._run(
                room,
                self._build_child(job, directory, shares, place, threads=threads, room=room),
                on_progress=on_progress,
            )
            for place in range(processes)
        )

    async def _run(self, room: Room, child: Child, *, on_progress: Callable[[Json], None]) -> None:
        errors: list[str] = []

        def hear(report: Json) -> None:
            if "error" in report:
                errors.append(str(report["error"]))
            on_progress(report)

        ended = await room.run(child, on_progress=hear)
        if ended.code != EXIT_DONE:
            raise TrainingFailed(_diagnose(ended.code, errors)) from ChildProcessError(ended.last_words)

    def _build_child(
        self, job: TrainingJob, directory: Path, shares: list[list[int]], place: int, *, threads: int, room: Room
    ) -> Child:
        """Threads wait asleep: spinning ones stall each other when serving shares the cores (20 times slower)."""
        return Child(
            arguments=(
                *("-m", "sealserve.learning.multi_lora.main"),
                *("--job", str(directory / JOB_FILE), "--directory", str(directory)),
                *("--children", str(len(shares)), "--threads", str(threads)),
                *("--niceness", str(self._settings.niceness)),
                *(("--check-base",) if room.is_elsewhere else ()),
                *("--candidates", *map(str, shares[place])),
            ),
            environment={
                "OMP_NUM_THREADS": str(threads),
                "OMP_WAIT_POLICY": "PASSIVE",
                "GOMP_SPINCOUNT": "0",
                "HF_HUB_OFFLINE": "1",
                "TOKENIZERS_PARALLELISM": "false",
            },
            threads=threads,
            max_seconds=self._settings.trainer_timeout_seconds,
            reads=(directory / JOB_FILE, job.base_directory / "config.json"),
        )

    def _check_results(self, job: TrainingJob, directory: Path) -> tuple[TrainedAdapter, ...]:
        results = [read_result(directory, attempt.index) for attempt in job.attempts]
        if all(result.failure for result in results):
            raise TrainingFailed("; ".join(result.failure for result in results))
        return tuple(self._check_result(job, directory, result) for result in results if not result.failure)

    def _check_result(self, job: TrainingJob, directory: Path, result: Result) -> TrainedAdapter:
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
            tokens=result.tokens,
            answer_tokens=result.answer_tokens,
            remarks=result.remarks,
        )


def _processes_for(base: Path, room: Room) -> int:
    """One a core for a small base on CPU: single threads do not wait for each other. A large base is kept once."""
    size = sum(file.stat().st_size for file in base.glob("*.safetensors"))
    return room.places if size < SMALL_BASE_BYTES else 1


def _write_job(job: TrainingJob, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    replace_file(directory / JOB_FILE, job.to_json().encode())


def _diagnose(code: int, errors: list[str]) -> str:
    if code in (EXIT_FAILED, EXIT_BAD_JOB) and errors:
        return errors[-1]
    if code == -9:
        return "the training process was killed; most often that is the machine out of memory"
    return f"the training process ended with code {code}"
