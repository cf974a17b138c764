"""Files and directories that only their owner may read: their modes, and how others' access is taken away.

A volume that Kubernetes mounts with fsGroup gives every file to a group
(https://kubernetes.io/docs/tasks/configure-pod-container/security-context/), and a copy or an unpacked archive may give
it to everybody. Both are repaired where the file belongs to this user.
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sealserve.errors import BadConfig

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
_OTHERS = 0o077
_WORLD = 0o007

SECRET_FILES = ("admin.token", "internal.token", "salt.key", "keys/signing.pem")
DATABASE_FILES = ("registry.db", "registry.db-wal", "registry.db-shm", "registry.db.lock")
DIRECTORIES = ("keys", "artifacts", "artifact-copies", "learn", "editors")
_OURS = {
    *(Path(one).parts[0] for one in (*SECRET_FILES, *DATABASE_FILES, *DIRECTORIES)),
    "audit-head.json",
    "restore.unfinished",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """A file or directory that others may open. `is_own`: this user may change its mode."""

    path: Path
    mode: int  # permission bits
    is_own: bool

    @property
    def shown(self) -> str:
        """The path with its mode in octal digits."""
        return f"{self.path} ({self.mode:o})"


def require_private(path: Path) -> None:
    """Return if only its owner may use `path`; take others' access away where this user may.

    A group that comes with a mount is let be where the file is another user's.
    Raises: BadConfig (everybody may read it, and it is not this user's file), OSError.
    """
    found = exposure(path)
    if found is None or repair(found):
        return
    if found.mode & _WORLD:
        raise BadConfig(f"{path} can be read by others: chmod 600 it")


def exposure(path: Path) -> Exposed | None:
    """Return who may open `path` besides its owner, None if nobody may or it does not exist. Raises: OSError."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode):
        status = path.stat()
    mode = stat.S_IMODE(status.st_mode)
    return Exposed(path=path, mode=mode, is_own=status.st_uid == os.geteuid()) if mode & _OTHERS else None


def repair(found: Exposed) -> bool:
    """Take others' access away; return whether it is gone."""
    if not found.is_own:
        return False
    try:
        found.path.chmod(DIRECTORY_MODE if found.path.is_dir() else FILE_MODE)
    except OSError:  # a file system that is read-only or knows no modes
        return False
    return exposure(found.path) is None


def exposed_in(data_directory: Path) -> Iterator[Exposed]:
    """Yield what others may open of the data directory's own files; artifacts are behind their directory.

    The data directory itself only if nothing else is in it: others' files in the same place may be for others.
    """
    places = [data_directory / name for name in (*SECRET_FILES, *DATABASE_FILES, *DIRECTORIES)]
    if is_ours_alone(data_directory):
        places.insert(0, data_directory)
    for place in places:
        try:
            found = exposure(place)
        except OSError:  # in a directory of another user
            continue
        if found is not None:
            yield found


def is_ours_alone(data_directory: Path) -> bool:
    """Return whether everything in the directory was made by sealserve."""
    try:
        return {path.name for path in data_directory.iterdir()} <= _OURS
    except OSError:
        return False


def make_all_private(data_directory: Path, *, tell: Callable[[Exposed, bool], None]) -> None:
    """Take others' access to the data directory's own files away; `tell` hears of each, and whether it is gone."""
    for found in list(exposed_in(data_directory)):
        tell(found, repair(found))
