"""The artifact store for several machines: artifacts in an object store, through fsspec, with checked copies on disk.

An object appears whole or not at all, and a directory is there once its manifest is, which is written last. Documents
are read from the object store every time; only directories, which are adapters, are copied to the disk.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sealserve.errors import BadConfig, CorruptArtifact, NotFound, StorageFailed
from sealserve.registry.artifacts.artifact_store import ArtifactStore, Manifest, checked_digest
from sealserve.registry.sql.database import Clock, utc_now

UNUSED_SECONDS = 7 * 24 * 3600
"""A copy that was not used for so long is deleted from the disk."""

_ASIDE_SECONDS = 24 * 3600  # no removal takes as long
_MANIFEST = "manifest.json"
_S3_OPTIONS: dict[str, Any] = {
    "config_kwargs": {"connect_timeout": 5, "read_timeout": 30, "retries": {"max_attempts": 3}}
}
_PROTOCOLS: dict[str, dict[str, Any]] = {"s3": _S3_OPTIONS, "s3a": _S3_OPTIONS, "file": {"auto_mkdir": True}}


def open_artifacts(directory: Path, *, url: str = "", clock: Clock | None = None) -> ArtifactStore:
    """Return the store in `directory`, or the one at `url` (as fsspec reads it) with its copies in `directory`.

    Raises: StorageFailed, BadConfig (the url, or a package that it needs).
    """
    clock = clock or utc_now
    return ObjectArtifactStore(url, directory, clock=clock) if url else ArtifactStore(directory, clock=clock)


class ObjectArtifactStore(ArtifactStore):
    """Artifacts at a URL: `blobs/` for bytes, `trees/` for directories, `aside/` for what is being removed."""

    def __init__(self, url: str, cache: Path, *, clock: Clock = utc_now) -> None:
        """Create the cache; delete what is old in it and what killed writers and removals left.

        Raises: StorageFailed (also while the object store is away), BadConfig (the url).
        """
        super().__init__(cache, clock=clock)
        self._cache, self._url, self._clock = cache.absolute(), url, clock
        self._files, self._base = _file_system(url)
        self._clear_unfinished()
        self.drop_copies()

    def put_bytes(self, data: bytes) -> str:
        """As `ArtifactStore.put_bytes`."""
        digest = hashlib.sha256(data).hexdigest()
        with self._errors():
            self._files.pipe_file(self._blob_object(digest), data)
        return digest

    def get_bytes(self, digest: str) -> bytes:
        """As `ArtifactStore.get_bytes`."""
        with self._errors():
            try:
                data: bytes = self._files.cat_file(self._blob_object(checked_digest(digest)))
            except FileNotFoundError as error:
                raise NotFound(digest, kind="artifact") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise CorruptArtifact(f"artifact {digest} does not match its digest; restore it from a backup")
        return data

    def put_directory(self, path: Path) -> str:
        """As `ArtifactStore.put_directory`. The copy on this disk is made, too."""
        digest = super().put_directory(path)
        tree = self._on_disk(digest).parent
        manifest: Manifest = json.loads((tree / _MANIFEST).read_bytes())
        with self._errors():
            if not self._is_whole(digest, manifest):
                for name in manifest:
                    self._files.put_file(str(tree / "files" / name), f"{self._tree_object(digest)}/files/{name}")
            self._files.pipe_file(f"{self._tree_object(digest)}/{_MANIFEST}", (tree / _MANIFEST).read_bytes())
        return digest

    def directory(self, digest: str) -> Path:
        """As `ArtifactStore.directory`, of the copy on this disk; fetched and checked first if there is none.

        If the object store is unreachable, the copy on the disk is used.
        """
        try:
            manifest = self._manifest_bytes(checked_digest(digest))
        except StorageFailed:
            with suppress(NotFound):
                return self._on_disk(digest)
            raise
        except NotFound:
            self._drop(digest)
            raise
        try:
            path = self._on_disk(digest)
        except (NotFound, CorruptArtifact):
            self._fetch(digest, manifest)
            path = self._on_disk(digest)
        os.utime(path.parent)
        return path

    def has(self, digest: str) -> bool:
        """As `ArtifactStore.has`. Raises: StorageFailed."""
        digest = checked_digest(digest)
        with self._errors():
            return any(map(self._is_object, (self._blob_object(digest), f"{self._tree_object(digest)}/{_MANIFEST}")))

    def put_before(self, moment: float) -> Iterator[str]:
        """As `ArtifactStore.put_before`, by the object store's clock."""
        latest = datetime.fromtimestamp(moment, UTC)
        for digest, path in self._objects():
            with self._errors(), suppress(FileNotFoundError):
                if self._modified(path) < latest:
                    yield digest

    def digests(self) -> tuple[str, ...]:
        """As `ArtifactStore.digests`."""
        return tuple(sorted(digest for digest, _ in self._objects()))

    @contextmanager
    def removal(self) -> Iterator[Callable[[str], None]]:
        """As `ArtifactStore.removal`."""
        taken: list[tuple[str, str]] = []  # (where it belongs, where it is)

        def take(digest: str) -> None:
            with self._errors():
                for path in self._parts_of(checked_digest(digest)):
                    aside = f"{self._base}/aside/{secrets.token_hex(12)}"
                    self._files.cp_file(path, aside)
                    taken.append((path, aside))
                    self._files.rm_file(path)
            self._drop(digest)

        try:
            yield take
        except BaseException:
            with self._errors():
                for path, aside in reversed(taken):  # a manifest last
                    self._files.cp_file(aside, path)
                    self._files.rm_file(aside)
            raise
        with self._errors():
            for _, aside in taken:
                self._files.rm_file(aside)

    def drop_copies(self) -> int:
        """Delete copies that were not used for long, or whose artifact is gone; return how many."""
        oldest = self._clock().timestamp() - UNUSED_SECONDS
        dropped = 0
        for tree in self._cache.glob("trees/*/*"):
            with suppress(FileNotFoundError):
                if tree.stat().st_mtime < oldest or not self.has(tree.name):
                    self._drop(tree.name)
                    dropped += 1
        return dropped

    def _fetch(self, digest: str, manifest: bytes) -> None:
        """Copy the directory to this disk. What is not as the manifest says is refused when it is looked at."""
        names: Manifest = json.loads(manifest)
        with self._aside() as aside, self._errors():
            for name in names:
                target = aside / "files" / _plain(digest, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    self._files.get_file(f"{self._tree_object(digest)}/files/{name}", str(target))
                except FileNotFoundError as error:
                    raise CorruptArtifact(f"artifact {digest} is damaged: {name} is missing") from error
                target.chmod(0o440)
            (aside / _MANIFEST).write_bytes(manifest)
            self._place(aside, digest)

    def _manifest_bytes(self, digest: str) -> bytes:
        with self._errors():
            try:
                data: bytes = self._files.cat_file(f"{self._tree_object(digest)}/{_MANIFEST}")
            except FileNotFoundError as error:
                raise NotFound(digest, kind="artifact") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise CorruptArtifact(f"artifact {digest} is damaged: its manifest does not match its digest")
        return data

    def _is_whole(self, digest: str, manifest: Manifest) -> bool:
        """Whether the object store has every file of the directory, by size."""
        for name, expected in manifest.items():
            try:
                found = self._files.info(f"{self._tree_object(digest)}/files/{name}")
            except FileNotFoundError:
                return False
            if found["size"] != expected["size"]:
                return False
        return True

    def _parts_of(self, digest: str) -> list[str]:
        """Return the objects of an artifact, a directory's manifest first: without it the rest is not there."""
        blob, tree = self._blob_object(digest), self._tree_object(digest)
        files = [path for path in self._found(tree) if not path.endswith(f"/{digest}/{_MANIFEST}")]
        return [path for path in (blob, f"{tree}/{_MANIFEST}") if self._is_object(path)] + files

    def _objects(self) -> Iterator[tuple[str, str]]:
        """Yield each digest, and the object whose time is the artifact's."""
        with self._errors():
            blobs, trees = self._found(f"{self._base}/blobs"), self._found(f"{self._base}/trees")
        for path in blobs:
            yield path.rpartition("/")[2], path
        for path in trees:
            *_, digest, name = path.split("/")
            if name == _MANIFEST and len(digest) == 64:
                yield digest, path

    def _found(self, below: str) -> list[str]:
        try:
            return sorted(map(str, self._files.find(below)))
        except FileNotFoundError:
            return []

    def _is_object(self, path: str) -> bool:
        try:
            self._files.info(path)
        except FileNotFoundError:
            return False
        return True

    def _modified(self, path: str) -> datetime:
        found: datetime = self._files.modified(path)
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    def _clear_unfinished(self) -> None:
        """Delete old files of removals, and of directories whose manifest was never written."""
        oldest = self._clock() - timedelta(seconds=_ASIDE_SECONDS)
        with self._errors():
            files = self._found(f"{self._base}/trees")
            whole = {path.removesuffix(f"/{_MANIFEST}") for path in files if path.endswith(f"/{_MANIFEST}")}
            unfinished = [path for path in files if path.partition("/files/")[0] not in whole and "/files/" in path]
            for path in (*self._found(f"{self._base}/aside"), *unfinished):
                with suppress(FileNotFoundError):
                    if self._modified(path) < oldest:
                        self._files.rm_file(path)

    def _drop(self, digest: str) -> None:
        shutil.rmtree(self._tree(digest), ignore_errors=True)

    def _blob_object(self, digest: str) -> str:
        return f"{self._base}/blobs/{digest[:2]}/{digest}"

    def _tree_object(self, digest: str) -> str:
        return f"{self._base}/trees/{digest[:2]}/{digest}"

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except _store_errors() as error:
            raise StorageFailed(f"artifact store {self._url}: {type(error).__name__}: {error}") from error


def _file_system(url: str) -> tuple[Any, str]:
    """Return the file system and the path in it. Raises: BadConfig."""
    try:
        from fsspec.core import url_to_fs

        options = _PROTOCOLS.get(url.partition("://")[0], {})
        files, base = url_to_fs(url, skip_instance_cache=True, use_listings_cache=False, **options)
    except (ImportError, ValueError) as error:
        text = f"registry.artifacts = {url}: {error}; for s3 install the extra: pip install 'sealserve[s3]'"
        raise BadConfig(text) from error
    return files, str(base).rstrip("/")


def _store_errors() -> tuple[type[Exception], ...]:
    """Return the errors that a file system raises when it is unreachable or refuses, apart from a missing file."""
    try:
        from botocore.exceptions import BotoCoreError
    except ImportError:
        return (OSError,)
    return (OSError, BotoCoreError)


def _plain(digest: str, name: str) -> str:
    """Return the name if it does not lead out of its directory; a second check after the manifest's own."""
    if name.startswith("/") or ".." in Path(name).parts:
        raise CorruptArtifact(f"artifact {digest} is damaged: its manifest names a file outside")
    return name
