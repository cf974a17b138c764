"""Backups of a whole installation, taken while it runs, and their restoration into a new data directory.

A backup is a directory: the database as a SQLite file, whatever it ran on; the artifacts in a store of their own; the
secrets of the data directory, if wanted; and `backup.json`, written last, with a digest of every file but artifacts,
whose names are their digests.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sealserve.atomic_files import create_file, replace_file
from sealserve.errors import (
    BadAdapter,
    BadConfig,
    CorruptArtifact,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    StorageFailed,
    UnknownSigner,
)
from sealserve.private_files import DIRECTORY_MODE, FILE_MODE, SECRET_FILES
from sealserve.proof.heads import HEAD_FILE, check_head, write_head
from sealserve.proof.keys import KeyRing
from sealserve.proof.manifest import Seals
from sealserve.records.versions import AdapterVersion, VersionState
from sealserve.registry.artifacts.artifact_store import ArtifactStore
from sealserve.registry.artifacts.object_artifacts import open_artifacts
from sealserve.registry.registry import Registry
from sealserve.settings.settings import Settings

FORMAT = 1
MANIFEST_FILE = "backup.json"
DATABASE_FILE = "registry.db"
UNFINISHED_FILE = "restore.unfinished"
"""In a data directory while a restore fills it."""

_TOLD_EVERY = 100  # artifacts
_PAGE = 500

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a backup says of itself. `missing` are artifacts that its database needs and that it has not."""

    format: int
    made_at: str  # ISO 8601, UTC
    release: str
    model: str  # engine.model
    has_secrets: bool
    files: dict[str, str]  # name -> sha256
    artifacts: int
    artifact_bytes: int
    missing: tuple[str, ...]
    audit_rows: int
    audit_head: str  # hash of the newest row


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore has brought back, and what it found. Nothing that it found has been changed or condemned."""

    backup: Backup
    data_directory: str
    tenants: int
    versions: int
    signing_key: str
    is_new_key: bool  # the backup had none: new versions are signed by another key than old ones
    missing: tuple[str, ...]  # artifacts
    not_verified: tuple[str, ...]  # versions, and the audit log: an unknown signer, or not what was signed
    next: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, and every version is verified."""
        return not self.missing and not self.not_verified


def back_up(settings: Settings, registry: Registry, to: Path, *, has_secrets: bool, say: Say) -> Backup:
    """Write a backup into the directory `to`, which must be new or empty. The installation may run meanwhile.

    The database is copied first, and names nothing that came later. An artifact that is damaged or gone is reported in
    `missing` and stops nothing. Raises: FailedPrecondition (`to` is in use), CorruptArtifact (the database, or its
    audit chain), BadConfig (the signing key cannot be read), StorageFailed; what was written so far is then removed.
    """
    ring = KeyRing(settings.data_directory / "keys", registry)
    with _filling(to):
        say("copying the database")
        with closing(registry.copy_to(to / DATABASE_FILE, to / "artifacts")) as copy:
            copy.audit.verify()
            rows, head = copy.audit.head()
            size = _copy_artifacts(registry.artifacts, copy.artifacts, say=say)
            missing = tuple(sorted(one for one in copy.artifact_gc.needed() if not copy.artifacts.has(one)))
            count = len(copy.artifacts.digests())
            with suppress(BadConfig):  # without a trusted signing key there is no head, and the rest is as good
                write_head(copy, ring, to / HEAD_FILE, now=datetime.now(UTC))
        kept = _copy_files(settings.data_directory, to, list(SECRET_FILES) if has_secrets else [])
        if (to / HEAD_FILE).exists():
            kept.append(HEAD_FILE)
        made = Backup(
            format=FORMAT,
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            release=version("sealserve"),
            model=settings.engine.model,
            has_secrets=has_secrets,
            files={name: _sha256(to / name) for name in (DATABASE_FILE, *kept)},
            artifacts=count,
            artifact_bytes=size,
            missing=missing,
            audit_rows=rows,
            audit_head=head,
        )
        text = json.dumps(TypeAdapter(Backup).dump_python(made, mode="json"), indent=1)
        replace_file(to / MANIFEST_FILE, f"{text}\n".encode(), mode=FILE_MODE)
    return made


def read_backup(directory: Path) -> Backup:
    """Return what the backup says of itself, every file checked against it.

    Raises: InvalidArgument (no backup, not finished, or of a newer release), CorruptArtifact (a file differs).
    """
    file = directory / MANIFEST_FILE
    if not file.is_file():
        raise InvalidArgument(f"{directory} is no finished backup: it has no {MANIFEST_FILE}", field="source")
    try:
        found = TypeAdapter(Backup).validate_json(file.read_bytes())
    except ValidationError as error:
        raise InvalidArgument(f"{file} cannot be read by this release", field="source") from error
    if found.format != FORMAT:
        raise InvalidArgument(f"{file} has format {found.format}; this release reads {FORMAT}", field="source")
    for name, digest in found.files.items():
        path = directory / name
        if name not in (DATABASE_FILE, HEAD_FILE, *SECRET_FILES) or not path.is_file() or _sha256(path) != digest:
            raise CorruptArtifact(f"{path} is not what was backed up; use another backup")
    return found


def restore(settings: Settings, source: Path, *, say: Say) -> Restored:
    """Restore the backup in `source` into the data directory and the database of `settings`, both of them empty.

    Everything is checked: files and artifacts by digest, the audit chain, every version's seal. What cannot be verified
    is reported and left as it is. Without a signing key in the backup a new one is made, and trusted beside the old.
    Raises: as `read_backup`; FailedPrecondition (in use), StorageFailed; nothing is left of it then.
    """
    backup = read_backup(source)
    directory = settings.data_directory.absolute()
    _require_unused(directory)
    Registry.require_empty(settings.registry_url)
    with _filling(directory):
        create_file(directory / UNFINISHED_FILE, b"", mode=FILE_MODE)
        names = _copy_files(source, directory, [name for name in backup.files if name != DATABASE_FILE])
        target = open_artifacts(settings.artifact_directory, url=settings.registry.artifacts)
        _copy_artifacts(ArtifactStore(source / "artifacts"), target, say=say)
        say("restoring the database")
        Registry.fill(settings.registry_url, source / DATABASE_FILE)
        with closing(Registry.of(settings)) as registry:
            say("verifying")
            found = _checked(settings, registry, backup, is_new_key="keys/signing.pem" not in names)
        (directory / UNFINISHED_FILE).unlink()
    return found


def _checked(settings: Settings, registry: Registry, backup: Backup, *, is_new_key: bool) -> Restored:
    directory = settings.data_directory.absolute()
    faults = list(_audit_faults(registry, backup))
    ring = KeyRing(directory / "keys", registry)
    faults += _head_faults(registry, ring, directory / HEAD_FILE)
    tenants, versions = _names(registry), list(_ready_versions(registry))
    needed = registry.artifact_gc.needed()
    return Restored(
        backup=backup,
        data_directory=str(directory),
        tenants=len(tenants),
        versions=len(versions),
        signing_key=ring.own_key(),
        is_new_key=is_new_key,
        missing=tuple(sorted(one for one in needed if not registry.artifacts.has(one))),
        not_verified=(*faults, *_not_verified(Seals(ring), versions)),
        next=_advice(backup, directory, is_new_key=is_new_key),
    )


def _advice(backup: Backup, directory: Path, *, is_new_key: bool) -> tuple[str, ...]:
    steps = ["stop the old installation, if it still runs: the two must not answer the same clients"]
    if not backup.has_secrets:
        steps.append(f"the first start makes a new {directory / 'admin.token'}; tokens that you issued go on working")
    if is_new_key:
        steps.append("new versions are signed by a new key; old ones verify as before: sealserve key list")
    steps.append(f"start with engine.model = {backup.model!r}: SEALSERVE_DATA_DIRECTORY={directory} sealserve up")
    steps.append("then look: sealserve doctor; sealserve audit verify")
    return tuple(steps)


def _audit_faults(registry: Registry, backup: Backup) -> Iterator[str]:
    try:
        rows = registry.audit.verify()
    except CorruptArtifact as error:
        yield f"audit log: {error.message}"
        return
    if (rows, registry.audit.head()[1]) != (backup.audit_rows, backup.audit_head):
        yield "audit log: it is not the one that was backed up"


def _head_faults(registry: Registry, ring: KeyRing, file: Path) -> Iterator[str]:
    try:
        check_head(registry, ring, file)
    except (CorruptArtifact, UnknownSigner) as error:
        yield f"audit log: {error.message}"


def _not_verified(seals: Seals, versions: list[AdapterVersion]) -> Iterator[str]:
    for one in versions:
        try:
            seals.require(one)
        except (BadAdapter, UnknownSigner) as error:
            yield f"{one.tenant}/v{one.version}: {error.message}"


def _ready_versions(registry: Registry) -> Iterator[AdapterVersion]:
    for tenant in _names(registry):
        token = ""
        while True:
            page = registry.versions.page(tenant, page_size=_PAGE, page_token=token)
            yield from (one for one in page.items if one.state is VersionState.READY)
            token = page.next_page_token
            if not token:
                break


def _names(registry: Registry) -> list[str]:
    names, token = [], ""
    while True:
        page = registry.tenants.page(page_size=_PAGE, page_token=token)
        names += [one.tenant for one in page.items]
        token = page.next_page_token
        if not token:
            return names


def _copy_artifacts(source: ArtifactStore, target: ArtifactStore, *, say: Say) -> int:
    """Copy every artifact that is whole, checked on the way; return their bytes."""
    digests, size = source.digests(), 0
    for number, digest in enumerate(digests, 1):
        try:
            size += target.take_from(source, digest)
        except CorruptArtifact as error:
            say(error.message)
        except (NotFound, InvalidArgument, StorageFailed):
            if source.has(digest):  # else it was deleted meanwhile
                raise
        if number % _TOLD_EVERY == 0 or number == len(digests):
            say(f"artifacts: {number} of {len(digests)}, {size / 2**20:.1f} MiB")
    return size


def _copy_files(source: Path, target: Path, names: list[str]) -> list[str]:
    """Copy those of the files that exist, for their owner alone; return their names."""
    copied = []
    for name in names:
        if (source / name).is_file():
            (target / name).parent.mkdir(exist_ok=True, mode=DIRECTORY_MODE)
            create_file(target / name, (source / name).read_bytes(), mode=FILE_MODE)
            copied.append(name)
    return copied


@contextmanager
def _filling(directory: Path) -> Iterator[None]:
    """Make the directory, for its owner alone; if the block raises, remove what it wrote.

    Raises: FailedPrecondition (in use), StorageFailed.
    """
    _require_unused(directory)
    was_there = directory.exists()
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=DIRECTORY_MODE)
        try:
            yield
        except BaseException:
            for path in directory.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            if not was_there:
                directory.rmdir()
            raise
    except OSError as error:
        raise StorageFailed(f"{directory}: {error.strerror or error}") from error


def _require_unused(directory: Path) -> None:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise FailedPrecondition(f"{directory} is in use: name a directory that is new or empty", reason="NOT_EMPTY")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
