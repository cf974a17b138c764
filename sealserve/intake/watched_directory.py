"""A watched directory: `<directory>/<tenant>/<name>.md`, or another ending of `SUFFIXES`, is received now and when it
changes.

Change events only trigger a scan, so a lost event, a network mount or a system out of watches costs nothing but a
delay. A file is taken once it has stopped changing. What cannot be taken is named in the log once, and tried again.
"""

import asyncio
import os
import stat
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import structlog
from watchfiles import awatch

from sealserve.errors import CallerError, NotFound, SealserveError
from sealserve.intake.inbox import Inbox
from sealserve.intake.media_types import SUFFIXES
from sealserve.telemetry.names import LogEvent

_LOG = structlog.get_logger(__name__)
ACTOR = "directory"
_UNSHOWN = "\ufffd"

Stamp: TypeAlias = tuple[int, int, int]
"""Size, modification time and inode: what differs when a file was written again."""


class Ignored(StrEnum):
    """Why something in the directory is not taken."""

    NO_TENANT_FOLDER = "NO_TENANT_FOLDER"  # a file beside the tenants' folders
    NESTED_FOLDER = "NESTED_FOLDER"  # a folder inside a tenant's folder
    UNKNOWN_SUFFIX = "UNKNOWN_SUFFIX"
    LINK_OUTSIDE = "LINK_OUTSIDE"  # a link that leads out of the directory, or nowhere
    NO_PLAIN_FILE = "NO_PLAIN_FILE"  # a pipe, socket or device
    UNREADABLE = "UNREADABLE"  # this process may not look into it


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Intervals of the watch."""

    settle_seconds: float = 3.0  # a file is taken once it has not changed for this long: slow writers pause
    wake_seconds: float = 0.25  # between looks at files that have not settled
    rescan_seconds: float = 15.0  # between looks at everything, for events that were lost and tenants made later
    take_seconds: float = 10.0  # spent on taking files before what has changed meanwhile is looked at
    retry_seconds: float = 300.0  # between attempts to get change events where the system gave none


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file that waits to settle: its stamp, and since when it has had it."""

    stamp: Stamp
    since: float


class DirectorySource:
    """Feeds an inbox from a directory. Files are only read, never moved or deleted."""

    def __init__(
        self, inbox: Inbox, directory: Path, *, pace: Pace | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._inbox = inbox
        self._directory = directory.resolve()
        self._pace = pace or Pace()
        self._clock = clock
        self._waiting: dict[Path, _Seen] = {}
        self._done: dict[Path, Stamp] = {}
        self._ignored: dict[Path, Ignored] = {}
        self._failures: dict[Path, str] = {}
        self._unknown_tenants: set[str] = set()
        self._trouble = ""

    async def watch(self, stop: asyncio.Event) -> None:
        """Receive what is there, then what comes, until `stop` is set. Nothing in the directory, and not its absence,
        ends the watch.
        """
        last_scan = -self._pace.rescan_seconds
        async for changed in self._wake_ups(stop):
            is_due = self._clock() - last_scan >= self._pace.rescan_seconds or any(map(os.path.isdir, changed))
            try:
                await asyncio.to_thread(self.look, None if is_due else changed)
            except (OSError, ValueError, SealserveError) as error:
                self._warn_of_trouble(error)
            last_scan = self._clock() if is_due else last_scan

    def look(self, changed: Iterable[Path] | None = None) -> None:
        """Note the files in `changed` (None: all there are) and take those that have settled. Blocking.

        Raises: OSError (the directory itself cannot be read).
        """
        if changed is None:
            self._scan()
        else:
            for path in changed:
                self._note(path)
        self._take_settled()

    async def _wake_ups(self, stop: asyncio.Event) -> AsyncIterator[list[Path]]:
        """Yield changed paths as they come, and an empty list every `wake_seconds`, until `stop` is set.

        Where the system gives no change events, only empty lists come: the scans find what has changed.
        """
        milliseconds = max(1, int(self._pace.wake_seconds * 1000))
        yield []
        while not stop.is_set():
            try:
                async for changes in awatch(
                    self._directory,
                    stop_event=stop,
                    rust_timeout=milliseconds,
                    yield_on_timeout=True,
                    debounce=milliseconds,
                    ignore_permission_denied=True,
                ):
                    yield sorted({Path(path) for _, path in changes})
            except (OSError, RuntimeError) as error:  # the directory is gone; no inotify instance or watch is left
                self._warn_of_trouble(error)
            next_attempt = self._clock() + self._pace.retry_seconds
            while not stop.is_set() and self._clock() < next_attempt:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._pace.wake_seconds)
                yield []

    def _warn_of_trouble(self, error: Exception) -> None:
        if str(error) != self._trouble:
            self._trouble = str(error)
            _LOG.warning(
                LogEvent.DIRECTORY_NOT_WATCHED,
                directory=str(self._directory),
                error=self._trouble,
                rescan_seconds=self._pace.rescan_seconds,
            )

    def _scan(self) -> None:
        """Note every file, and warn of what is not taken unless it was warned of. Raises: OSError."""
        found: dict[Path, Ignored] = {}
        present: set[Path] = set()
        for path, why in self._entries():
            present.add(path)
            if why is None:
                self._note(path)
            else:
                found[path] = why
        for path, why in found.items():
            if self._ignored.get(path) is not why:
                _LOG.warning(LogEvent.FILE_IGNORED, source=self._label(path), reason=why.value)
        self._ignored = found
        self._done = {path: stamp for path, stamp in self._done.items() if path in present}
        self._failures = {path: error for path, error in self._failures.items() if path in present}

    def _entries(self) -> Iterator[tuple[Path, Ignored | None]]:
        """Yield every file, and whatever else lies where files are looked for, with the reason to ignore it."""
        for folder in _listed(self._directory):
            if _is_hidden(folder):
                continue
            if not os.path.isdir(folder):
                yield folder, Ignored.NO_TENANT_FOLDER
            elif not self._is_inside(folder):
                yield folder, Ignored.LINK_OUTSIDE
            else:
                yield from self._files_in(folder)

    def _files_in(self, folder: Path) -> Iterator[tuple[Path, Ignored | None]]:
        try:
            paths = _listed(folder)
        except OSError:
            yield folder, Ignored.UNREADABLE
            return
        for path in paths:
            if not _is_hidden(path):
                yield path, self._reason_to_ignore(path)

    def _reason_to_ignore(self, path: Path) -> Ignored | None:
        if os.path.isdir(path):
            return Ignored.NESTED_FOLDER
        if path.suffix.lower() not in SUFFIXES:
            return Ignored.UNKNOWN_SUFFIX
        if not self._is_inside(path):
            return Ignored.LINK_OUTSIDE
        return None if os.path.isfile(path) else Ignored.NO_PLAIN_FILE

    def _is_inside(self, path: Path) -> bool:
        """Whether the path, with all links followed, exists inside the directory."""
        try:
            return path.resolve(strict=True).is_relative_to(self._directory)
        except (OSError, RuntimeError):  # RuntimeError: links in a circle, before Python 3.13
            return False

    def _note(self, path: Path) -> None:
        stamp = self._stamp(path)
        if stamp is None:
            self._waiting.pop(path, None)
        elif self._done.get(path) != stamp and (path not in self._waiting or self._waiting[path].stamp != stamp):
            self._waiting[path] = _Seen(stamp, self._clock())

    def _stamp(self, path: Path) -> Stamp | None:
        """Return the stamp of a file that may be taken; None for anything else, and for what is gone."""
        is_placed = path.parent.parent == self._directory and not _is_hidden(path) and not _is_hidden(path.parent)
        try:
            if not is_placed or self._reason_to_ignore(path) is not None:
                return None
            return _stamp_of(path.stat())
        except OSError:
            return None

    def _take_settled(self) -> None:
        """Take files that have settled, tenants in turns: one with many slow files holds up others by one file."""
        now = self._clock()
        settled: dict[Path, deque[Path]] = defaultdict(deque)
        for path, seen in self._waiting.items():
            if now - seen.since >= self._pace.settle_seconds:
                settled[path.parent].append(path)
        while settled and self._clock() - now < self._pace.take_seconds:
            for folder, paths in list(settled.items()):
                self._settle(paths.popleft())
                if not paths:
                    del settled[folder]

    def _settle(self, path: Path) -> None:
        """Take the file if it still has the stamp it settled with, else wait on."""
        seen = self._waiting[path]
        if self._stamp(path) != seen.stamp:
            self._note(path)
            return
        if self._take(path, seen.stamp):
            self._done[path] = seen.stamp
            self._failures.pop(path, None)
        del self._waiting[path]

    def _take(self, path: Path, stamp: Stamp) -> bool:
        """Return True when the file needs no second try; False brings it back at the next full scan."""
        tenant = path.parent.name
        try:
            self._receive(path, stamp, tenant=tenant)
        except NotFound:
            self._warn_of_tenant(tenant)
            return False
        except CallerError as error:
            _LOG.warning(LogEvent.FILE_REFUSED, source=self._label(path), reason=error.reason, error=error.message)
        except (SealserveError, OSError) as error:
            if self._failures.get(path) != str(error):
                self._failures[path] = str(error)
                _LOG.warning(LogEvent.FILE_NOT_RECEIVED, source=self._label(path), error=str(error))
            return False
        return True

    def _receive(self, path: Path, stamp: Stamp, *, tenant: str) -> None:
        media_type, size = SUFFIXES[path.suffix.lower()].value, stamp[0]
        labels = {"media_type": media_type, "source": self._label(path), "actor": ACTOR}
        if size > self._inbox.max_file_bytes:
            self._inbox.note_too_large(tenant, size_bytes=size, title=path.stem, **labels)
            return
        if _UNSHOWN in labels["source"]:  # another file may have the same label
            self._inbox.receive(tenant, _content(path, stamp), readmit=False, **labels)
        else:
            self._inbox.receive_version(tenant, _content(path, stamp), **labels)

    def _warn_of_tenant(self, tenant: str) -> None:
        if tenant not in self._unknown_tenants:
            self._unknown_tenants.add(tenant)
            _LOG.warning(LogEvent.DIRECTORY_IGNORED, tenant=tenant, reason="NO_TENANT")

    def _label(self, path: Path) -> str:
        """Return the file's label; characters that cannot be shown (a name may hold any bytes) become "\ufffd"."""
        label = f"file:{path.relative_to(self._directory).as_posix()}"
        return "".join(character if character.isprintable() else _UNSHOWN for character in label)


def _listed(folder: Path) -> list[Path]:
    """Return what lies in a folder, by name. Raises: OSError."""
    return sorted(folder / name for name in os.listdir(folder))


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _stamp_of(status: os.stat_result) -> Stamp:
    return status.st_size, status.st_mtime_ns, status.st_ino


def _content(path: Path, stamp: Stamp) -> bytes:
    """Return the content of the file that has `stamp`. Raises: OSError (it cannot be read, or is another one now)."""
    descriptor = os.open(path.resolve(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or _stamp_of(status) != stamp:
            raise OSError("it changed while it was opened")
        return file.read(stamp[0])
