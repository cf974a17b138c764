"""A watched directory: `<directory>/<tenant>/<name>.md|txt|html|pdf` is received, now and when it changes.

Change events only trigger a scan, so a lost event or a network mount costs nothing but a delay. A file is taken once
it has stopped changing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import structlog
from watchfiles import awatch

from sealserve.errors import BadConfig, CallerError, NotFound, SealserveError
from sealserve.intake.inbox import Inbox
from sealserve.intake.media_types import SUFFIXES
from sealserve.telemetry.names import LogEvent

_LOG = structlog.get_logger(__name__)
ACTOR = "directory"

Stamp: TypeAlias = tuple[int, int, int]
"""Size, modification time and inode: what differs when a file was written again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Intervals of the watch."""

    settle_seconds: float = 0.5  # a file is taken once it has not changed for this long
    wake_seconds: float = 0.5  # between looks at files that have not settled
    rescan_seconds: float = 15.0  # between looks at everything, for events that were lost and tenants made later


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
        self._unknown_tenants: set[str] = set()

    async def watch(self, stop: asyncio.Event) -> None:
        """Receive what is there, then what comes, until `stop` is set. A bad file never ends the watch.

        Raises: BadConfig (no such directory at the start).
        """
        if not self._directory.is_dir():
            raise BadConfig(f"intake.watch_directory: {self._directory} is not a directory; create it or unset the key")
        await asyncio.to_thread(self.look)
        last_scan = self._clock()
        async for changed in self._wake_ups(stop):
            is_due = self._clock() - last_scan >= self._pace.rescan_seconds or any(map(Path.is_dir, changed))
            await asyncio.to_thread(self.look, None if is_due else changed)
            last_scan = self._clock() if is_due else last_scan

    def look(self, changed: Iterable[Path] | None = None) -> None:
        """Note the files in `changed` (None: all there are) and take those that have settled. Blocking."""
        for path in self._files() if changed is None else changed:
            self._note(path)
        self._done = {path: stamp for path, stamp in self._done.items() if changed is not None or path.exists()}
        for path, seen in list(self._waiting.items()):
            if self._clock() - seen.since >= self._pace.settle_seconds:
                self._settle(path, seen)

    async def _wake_ups(self, stop: asyncio.Event) -> AsyncIterator[list[Path]]:
        """Yield changed paths as they come, and an empty list every `wake_seconds`, until `stop` is set."""
        milliseconds = max(1, int(self._pace.wake_seconds * 1000))
        async for changes in awatch(
            self._directory, stop_event=stop, rust_timeout=milliseconds, yield_on_timeout=True, debounce=milliseconds
        ):
            yield sorted({Path(path) for _, path in changes})

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob("*/*.*"))

    def _note(self, path: Path) -> None:
        stamp = _stamp(path) if self._is_ours(path) else None
        if stamp is None:
            self._waiting.pop(path, None)
        elif self._done.get(path) != stamp and (path not in self._waiting or self._waiting[path].stamp != stamp):
            self._waiting[path] = _Seen(stamp, self._clock())

    def _is_ours(self, path: Path) -> bool:
        is_placed = path.parent.parent == self._directory
        return is_placed and path.suffix.lower() in SUFFIXES and not path.name.startswith(".")

    def _settle(self, path: Path, seen: _Seen) -> None:
        """Take the file if it still has the stamp it settled with, else wait on."""
        stamp = _stamp(path)
        if stamp != seen.stamp:
            self._note(path)
            return
        if self._take(path, seen.stamp):
            self._done[path] = seen.stamp
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
            _LOG.warning(LogEvent.FILE_REFUSED, source=_source(path), reason=error.reason, error=error.message)
        except (SealserveError, OSError) as error:
            _LOG.warning(LogEvent.FILE_NOT_RECEIVED, source=_source(path), error=str(error))
            return False
        return True

    def _receive(self, path: Path, stamp: Stamp, *, tenant: str) -> None:
        media_type, size = SUFFIXES[path.suffix.lower()].value, stamp[0]
        labels = {"media_type": media_type, "source": _source(path), "actor": ACTOR}
        if size > self._inbox.max_document_bytes:
            self._inbox.note_too_large(tenant, size_bytes=size, title=path.stem, **labels)
            return
        self._inbox.receive(tenant, path.read_bytes(), readmit=False, **labels)

    def _warn_of_tenant(self, tenant: str) -> None:
        if tenant not in self._unknown_tenants:
            self._unknown_tenants.add(tenant)
            _LOG.warning(LogEvent.DIRECTORY_IGNORED, tenant=tenant, reason="NO_TENANT")


def _source(path: Path) -> str:
    """Return the file's label; characters that cannot be shown (a name may hold any bytes) become "\ufffd"."""
    label = f"file:{path.parent.name}/{path.name}"
    return "".join(character if character.isprintable() else "\ufffd" for character in label)


def _stamp(path: Path) -> Stamp | None:
    """Return the stamp of a plain file; None for links, directories and what is gone."""
    try:
        status = path.lstat()
    except OSError:
        return None
    is_plain = path.is_file() and not path.is_symlink()
    return (status.st_size, status.st_mtime_ns, status.st_ino) if is_plain else None
