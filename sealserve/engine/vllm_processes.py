"""vLLM's own processes on a CPU, beside which other work runs: how they wait, and how they end."""

import os
import signal
import time
from multiprocessing.connection import wait
from typing import Any

from vllm.distributed.device_communicators import shm_broadcast
from vllm.v1.executor.multiproc_executor import MultiprocExecutor
from vllm.v1.worker.cpu_worker import CPUWorker

from sealserve.engine.vllm_orphans import watch_parent

_FROM_OUTSIDE = {-signal.SIGKILL, -signal.SIGTERM, 0}
"""Exit codes of a worker that nothing is known against. It turns SIGTERM into 0."""

_REAP_SECONDS = 2.0
_SHORTEST_SLEEP_MS, _LONGEST_SLEEP_MS = 1, 50
_SLEEPS_A_WAIT = 16
"""Wake-ups are lost often, and each then costs the rest of a sleep: a sleep is short beside the wait so far. With 50 ms
every time, a load of an adapter of the embedded model took 125 ms instead of 26, and an answer of eight tokens beside
others 760 ms instead of 291 (medians, by hand, two idle cores)."""


class AsleepCondition(shm_broadcast.SpinCondition):  # type: ignore[misc]
    """Waits asleep where vLLM's own keeps a core busy for a second after each message.

    On two cores the engine's process took one from its worker for as long as anything ran, and both took theirs from
    the trainer. Sleep costs a tiny model's only request some time, and one of 135 million weights nothing to speak of.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.busy_loop_s = -1.0  # the last message is always longer ago

    def wait(self, timeout_ms: int | None = None) -> None:
        """Return when a message may have come, at `timeout_ms`, or when it is time to look."""
        waited_ms = 1000 * (time.monotonic() - self.last_read)
        sleep_ms = int(min(max(waited_ms / _SLEEPS_A_WAIT, _SHORTEST_SLEEP_MS), _LONGEST_SLEEP_MS))
        super().wait(sleep_ms if timeout_ms is None else min(timeout_ms, sleep_ms))


class CandidExecutor(MultiprocExecutor):  # type: ignore[misc]
    """Makes vLLM's engine process end as its workers did, and wait asleep for what they answer.

    On the CPU a worker, a child of that process, holds the model, and is what the kernel ends when memory runs out. The
    supervisor is no parent of it and cannot read how it ended.
    """

    _was_ended_outside = False

    def _init_executor(self) -> None:
        shm_broadcast.SpinCondition = AsleepCondition
        # Forked, as is vLLM's default, the worker has what it would import for 20 s of a core. `serve` must spawn
        # (gRPC's threads), and has set that for all; here no thread runs yet.
        os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "fork"
        super()._init_executor()

    def shutdown(self) -> None:
        """Take the workers down; ends this process by SIGKILL if they had been ended from outside before."""
        has_lost_one = getattr(self, "is_failed", False)  # both are unset where the start failed
        if has_lost_one and not getattr(self, "shutting_down", False):
            codes = _exit_codes([handle.proc for handle in self.workers])
            self._was_ended_outside = bool(codes) and codes <= _FROM_OUTSIDE
        super().shutdown()
        if self._was_ended_outside:
            os.kill(os.getpid(), signal.SIGKILL)


class AsleepWorker(CPUWorker):  # type: ignore[misc]
    """Waits asleep for what the engine's process sends, and ends with it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        shm_broadcast.SpinCondition = AsleepCondition  # before vLLM makes the worker's queues
        watch_parent()  # vLLM's plugins count as loaded in a fork, and their threads are not there
        super().__init__(*arguments, **options)


def _exit_codes(processes: list[Any]) -> set[int]:
    """Return how those that have ended did. A process's pipe closes a moment before its exit code can be read."""
    ended = wait([process.sentinel for process in processes], timeout=0)
    for process in processes:
        if process.sentinel in ended:
            process.join(_REAP_SECONDS)
    return {process.exitcode for process in processes if process.exitcode is not None}
