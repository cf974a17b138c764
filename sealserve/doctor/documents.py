"""Where documents come from: the watched directory and the sources."""

import os
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from sealserve.doctor.finding import Finding, State
from sealserve.settings.settings import Settings

_SOURCES = ("defusedxml", "dulwich", "feedparser", "s3fs")
_NAMED = 5  # unreadable places that an advice names
_INOTIFY = Path("/proc/sys/fs/inotify")
_MIN_INOTIFY = {"max_user_instances": 128, "max_user_watches": 8192}
"""Linux's own defaults on a small machine; containers and other programs of the user share them."""


def check_watched_directory(settings: Settings) -> Finding:
    """Check that the watched directory can be read, and that the system reports its changes."""
    name, watched = "watched directory", settings.intake.watch_directory
    if watched is None:
        return Finding.of(name, True, "not set; documents are submitted over gRPC")
    if not watched.is_dir():
        return Finding.of(name, False, str(watched), advice="create it, or unset intake.watch_directory")
    if locked := _unreadable(watched):
        advice = f"let the user that runs serve read {', '.join(locked[:_NAMED])}"
        return Finding.of(name, False, f"{watched}: {len(locked)} not readable", advice=advice, bad=State.WARNS)
    if low := [f"{limit} {value}" for limit, value in _inotify_limits() if value < _MIN_INOTIFY[limit]]:
        advice = "raise fs.inotify with sysctl; without change events it is read every 15 seconds"
        return Finding.of(name, False, f"{watched}: {', '.join(low)}", advice=advice, bad=State.WARNS)
    return Finding.of(name, True, str(watched))


def check_sources(settings: Settings) -> Finding:
    """Check that every kind of source can be read here; no source is asked."""
    name, local = "sources", settings.sources.local_directory
    if missing := [package for package in _SOURCES if find_spec(package) is None]:
        advice = "pip install 'sealserve[sources,documents]'"
        return Finding.of(name, False, f"not installed: {', '.join(missing)}", advice=advice, bad=State.WARNS)
    if local is not None and not local.is_dir():
        advice = "create it with a folder for each tenant, or unset sources.local_directory"
        return Finding.of(name, False, f"{local} is not there", advice=advice, bad=State.WARNS)
    return Finding.of(name, True, "every kind can be read" if local else "every kind but local files can be read")


def _unreadable(watched: Path) -> list[str]:
    """Return the directory, the folders in it and a few of their files that this process may not read."""
    found: list[str] = []
    places = [watched]
    for place in places:
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError:
            found.append(str(place))
            continue
        if place == watched:
            places += [Path(entry) for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
        files = (entry.path for entry in entries if entry.is_file() and not os.access(entry.path, os.R_OK))
        found += islice(files, _NAMED)
    return found


def _inotify_limits() -> Iterator[tuple[str, int]]:
    """Yield the system's limits of change events; none where it has no such limits."""
    for limit in _MIN_INOTIFY:
        with suppress(OSError, ValueError):
            yield limit, int((_INOTIFY / limit).read_text())
