"""Where vLLM's processes keep their sockets: in a directory of this process's own, which nobody else can enter.

A killed process leaves its sockets behind; the next one finds them by their directory and removes them.
"""

import atexit
import functools
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "sealserve-engine-"
LONGEST = 107 - len("/12345678-1234-1234-1234-123456789012")
"""Of a directory's path: a socket's has 107 characters at most (unix(7)), of which vLLM's names take the rest."""


def socket_directory() -> Path:
    """Return this process's directory, which goes with it; what processes that are gone have left is removed.

    A new one where something else has cleared it away meanwhile. The system's temporary directory itself where a name
    of our own would be too long for a socket. Raises: OSError (no directory can be made).
    """
    if not _made().is_dir():
        _made.cache_clear()
    return _made()


@functools.cache
def _made() -> Path:
    parent = Path(tempfile.gettempdir())
    remove_left_behind(parent)
    made = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
    if len(str(made)) > LONGEST:
        made.rmdir()
        return parent
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def remove_left_behind(parent: Path) -> None:
    """Remove the directories in `parent` whose processes are gone."""
    for directory in parent.glob(f"{PREFIX}*-*"):
        owner = directory.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdecimal() and not _is_alive(int(owner)):
            shutil.rmtree(directory, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    with suppress(PermissionError):  # somebody else's
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
    return True
