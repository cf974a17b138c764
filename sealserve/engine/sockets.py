"""Where vLLM's processes keep their sockets: in a directory of this process's own, which nobody else can enter.

A killed process leaves its sockets behind; the next one finds them by a lock that nobody holds any more and removes
them. Process numbers would not do: containers that share a temporary directory do not share them.
"""

import atexit
import fcntl
import functools
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "sealserve-engine-"
LOCK = "owner.lock"
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
    aside = Path(tempfile.mkdtemp(prefix="new-", dir=parent))
    made = parent / f"{PREFIX}{os.getpid()}-{aside.name.removeprefix('new-')}"
    if len(str(made)) > LONGEST:
        aside.rmdir()
        return parent
    _lock(aside / LOCK, flags=os.O_CREAT)  # held until this process ends, however it ends
    aside.rename(made)  # only now can others see it: nobody meets it without its lock
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def remove_left_behind(parent: Path) -> None:
    """Remove the directories in `parent` whose owners are gone."""
    for directory in parent.glob(f"{PREFIX}*"):
        held = _lock(directory / LOCK)
        if held is not None:
            shutil.rmtree(directory, ignore_errors=True)
            os.close(held)


def _lock(path: Path, *, flags: int = 0) -> int | None:
    """Return the open file with its lock; None when somebody holds it, or it is not there, or not ours to open."""
    try:
        opened = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(opened)
        return None
    return opened
