"""Named points at which a test may kill or stop this process.

`SEALSERVE_FAULT="registry.cycles.record_step.before_commit:kill:3"` kills the process, as a power cut would, the
third time that point is reached (the first, without a number); `stop` suspends it there, until somebody sends
SIGCONT. Without the variable a point costs one comparison.
"""

import os
import signal
import threading
from itertools import count

FAULT_POINTS: tuple[str, ...] = (
    "artifacts.put_bytes.before_rename",
    "artifacts.put_bytes.after_rename",
    "artifacts.put_directory.before_rename",
    "artifacts.put_directory.after_rename",
    "registry.documents.add.before_commit",
    "registry.documents.add.after_commit",
    "registry.cycles.record_step.before_commit",
    "registry.cycles.record_step.after_commit",
    "registry.versions.promote.before_commit",
    "registry.versions.promote.after_commit",
    "registry.approvals.approve.before_commit",
    "registry.approvals.approve.after_commit",
    "registry.unlearning.unlearn.before_commit",
    "registry.unlearning.unlearn.after_commit",
    "registry.sweep.before_commit",
    "registry.rollouts.open.before_commit",
    "registry.rollouts.open.after_commit",
    "registry.rollouts.move_stage.before_commit",
    "registry.rollouts.move_stage.after_commit",
    "registry.rollouts.end.before_commit",
    "registry.rollouts.end.after_commit",
    "registry.rollouts.roll_back.before_commit",
    "registry.rollouts.roll_back.after_commit",
)
"""Every point there is; a kill test goes through this list."""

_NAME, _, _WHAT = os.environ.get("SEALSERVE_FAULT", "").partition(":")
_SIGNAL = signal.SIGSTOP if _WHAT.startswith("stop") else signal.SIGKILL
_NTH = int(_WHAT.removeprefix("kill").removeprefix("stop").removeprefix(":") or "1")
_REACHED = count(1)


def point(name: str) -> None:
    """Return at once; kill or stop this process first if `name` is the armed point and its turn has come."""
    if name == _NAME and next(_REACHED) == _NTH:
        signal.pthread_kill(threading.get_ident(), _SIGNAL)  # sent to the process, this thread might run on a while
