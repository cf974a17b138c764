"""Reads files below a folder of this machine."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sealserve.sources.connector import (
    MAX_KEY_LENGTH,
    Fetched,
    ItemFailed,
    ItemGone,
    ItemRefused,
    ListedItem,
    Listing,
    SourceFailed,
    Spec,
    Unchanged,
)
from sealserve.sources.item_names import is_included, media_type_of, require_plain

MAX_FOLDER_DEPTH = 16
SETTLE_SECONDS = 3.0
"""A file modified more recently than this may still be being written; the next sync takes it."""


class Folder:
    """The files below `root`. Links are followed as long as they stay below it, as Kubernetes mounts files."""

    def __init__(self, root: Path, *, wall_clock: Callable[[], float] = time.time) -> None:
        """Raises: SourceFailed (no such folder)."""
        self._root = root.resolve()
        self._wall_clock = wall_clock
        self.faults: list[str] = []
        if not self._root.is_dir():
            raise SourceFailed("the folder is not there", reason="NO_FOLDER")

    def names(self, *, most: int) -> Iterator[tuple[str, str]]:
        """Yield (name, token) of every plain file, at most `most`. What cannot be read is added to `faults`."""
        self.faults, left = [], most
        pending: list[tuple[Path, int]] = [(self._root, 0)]
        while pending:
            folder, depth = pending.pop()
            for path in self._listed(folder):
                if path.name.startswith(".") or not self._is_inside(path):
                    continue
                if path.is_dir():
                    if depth < MAX_FOLDER_DEPTH and not path.is_symlink():
                        pending.append((path, depth + 1))
                elif path.is_file():
                    if left <= 0:
                        self.faults.append(f"more than {most} files: the rest is not taken")
                        return
                    left -= 1
                    yield path.relative_to(self._root).as_posix(), _token(path.stat())

    def read(self, name: str, *, max_bytes: int) -> bytes:
        """Return a file's content, whole or not at all. Raises: ItemGone, ItemRefused (too large), ItemFailed (it
        changes, or cannot be read).
        """
        require_plain(name)
        path = self._root / name
        if not self._is_inside(path):
            raise ItemGone(f"{name}: it is not there")
        try:
            descriptor = os.open(path.resolve(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                before = os.fstat(descriptor)
                content = file.read(max_bytes + 1)
                after = os.fstat(descriptor)
        except FileNotFoundError as error:
            raise ItemGone(f"{name}: it is not there") from error
        except OSError as error:
            raise ItemFailed(f"{name}: {error.strerror}", reason="UNREADABLE") from error
        if not stat.S_ISREG(before.st_mode):
            raise ItemRefused(f"{name}: no plain file", reason="NO_PLAIN_FILE")
        if len(content) > max_bytes:
            raise ItemRefused(f"{name}: more than {max_bytes} bytes", reason="TOO_LARGE")
        if _token(before) != _token(after) or self._wall_clock() - after.st_mtime < SETTLE_SECONDS:
            raise ItemFailed(f"{name}: it is still being written", reason="CHANGING")
        return content

    def _listed(self, folder: Path) -> list[Path]:
        try:
            return sorted(folder / name for name in os.listdir(folder))
        except OSError as error:
            shown = folder.relative_to(self._root).as_posix()
            self.faults.append(f"{shown}: {error.strerror}")
            return []

    def _is_inside(self, path: Path) -> bool:
        try:
            return path.resolve(strict=True).is_relative_to(self._root)
        except (OSError, RuntimeError):  # RuntimeError: links in a circle, before Python 3.13
            return False


class FolderConnector:
    """A folder of files in the formats that intake reads, folders within it included."""

    def __init__(self, spec: Spec, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._spec = spec
        self._wall_clock = wall_clock

    def listing(self, cursor: str) -> Listing | Unchanged:
        """Raises: SourceFailed (no folder)."""
        folder = Folder(Path(self._spec.location), wall_clock=self._wall_clock)
        items = [
            ListedItem(key=name, token=token)
            for name, token in folder.names(most=self._spec.limits.max_items)
            if len(name) <= MAX_KEY_LENGTH and is_included(name, self._spec.include)
        ]
        return Listing(items=tuple(items), fault="; ".join(folder.faults[:3]))

    def fetch(self, item: ListedItem, *, validator: str) -> Fetched | Unchanged:
        """Raises: ItemNotFetched, SourceFailed."""
        folder = Folder(Path(self._spec.location), wall_clock=self._wall_clock)
        content = folder.read(item.key, max_bytes=self._spec.limits.max_item_bytes)
        label = f"directory:{self._spec.name}/{item.key}"
        return Fetched(content=content, media_type=media_type_of(item.key), label=label)

    def close(self) -> None:
        """Nothing is held open."""


def _token(status: os.stat_result) -> str:
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}"
