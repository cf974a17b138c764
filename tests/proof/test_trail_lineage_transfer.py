"""The exported trail, lineage both ways, and adapters that travel."""

import json
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import TypeAdapter

from sealserve.engine.base_model import BaseShape
from sealserve.errors import BadAdapter, CorruptArtifact, FailedPrecondition, InvalidArgument, NotFound, UnknownSigner
from sealserve.proof import lineage, trail
from sealserve.proof.keys import KeyRing
from sealserve.proof.lineage import trace
from sealserve.proof.manifest import Seals
from sealserve.proof.transfer import export, take_in
from sealserve.records.candidates import Recipe
from sealserve.records.cycles import IMPORT_TRIGGER, CycleState, Step
from sealserve.records.feedback import GivenAnswer, Opinion, Thumb
from sealserve.records.versions import AdapterVersion, Lineage
from sealserve.registry import audit
from sealserve.registry.registry import Registry
from tests.engine.tiny_model import make_adapter
from tests.registry.world import FakeClock, World, candidate, finish

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def opened(directory: Path) -> World:
    clock, url = FakeClock(), f"sqlite:///{directory}/registry.db"
    registry = Registry.open(url, directory / "artifacts", clock=clock)
    registry.tenants.create("acme", actor="ann")
    return World(registry=registry, clock=clock, directory=directory, url=url)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return opened(tmp_path)


def published(world: World, seals: Seals, files: Path, *, base_digest: str) -> AdapterVersion:
    """Publish and promote the adapter in `files`, sealed."""
    document = world.document()
    claim = world.claim()
    artifact = world.registry.artifacts.put_directory(files)
    recipe = TypeAdapter(Recipe).dump_python(candidate(claim, 0).recipe, mode="json")
    lineage = Lineage(recipe=recipe, verdict={"decision": "promote"}, base_digest=base_digest)
    manifest = seals.seal(
        tenant="acme", cycle=claim.cycle, artifact_manifest=world.registry.artifacts.manifest(artifact), parent=0,
        documents=[(document.document, document.digest)], self_edits=(), rulings=(), approvals=(), lineage=lineage,
    )  # fmt: skip
    publish = replace(world.publish_effect(claim), artifact=artifact, lineage=replace(lineage, manifest=manifest))
    world.registry.cycles.record_step(
        claim, Step.PUBLISH, {}, seconds=1, effects=[publish, finish(CycleState.PROMOTED)]
    )
    return world.registry.versions.get("acme", 1)


def exported(world: World, path: Path, ring: KeyRing) -> Path:
    with path.open("w") as file:
        trail.write(trail.every_row(world.registry.audit.rows), file, key=ring.signing_key(), now=NOW)
    return path


@pytest.fixture
def file(world: World, tmp_path: Path) -> Path:
    world.version()
    world.version()
    return exported(world, tmp_path / "audit.jsonl", KeyRing(tmp_path / "keys", world.registry))


def test_an_exported_trail_is_whole(world: World, file: Path, tmp_path: Path) -> None:
    trusted = KeyRing(tmp_path / "keys", world.registry).trusted_keys()
    assert trail.check(file, trusted=trusted) == world.registry.audit.verify()
    with pytest.raises(UnknownSigner, match="not trusted here"):
        trail.check(file, trusted=())


def forged_after(line: str) -> str:
    """A row that continues the chain from the one in `line`."""
    last = json.loads(line)
    row = {name: value for name, value in last.items() if name not in ("previous_hash", "hash")}
    row |= {"sequence": last["sequence"] + 1, "actor": "eve"}
    sealed = audit.seal(last["hash"], {**row, "at": datetime.fromisoformat(row["at"])})
    return json.dumps({**row, "previous_hash": last["hash"], "hash": sealed})


def forgeries(lines: list[str]) -> dict[str, list[str]]:
    row = json.loads(lines[2])
    return {
        "edited": [*lines[:2], json.dumps({**row, "actor": "eve"}), *lines[3:]],
        "removed": [*lines[:2], *lines[3:]],
        "first removed": lines[1:],
        "cut off": [*lines[:-2], lines[-1]],
        "moved": [*lines[:2], lines[3], lines[2], *lines[4:]],
        "repeated": [*lines[:3], lines[2], *lines[3:]],
        "without its head": lines[:-1],
        "cut off with its head": lines[:3],
        "continued behind its head": [*lines, forged_after(lines[-2])],
        "two heads": [*lines, lines[-1]],
        "not json": [*lines[:2], "{", *lines[3:]],
        "not a row": [*lines[:2], "[]", *lines[3:]],
    }


def test_any_edit_removal_or_reordering_is_found(world: World, file: Path, tmp_path: Path) -> None:
    trusted = KeyRing(tmp_path / "keys", world.registry).trusted_keys()
    for name, lines in forgeries(file.read_text().splitlines()).items():
        file.write_text("\n".join(lines) + "\n")
        assert not _is_whole(file, trusted), name


def _is_whole(file: Path, trusted: tuple[Ed25519PublicKey, ...]) -> bool:
    try:
        return trail.check(file, trusted=trusted) > 0
    except CorruptArtifact:
        return False


def test_lineage_goes_both_ways(world: World, tmp_path: Path, tiny_base: Path) -> None:
    seals = Seals.open(tmp_path, world.registry)
    version = published(world, seals, make_adapter(tmp_path / "a", tiny_base), base_digest="b" * 64)
    opinion = Opinion(answer_request="r1", version=1, thumb=Thumb.DOWN)
    world.registry.feedback.add("acme", opinion, actor="ann")
    world.version()
    forwards = trace(world.registry, f"acme/{version.documents[0]}")
    assert [one["version"] for one in forwards["versions"]] == [2, 1]
    assert forwards["answers"] == "in use now"
    backwards = trace(world.registry, "acme/v1")
    assert [one["document"] for one in backwards["documents"]] == list(version.documents)
    assert (backwards["children"], backwards["is_sealed"], backwards["author"]) == ([2], True, "ann")
    assert trace(world.registry, "r1") == {"answer": "r1", "thumb": "down", **backwards}
    assert trace(world.registry, "tenants/acme/adapters/v1") == backwards
    given = GivenAnswer(answer_request="r2", tenant="acme", version=1, activation=1, asker="", answered_at=NOW)
    world.registry.answers.keep([given])
    told = {"answer": "r2", "answered_at": NOW.isoformat(), "activation": 1}
    assert trace(world.registry, "r2") == {**told, **backwards}
    assert trace(world.registry, "acme/v0")["made_of"] == "the base model"


def test_lineage_tells_every_activation_however_many_there_are(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.version()
    for _ in range(3):
        world.registry.versions.rollback("acme", expected_etag=None, actor="ann", reason="")
        world.registry.versions.promote("acme", 1, expected_etag=None, actor="ann", reason="")
    monkeypatch.setattr(lineage, "PAGE", 2)
    assert [one["activation"] for one in trace(world.registry, "acme/v1")["activations"]] == [7, 5, 3, 1]


@pytest.mark.parametrize("what", ["acme/v9", "acme/0123456789abcdef", "never", "globex/v1"])
def test_what_never_was_is_not_found(world: World, what: str) -> None:
    with pytest.raises(NotFound):
        trace(world.registry, what)


def test_a_name_of_nothing_says_what_names_there_are(world: World) -> None:
    with pytest.raises(InvalidArgument, match="acme/v3"):
        trace(world.registry, "acme/adapters/three")


def test_an_adapter_travels_and_is_a_candidate_where_it_arrives(
    world: World, tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape
) -> None:
    here = Seals.open(tmp_path, world.registry)
    files = make_adapter(tmp_path / "a", tiny_base)
    version = published(world, here, files, base_digest=tiny_shape.digest)
    file = export(world.registry, here, "acme", 1, to=tmp_path / "one.tar")
    with pytest.raises(InvalidArgument, match="exists already"):
        export(world.registry, here, "acme", 1, to=file)
    (tmp_path / "there").mkdir(exist_ok=True)
    other = opened(tmp_path / "there")
    there = Seals.open(tmp_path / "there", other.registry)
    with pytest.raises(UnknownSigner, match="sealserve key add"):
        take_in(other.registry, there, "acme", file, base=tiny_shape, max_rank=32, actor="bea")
    assert not other.registry.versions.page("acme").items
    own = KeyRing(tmp_path / "keys", world.registry).signing_key().public_key()
    KeyRing(tmp_path / "there/keys", other.registry).trust(own)
    made = take_in(other.registry, there, "acme", file, base=tiny_shape, max_rank=32, actor="bea")
    assert (made.state, made.trigger) == (CycleState.PENDING, IMPORT_TRIGGER)
    [candidate] = other.registry.cycles.candidates(made.cycle)
    assert candidate.artifact == version.artifact
    assert other.registry.imports.origin("acme", made.cycle)["tenant"] == "acme"
    assert not other.registry.versions.page("acme").items
    with pytest.raises(FailedPrecondition, match="still open"):
        take_in(other.registry, there, "acme", file, base=tiny_shape, max_rank=32, actor="bea")


@pytest.mark.parametrize("harm", ["weights", "manifest", "extra", "link", "no tar"])
def test_a_changed_file_imports_nothing(
    world: World, tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape, harm: str
) -> None:
    seals = Seals.open(tmp_path, world.registry)
    published(world, seals, make_adapter(tmp_path / "a", tiny_base), base_digest=tiny_shape.digest)
    file = export(world.registry, seals, "acme", 1, to=tmp_path / "one.tar")
    _damage(file, tmp_path / "unpacked", harm, other=make_adapter(tmp_path / "b", tiny_base, seed=9))
    with pytest.raises((CorruptArtifact, InvalidArgument)):
        take_in(world.registry, seals, "acme", file, base=tiny_shape, max_rank=32, actor="bea")
    assert len(world.registry.versions.page("acme").items) == 1


def test_an_adapter_over_another_base_is_refused(
    world: World, tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape
) -> None:
    seals = Seals.open(tmp_path, world.registry)
    published(world, seals, make_adapter(tmp_path / "a", tiny_base), base_digest="f" * 64)
    file = export(world.registry, seals, "acme", 1, to=tmp_path / "one.tar")
    with pytest.raises(BadAdapter) as refused:
        take_in(world.registry, seals, "acme", file, base=tiny_shape, max_rank=32, actor="bea")
    assert refused.value.defect == "wrong_base"


def _damage(file: Path, folder: Path, harm: str, *, other: Path) -> None:
    if harm == "no tar":
        file.write_bytes(b"not a tar file")
        return
    with tarfile.open(file) as tar:
        tar.extractall(folder, filter="data")
    if harm == "weights":
        (folder / "adapter_model.safetensors").write_bytes((other / "adapter_model.safetensors").read_bytes())
    if harm == "manifest":
        text = (folder / "manifest.dsse.json").read_text()
        (folder / "manifest.dsse.json").write_text(text.replace('"sig": "', '"sig": "A'))
    if harm == "extra":
        (folder / "adapter_model.bin").write_bytes(b"pickle")
    if harm == "link":
        (folder / "adapter_config.json").unlink()
        (folder / "adapter_config.json").symlink_to("/etc/hostname")
    file.unlink()
    with tarfile.open(file, "x") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
