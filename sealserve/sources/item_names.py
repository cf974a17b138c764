"""Decides by name which files of a source are taken, and which format they have."""

import re
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from sealserve.intake.media_types import SUFFIXES
from sealserve.sources.connector import MAX_KEY_LENGTH, ItemRefused

_DRIVE = re.compile(r"[A-Za-z]:")

READABLE = frozenset(SUFFIXES)
"""Endings of the formats that intake reads."""


def is_included(name: str, include: Sequence[str], *, suffixes: Collection[str] = READABLE) -> bool:
    """Return whether a file of that name is taken: it matches a pattern of `include` or, without patterns, has one of
    `suffixes`.

    Names below a hidden folder are never taken. Without patterns and suffixes every other name is.
    """
    path = PurePosixPath(name)
    if any(part.startswith(".") and part not in (".", "..") for part in path.parts):
        return False
    if include:
        return any(fnmatchcase(name, pattern) or fnmatchcase(path.name, pattern) for pattern in include)
    return not suffixes or path.suffix.lower() in suffixes


def require_plain(name: str) -> None:
    """Return if the name does not lead out of the folder in which it is looked up. Raises: ItemRefused."""
    is_climbing = ".." in PurePosixPath(name.replace("\\", "/")).parts
    if not name or name.startswith(("/", "\\")) or is_climbing or "\0" in name or _DRIVE.match(name):
        raise ItemRefused(f"{name[:200]!r} is no name of a file below the source", reason="BAD_NAME")
    if len(name) > MAX_KEY_LENGTH:
        raise ItemRefused(f"a name has at most {MAX_KEY_LENGTH} characters", reason="BAD_NAME")


def media_type_of(name: str) -> str:
    """Return the media type by the ending of the name; plain text if it says nothing."""
    known = SUFFIXES.get(PurePosixPath(name).suffix.lower())
    return known.value if known is not None else "text/plain"
