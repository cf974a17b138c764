"""Named points at which a test may kill this process. Knows nothing of what happens there.

`SEALSERVE_FAULT="registry.record_step.before_commit:kill:3"` kills the process, as a power cut would, the third
time that point is reached (the first, without a number). Without the variable a point costs one comparison.
"""

import os
import signal
from itertools import count

FAULT_POINTS: tuple[str, ...] = (
    "artifacts.put_bytes.before_rename",
    "artifacts.put_bytes.after_rename",
    "artifacts.put_directory.before_rename",
    "artifacts.put_directory.after_rename",
    "registry.add_document.before_commit",
    "registry.add_document.after_commit",
    "registry.record_step.before_commit",
    "registry.record_step.after_commit",
    "registry.promote.before_commit",
    "registry.promote.after_commit",
    "registry.approve.before_commit",
    "registry.approve.after_commit",
    "registry.forget_document.before_commit",
    "registry.forget_document.after_commit",
)
"""Every point there is; a kill test goes through this list."""

_NAME, _, _WHAT = os.environ.get("SEALSERVE_FAULT", "").partition(":")
_NTH = int(_WHAT.removeprefix("kill").removeprefix(":") or "1")
_REACHED = count(1)


def point(name: str) -> None:
    """Return at once, or never: kill this process if `name` is the armed point and its turn has come."""
    if name == _NAME and next(_REACHED) == _NTH:
        os.kill(os.getpid(), signal.SIGKILL)
