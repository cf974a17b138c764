"""vLLM's executor of worker processes, which makes the engine's process end as its worker did.

On the CPU the model is held by a worker, a child of vLLM's engine process, and the worker is what the kernel's OOM
killer takes. The supervisor is no parent of it and cannot read how it ended; the engine's process can, and passes it on
as its own end.
"""

import os
import signal
from multiprocessing.connection import wait
from typing import Any

from vllm.v1.executor.multiproc_executor import MultiprocExecutor

FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, 0)
"""Exit codes of a worker that nothing is known against. It turns SIGTERM into 0."""

_REAP_SECONDS = 2.0  # between the end of a process and its exit code


class CandidExecutor(MultiprocExecutor):  # type: ignore[misc]
    """Ends this process by SIGKILL after its workers were ended from outside."""

    _was_ended_outside = False

    def shutdown(self) -> None:
        """Take the workers down; does not return if they had been ended from outside before."""
        if self.is_failed and not getattr(self, "shutting_down", False):  # a worker ended, and nobody asked it to
            codes = _exit_codes([handle.proc for handle in self.workers])
            self._was_ended_outside = bool(codes) and codes <= set(FROM_OUTSIDE)
        super().shutdown()
        if self._was_ended_outside:
            os.kill(os.getpid(), signal.SIGKILL)


def _exit_codes(processes: list[Any]) -> set[int]:
    """Return how those that have ended did. A process's pipe closes a moment before its exit code can be read."""
    ended = wait([process.sentinel for process in processes], timeout=0)
    for process in processes:
        if process.sentinel in ended:
            process.join(_REAP_SECONDS)
    return {process.exitcode for process in processes if process.exitcode is not None}
