"""Export and import of adapters between installations: the two files of an adapter and its signed manifest.

An import needs the signature of a trusted key over exactly these bytes, and passes the whole gate: what another
installation measured says nothing about the tenants here. An adapter that stock PEFT wrote has no signature; it passes
the same gate.
"""

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sealserve.canonical import Json
from sealserve.engine.base_model import BaseShape
from sealserve.engine.preflight import CONFIG_FILE, WEIGHTS_FILE, check_adapter
from sealserve.errors import BadAdapter, CorruptArtifact, InvalidArgument
from sealserve.proof.manifest import Seals, subjects
from sealserve.proof.peft import write_plain
from sealserve.records.candidates import Recipe
from sealserve.records.cycles import Cycle
from sealserve.registry.registry import Registry

MANIFEST_FILE = "manifest.dsse.json"
MAX_BYTES = 2**32
_FILES = (WEIGHTS_FILE, CONFIG_FILE, MANIFEST_FILE)


def export(registry: Registry, seals: Seals, tenant: str, version: int, *, to: Path) -> Path:
    """Write the version into the tar file `to`, which must not exist yet; return it.

    Raises: NotFound, BadAdapter (not sealed, or not as signed), CorruptArtifact, InvalidArgument (`to` exists).
    """
    found = registry.versions.get(tenant, version)
    seals.require(found)
    try:
        with registry.artifacts.materialise(found.artifact) as files, tarfile.open(to, "x") as tar:
            for name in (WEIGHTS_FILE, CONFIG_FILE):
                _add(tar, name, (files / name).read_bytes())
            _add(tar, MANIFEST_FILE, json.dumps(found.lineage.manifest, indent=1).encode())
    except FileExistsError as error:
        raise InvalidArgument(f"{to} exists already; choose another name", field="to") from error
    return to


def take_in(
    registry: Registry, seals: Seals, tenant: str, file: Path, *, base: BaseShape, max_rank: int, actor: str
) -> Cycle:
    """Open a cycle that measures the adapter in `file` as any candidate is measured; return it.

    Raises: InvalidArgument (no such file, or no export), CorruptArtifact (signature or bytes), BadAdapter (files that
    must not be loaded, or another base), FailedPrecondition (a cycle is open), NotFound (tenant).
    """
    registry.tenants.get(tenant)
    with _unpacked(file) as folder:
        envelope = _json(folder / MANIFEST_FILE)
        statement, signer = seals.statement(envelope)
        (folder / MANIFEST_FILE).unlink()
        check_adapter(folder, base, max_rank=max_rank)
        artifact = registry.artifacts.put_directory(folder)
    if subjects(registry.artifacts.manifest(artifact)) != statement["subject"]:
        raise CorruptArtifact("the adapter's files are not those that were signed; nothing was imported")
    predicate: Json = statement["predicate"]
    if predicate.get("base_digest") != base.digest:
        raise BadAdapter("the adapter was trained on another base model", defect="wrong_base")

    origin = {"tenant": predicate.get("tenant"), "cycle": predicate.get("cycle"), "key": signer, "manifest": envelope}
    return registry.imports.add(tenant, artifact=artifact, recipe=_recipe(predicate), origin=origin, actor=actor)


def take_in_peft(
    registry: Registry, tenant: str, folder: Path, *, base: BaseShape, base_is: str, max_rank: int, actor: str
) -> Cycle:
    """Open a cycle that measures the adapter that stock PEFT wrote into `folder`; return it.

    Nobody has signed it: `base_is` and `actor` are kept in the audit trail as whose word it is that it belongs to this
    base. Raises: InvalidArgument (no such folder), BadAdapter (not served, or another base), FailedPrecondition (a
    cycle is open), NotFound (tenant).
    """
    registry.tenants.get(tenant)
    if not folder.is_dir():
        raise InvalidArgument(f"{folder} is not a folder", field="from_peft")
    with tempfile.TemporaryDirectory(prefix="sealserve-import-") as made:
        plain = Path(made) / "adapter"
        written = write_plain(folder, plain, base, base_is=base_is, max_rank=max_rank)
        check_adapter(plain, base, max_rank=max_rank)
        artifact = registry.artifacts.put_directory(plain)
        digests = {name: _digest(folder / name) for name in (WEIGHTS_FILE, CONFIG_FILE)}
    recipe = Recipe(
        templates=(), rank=written.rank, alpha=written.rank, learning_rate=0.0, epochs=0, batch_size=1,
        loss_on_answers=False, retention=0.0, seed=0,
    )  # fmt: skip
    origin: Json = {"peft": {"base": written.base_name, "files": digests}}
    return registry.imports.add(tenant, artifact=artifact, recipe=recipe, origin=origin, actor=actor)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _recipe(predicate: Json) -> Recipe:
    try:
        return TypeAdapter(Recipe).validate_python(predicate.get("recipe"))
    except ValidationError as error:
        raise InvalidArgument("this release does not know the manifest's recipe", field="file") from error


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o644
    tar.addfile(entry, io.BytesIO(data))


@contextmanager
def _unpacked(file: Path) -> Iterator[Path]:
    """Give a folder with exactly the three files; nothing else of the archive is ever written."""
    with tempfile.TemporaryDirectory(prefix="sealserve-import-") as made:
        folder = Path(made)
        try:
            with tarfile.open(file, "r:") as tar:
                entries = tar.getmembers()
                if sorted(entry.name for entry in entries) != sorted(_FILES) or not all(e.isreg() for e in entries):
                    raise InvalidArgument(f"{file.name} is not an exported adapter: it must hold {', '.join(_FILES)}",
                                          field="file")  # fmt: skip
                if sum(entry.size for entry in entries) > MAX_BYTES:
                    raise InvalidArgument(f"{file.name} exceeds {MAX_BYTES} bytes", field="file")
                for entry in entries:
                    data = tar.extractfile(entry)
                    assert data is not None
                    (folder / entry.name).write_bytes(data.read())
        except (OSError, tarfile.TarError) as error:
            raise InvalidArgument(f"{file} cannot be read as an exported adapter", field="file") from error
        yield folder


def _json(path: Path) -> Json:
    try:
        tree = json.loads(path.read_bytes())
    except ValueError as error:
        raise CorruptArtifact("the manifest is not JSON") from error
    if not isinstance(tree, dict):
        raise CorruptArtifact("the manifest is not a signed envelope")
    return tree
