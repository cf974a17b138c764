"""Files that appear whole or not at all, even if the machine loses power: written aside, synced, then put in place."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def replace_file(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write `content` to `path`; readers see the old or the new content. Raises: OSError, and `path` is unchanged."""
    with _written_aside(path, content, mode=mode) as aside:
        os.replace(aside, path)


def create_file(path: Path, content: bytes, *, mode: int = 0o644) -> bool:
    """Write `content` to `path` unless the file exists; return whether this call created it. Raises: OSError.

    If several processes create the same file, the first wins and every one of them then reads its content.
    """
    if path.exists():
        return False
    with _written_aside(path, content, mode=mode) as aside:
        try:
            os.link(aside, path)
        except FileExistsError:
            return False
    return True


@contextmanager
def _written_aside(path: Path, content: bytes, *, mode: int) -> Iterator[Path]:
    """Give a synced file in the directory of `path`; remove it if it is still there, then sync the directory."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield aside
    finally:
        aside.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
