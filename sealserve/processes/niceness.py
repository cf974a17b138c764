"""Lowers the priority of background work, also where Linux groups processes by session.

Where autogroups are on, the processes of a session form one group, and their niceness counts among themselves only: how
much CPU time a session gets beside another depends on the niceness of its group (sched(7), "The autogroup feature").
"""

import errno
import os
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")
IS_GROUPED = Path("/proc/sys/kernel/sched_autogroup_enabled")

_TRIES, _RETRY_SECONDS = 20, 0.1  # the kernel takes ten changes a second from all users together (autogroup.c)


class SessionNiceness(StrEnum):
    """What became of a session's niceness."""

    SET = "set"  # its processes yield to those of other sessions
    NEEDLESS = "needless"  # Linux does not group processes by session: a process's own niceness counts everywhere
    FOREIGN = "foreign"  # another process leads the session, and decides
    REFUSED = "refused"  # the system does not let it be changed


def lower_priority(niceness: int) -> SessionNiceness:
    """Make this process yield to others, and its session too, if this process leads it. Blocks for 2 s at most."""
    os.nice(niceness)
    return lower_session_priority(niceness)


def lower_session_priority(niceness: int) -> SessionNiceness:
    """Give this process's session a niceness of at least `niceness`, if this process leads it.

    A higher one stays. Blocks for 2 s at most.
    """
    if not is_grouped_by_session():
        return SessionNiceness.NEEDLESS
    if os.getsid(0) != os.getpid():
        return SessionNiceness.FOREIGN
    for _ in range(_TRIES):
        try:
            if niceness > _present():
                AUTOGROUP.write_text(str(niceness), encoding="ascii")
            return SessionNiceness.SET
        except OSError as error:
            if error.errno != errno.EAGAIN:
                return SessionNiceness.REFUSED
        time.sleep(_RETRY_SECONDS)
    return SessionNiceness.REFUSED


def is_grouped_by_session() -> bool:
    """Return whether niceness counts within a session only."""
    try:
        return AUTOGROUP.exists() and IS_GROUPED.read_text(encoding="ascii").strip() == "1"
    except OSError:
        return False


def _present() -> int:
    """Return the session's niceness; the file reads like "/autogroup-5260 nice 0", or is empty in the root group."""
    with suppress(ValueError, IndexError):
        return int(AUTOGROUP.read_text(encoding="ascii").split()[-1])
    return 0
