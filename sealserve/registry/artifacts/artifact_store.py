"""The artifact store: bytes and directories by the digest of their contents, in a plain directory.

Everything is written aside, forced to disk and renamed, so a half-written artifact is never visible. Everything
read is checked against its digest first.
"""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from sealserve import fault_injection
from sealserve.canonical import canonical_json
from sealserve.errors import CorruptArtifact, InvalidArgument, NotFound, StorageFailed
from sealserve.registry.sql.database import Clock, utc_now

_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 2**20
_LONGEST_WRITE_SECONDS = 24 * 3600  # a file that is older has no writer any more
_LONGEST_REMOVAL_SECONDS = 60  # and what was taken away before that is put back by nobody
_TAKEN = "taken-"

Manifest: TypeAlias = dict[str, dict[str, str | int]]
Stamp: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""What identifies a checked file as unchanged: name, size, modification time, inode."""


class ArtifactStore:
    """`blobs/` for bytes, `trees/` for directories with their manifests, `aside/` for unfinished work."""

    def __init__(self, directory: Path, *, clock: Clock = utc_now) -> None:
        """Create the missing directories of the store, and delete what killed writers left. Raises: StorageFailed."""
        self._root = directory.absolute()
        self._verified: dict[str, Stamp] = {}
        with _disk_errors(self._root):
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)  # no other user reads what is in it
            for name in ("blobs", "trees", "aside"):
                (self._root / name).mkdir(parents=True, exist_ok=True)
            _clear(self._root / "aside", now=clock().timestamp())

    def put_bytes(self, data: bytes) -> str:
        """Store `data`; return its sha256 digest. A damaged copy is replaced; a sound one gets a new modification time.

        Raises: StorageFailed.
        """
        digest = hashlib.sha256(data).hexdigest()
        final = self._blob(digest)
        with _disk_errors(self._root), self._aside() as aside:
            if final.is_file() and final.read_bytes() == data:
                os.utime(final)
                return digest
            _write(aside, iter((data,)))
            fault_injection.point("artifacts.put_bytes.before_rename")
            _make_directory(final.parent)
            os.replace(aside, final)
            _sync_directory(final.parent)
            fault_injection.point("artifacts.put_bytes.after_rename")
        return digest

    def get_bytes(self, digest: str) -> bytes:
        """Return the bytes with that digest. Raises: NotFound, CorruptArtifact, StorageFailed."""
        path = self._blob(digest)
        with _disk_errors(self._root):
            if not path.is_file():
                raise NotFound(digest, kind="artifact")
            data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise CorruptArtifact(f"artifact {digest} does not match its digest; restore it from a backup")
        return data

    def put_directory(self, path: Path) -> str:
        """Keep a copy of the plain files under `path`; return the digest of their manifest.

        The manifest is canonical JSON: {relative name: {"sha256", "size"}}. A damaged copy is replaced.
        Raises: InvalidArgument (no directory, no files, or something that is not a plain file), StorageFailed.
        """
        names = _plain_names(path)
        with _disk_errors(self._root), self._aside() as aside:
            _make_directory(aside / "files")
            manifest = {name: _copy(path / name, aside / "files" / name) for name in names}
            text = canonical_json(manifest).encode()
            _write(aside / "manifest.json", iter((text,)))
            for folder in sorted(aside.rglob("*/"), reverse=True):
                _sync_directory(folder)
            _sync_directory(aside)
            digest = hashlib.sha256(text).hexdigest()
            self._place(aside, digest)
        return digest

    @contextmanager
    def materialise(self, digest: str) -> Iterator[Path]:
        """Give a local directory with the artifact's files, each checked against the manifest, inside the block.

        Nobody may write the files; the path is absolute and has the form `…/<digest>/files`. It may be gone after the
        block. Raises: NotFound, CorruptArtifact, StorageFailed.
        """
        yield self.directory(digest)

    def verify(self, digest: str) -> None:
        """Return if the directory is stored undamaged. Raises: NotFound, CorruptArtifact, StorageFailed."""
        self.directory(digest)

    def manifest(self, digest: str) -> bytes:
        """Return the manifest of a stored directory, whose digest is `digest`.

        Raises: NotFound, CorruptArtifact, StorageFailed.
        """
        self.verify(digest)
        with _disk_errors(self._root):
            return (self._tree(digest) / "manifest.json").read_bytes()

    def directory(self, digest: str) -> Path:
        """Return the path that `materialise` gives, valid as long as the artifact is stored.

        Only a store on a local disk can do this; use `materialise` where a block is enough. A directory that was
        checked before is hashed again only if it has changed. Raises: as `materialise`.
        """
        return self._on_disk(digest)

    def has(self, digest: str) -> bool:
        """Return whether bytes or a directory with that digest are stored; their contents are not checked."""
        return self._blob(digest).is_file() or self._tree(digest).is_dir()

    def require(self, digests: Iterable[str]) -> None:
        """Return if all are stored, as `has`. Raises: NotFound, naming the first that is not."""
        for digest in digests:
            if not self.has(digest):
                raise NotFound(digest, kind="artifact")

    def put_before(self, moment: float) -> Iterator[str]:
        """Yield the digest of everything that was last put before `moment`, in seconds since the epoch."""
        for path in self._paths():
            with _disk_errors(self._root), suppress(FileNotFoundError):  # somebody removed it meanwhile
                if path.stat().st_mtime < moment:
                    yield path.name

    def digests(self) -> tuple[str, ...]:
        """Return the digest of everything that is stored, in order. Raises: StorageFailed."""
        return tuple(sorted(path.name for path in self._paths()))

    def take_from(self, other: "ArtifactStore", digest: str) -> int:
        """Store what `other` has under the digest, checked on the way; return how many bytes it has.

        Raises: NotFound, CorruptArtifact (it is damaged there; nothing is stored), StorageFailed.
        """
        try:
            files = other.directory(digest)
        except NotFound:
            data = other.get_bytes(digest)
            self.put_bytes(data)
            return len(data)
        if self.put_directory(files) != digest:
            raise _corrupt(digest, "it changed while it was copied")
        return sum(path.stat().st_size for path in files.rglob("*") if path.is_file())

    def drop_copies(self) -> int:
        """Delete what this machine keeps besides the artifacts themselves; return how many: here, nothing."""
        return 0

    def _paths(self) -> Iterator[Path]:
        with _disk_errors(self._root):
            for path in (*self._root.glob("blobs/*/*"), *self._root.glob("trees/*/*")):
                if _DIGEST.fullmatch(path.name):
                    yield path

    def delete(self, digest: str) -> None:
        """Delete the bytes or directory with that digest; no error if there is none. Raises: StorageFailed."""
        with self.removal() as take:
            take(digest)

    @contextmanager
    def removal(self) -> Iterator[Callable[[str], None]]:
        """Give a function that removes an artifact: for good once the block has ended, undone if the block raises.

        Raises: StorageFailed.
        """
        taken: list[tuple[Path, Path]] = []

        def take(digest: str) -> None:
            with _disk_errors(self._root):
                for path in (self._blob(digest), self._tree(digest)):
                    if path.exists():
                        aside = self._root / "aside" / f"{_TAKEN}{secrets.token_hex(12)}"
                        os.rename(path, aside)
                        taken.append((path, aside))

        try:
            yield take
        except BaseException:
            with _disk_errors(self._root):
                for path, aside in taken:
                    _remove(aside) if path.exists() else os.rename(aside, path)
            raise
        with _disk_errors(self._root):
            for path, aside in taken:
                _sync_directory(path.parent)
                _remove(aside)

    def _on_disk(self, digest: str) -> Path:
        tree = self._tree(digest)
        with _disk_errors(self._root):
            if not tree.is_dir():
                raise NotFound(digest, kind="artifact")
            stamp = _stamp(tree)
            if self._verified.get(digest) != stamp:
                _verify(tree, digest)
                self._verified[digest] = stamp
        return tree / "files"

    def _place(self, aside: Path, digest: str) -> None:
        final = self._tree(digest)
        try:
            self._on_disk(digest)
            os.utime(final)
            return
        except NotFound:
            _make_directory(final.parent)
        except CorruptArtifact:
            os.rename(final, self._new_aside())
        fault_injection.point("artifacts.put_directory.before_rename")
        try:
            os.rename(aside, final)
        except OSError as error:  # another process placed the same contents first
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            self._on_disk(digest)
        _sync_directory(final.parent)
        fault_injection.point("artifacts.put_directory.after_rename")

    def _blob(self, digest: str) -> Path:
        return self._root / "blobs" / checked_digest(digest)[:2] / digest

    def _tree(self, digest: str) -> Path:
        return self._root / "trees" / checked_digest(digest)[:2] / digest

    def _new_aside(self) -> Path:
        return self._root / "aside" / secrets.token_hex(12)

    @contextmanager
    def _aside(self) -> Iterator[Path]:
        path = self._new_aside()
        try:
            yield path
        finally:
            _remove(path)


def _clear(aside: Path, *, now: float) -> None:
    """Delete what killed processes left behind: old removals, by the time of their rename, and old writes, by their
    last byte.
    """
    for path in aside.iterdir():
        status = path.lstat()
        is_removal = path.name.startswith(_TAKEN)
        age = now - (status.st_ctime if is_removal else status.st_mtime)
        if age > (_LONGEST_REMOVAL_SECONDS if is_removal else _LONGEST_WRITE_SECONDS):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def checked_digest(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise NotFound(digest, kind="artifact")
    return digest


def _plain_names(path: Path) -> list[str]:
    if not path.is_dir():
        raise InvalidArgument(f"{path.name} is not a directory", field="path")
    names = []
    for folder, folders, files in os.walk(path):
        for name in folders + files:
            found = Path(folder, name)
            relative = found.relative_to(path).as_posix()
            mode = found.lstat().st_mode
            if stat.S_ISREG(mode):
                names.append(relative)
            elif not stat.S_ISDIR(mode):
                raise InvalidArgument(
                    f"{relative} is not a plain file; an artifact contains nothing else", field="path"
                )
    if not names:
        raise InvalidArgument(f"{path.name} contains no files", field="path")
    return sorted(names)


def _copy(source: Path, target: Path) -> dict[str, str | int]:
    hasher, size = hashlib.sha256(), 0

    def chunks(descriptor: int) -> Iterator[bytes]:
        nonlocal size
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            hasher.update(chunk)
            size += len(chunk)
            yield chunk

    _make_directory(target.parent)
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        _write(target, chunks(descriptor))
    finally:
        os.close(descriptor)
    return {"sha256": hasher.hexdigest(), "size": size}


def _write(path: Path, chunks: Iterator[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o440)
    try:
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_directory(path: Path) -> None:
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stamp(tree: Path) -> Stamp:
    found = []
    for path in sorted(tree.rglob("*")):
        status = path.lstat()
        found.append((path.relative_to(tree).as_posix(), status.st_size, status.st_mtime_ns, status.st_ino))
    return tuple(found)


def _verify(tree: Path, digest: str) -> None:
    try:
        text = (tree / "manifest.json").read_bytes()
    except FileNotFoundError as error:
        raise _corrupt(digest, "it has no manifest") from error
    if hashlib.sha256(text).hexdigest() != digest:
        raise _corrupt(digest, "its manifest does not match its digest")
    manifest: Manifest = json.loads(text)
    found = {path.relative_to(tree / "files").as_posix() for path in tree.glob("files/**/*") if not _is_folder(path)}
    if found != set(manifest):
        raise _corrupt(digest, "its files are not those of its manifest")
    for name, expected in manifest.items():
        if _measured(tree / "files" / name) != expected:
            raise _corrupt(digest, f"{name} does not match the manifest")


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)


def _measured(path: Path) -> dict[str, str | int]:
    if not stat.S_ISREG(path.lstat().st_mode):
        return {}
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "size": os.fstat(file.fileno()).st_size}


def _corrupt(digest: str, why: str) -> CorruptArtifact:
    return CorruptArtifact(f"artifact {digest} is damaged: {why}; it is not loaded, restore it from a backup")


@contextmanager
def _disk_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            what = "its disk is full; free some space, then try again"
        else:
            what = f"the disk refused: {os.strerror(error.errno) if error.errno else error}"
        raise StorageFailed(f"artifact store {root}: {what}") from error
