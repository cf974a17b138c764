"""Manifests: what is signed is what is loaded; a single changed byte, row or key is found."""

import base64
import json
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sealserve.canonical import Json
from sealserve.errors import BadAdapter, BadConfig, FailedPrecondition, UnknownSigner
from sealserve.policy.enforcement import RECOVERY, PolicyEnforcer
from sealserve.policy.rulebook import open_rules
from sealserve.proof.dsse import key_id, opened, sign
from sealserve.proof.keys import ACTOR, KeyRing, pem_of
from sealserve.proof.manifest import Seals, find_unknown_signers
from sealserve.records.cycles import CycleState, Step
from sealserve.records.keys import key_name
from sealserve.records.versions import AdapterVersion, Lineage
from sealserve.registry.registry import AddSelfEdits, Effect, Registry
from tests.registry.world import FakeClock, World, finish, self_edit

LINEAGE = Lineage.from_json(
    {
        "recipe": {"rank": 8, "seed": 7},
        "scores": {"confirm": {"n": 20, "gain": 0.9}},
        "verdict": {"decision": "hold", "policy_digest": "d" * 64},
        "base_digest": "b" * 64,
        "settings_digest": "c" * 64,
        "of_a_later_release": {"kept": [1, 2]},
    }
)


def manifest_of(version: AdapterVersion) -> Json:
    """Return the version's signed envelope."""
    assert version.lineage.manifest is not None
    return version.lineage.manifest


@pytest.fixture
def seals(world: World) -> Seals:
    return Seals.open(world.directory, world.registry)


def open_world(directory: Path) -> World:
    """Another installation."""
    clock, url = FakeClock(), f"sqlite:///{directory}/registry.db"
    registry = Registry.open(url, directory / "artifacts", clock=clock)
    registry.tenants.create("acme", actor="ann")
    return World(registry=registry, clock=clock, directory=directory, url=url)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return open_world(tmp_path)


@pytest.fixture
def version(world: World, seals: Seals) -> AdapterVersion:
    """A published version with its manifest."""
    document = world.document()
    claim = world.claim()
    publish = world.publish_effect(claim, promote=False)
    edits = (self_edit(claim, document.document),)
    manifest = seals.seal(
        tenant="acme",
        cycle=claim.cycle,
        artifact_manifest=world.registry.artifacts.manifest(publish.artifact),
        parent=publish.parent,
        documents=[(document.document, document.digest)],
        self_edits=edits,
        rulings=(),
        approvals=(),
        lineage=LINEAGE,
    )
    publish = replace(publish, lineage=replace(LINEAGE, manifest=manifest))
    effects: list[Effect] = [AddSelfEdits(edits=edits), publish, finish(CycleState.HELD)]
    world.registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=1, effects=effects)
    return world.registry.versions.get("acme", 1)


def test_a_version_as_it_was_published_is_loaded(seals: Seals, version: AdapterVersion) -> None:
    seals.require(version)
    statement, signer = seals.statement(manifest_of(version))
    assert statement["subject"][0]["digest"]["sha256"] == version.artifact
    assert {one["name"] for one in statement["subject"]} >= {"adapter_model.safetensors", "adapter_config.json"}
    assert statement["predicate"]["documents"][0]["document"] == version.documents[0]
    assert len(signer) == 16


@pytest.mark.parametrize(
    "change",
    [
        {"artifact": "e" * 64},
        {"tenant": "globex"},
        {"cycle": "another"},
        {"parent": 7},
        {"documents": ()},
        {"lineage": {"verdict": {"decision": "promote"}}},
        {"lineage": {"recipe": {"rank": 16, "seed": 7}}},
        {"lineage": {"base_digest": "f" * 64}},
        {"lineage": {"imported": {"from": "elsewhere"}}},
    ],
    ids=str,
)
def test_a_row_changed_behind_the_registry_is_not_loaded(
    seals: Seals, version: AdapterVersion, change: dict[str, Any]
) -> None:
    lineage = replace(version.lineage, **change.get("lineage", {}))
    with pytest.raises(BadAdapter) as refused:
        seals.require(replace(version, **{**change, "lineage": lineage}))
    assert refused.value.defect == "bad_seal"


def test_a_manifest_with_one_byte_changed_is_not_believed(seals: Seals, version: AdapterVersion) -> None:
    envelope = manifest_of(version)
    payload = base64.b64decode(envelope["payload"])
    for place in range(0, len(payload), 97):
        bad = bytearray(payload)
        bad[place] ^= 1
        forged = {**envelope, "payload": base64.b64encode(bytes(bad)).decode()}
        with pytest.raises(BadAdapter, match="no trusted key"):
            seals.require(replace(version, lineage=replace(version.lineage, manifest=forged)))


@pytest.mark.parametrize("envelope", [{}, [], "x", {"payload": "?"}, {"payload": "", "signatures": []}], ids=str)
def test_what_is_no_manifest_is_refused(seals: Seals, version: AdapterVersion, envelope: Any) -> None:
    with pytest.raises(BadAdapter):
        seals.require(replace(version, lineage=replace(version.lineage, manifest=envelope)))
    without = replace(version.lineage, manifest=None)
    with pytest.raises(BadAdapter) as refused:
        seals.require(replace(version, lineage=without))
    assert refused.value.defect == "not_sealed"


def test_a_strangers_signature_counts_only_once_trusted(
    tmp_path: Path, world: World, seals: Seals, version: AdapterVersion
) -> None:
    ours, other = KeyRing(tmp_path / "keys", world.registry), open_world(tmp_path / "other")
    theirs = KeyRing(other.directory / "keys", other.registry)
    foreign = sign(seals.statement(manifest_of(version))[0], theirs.signing_key())
    signed = replace(version, lineage=replace(version.lineage, manifest=foreign))
    Seals(theirs).require(signed)
    with pytest.raises(UnknownSigner, match=theirs.own_key()):
        seals.require(signed)
    assert find_unknown_signers(world.registry, [version, signed]) == {("acme", 1): theirs.own_key()}
    ours.trust(theirs.signing_key().public_key())
    seals.require(signed)
    assert find_unknown_signers(world.registry, [signed]) == {}
    world.registry.trusted_keys.remove(theirs.own_key(), actor="bea")
    with pytest.raises(UnknownSigner):
        seals.require(signed)


def test_a_version_is_checked_without_a_file(
    tmp_path: Path, seals: Seals, version: AdapterVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(tmp_path / "keys")
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    seals.require(version)


def test_rotation_keeps_old_signatures_and_signs_anew(
    tmp_path: Path, world: World, seals: Seals, version: AdapterVersion
) -> None:
    ring = KeyRing(tmp_path / "keys", world.registry)
    old = key_id(ring.signing_key().public_key())
    new = ring.rotate()
    assert new != old
    seals.require(version)
    assert opened(sign(seals.statement(manifest_of(version))[0], ring.signing_key()), ring.trusted_keys())[1] == new
    assert {key.key for key in world.registry.trusted_keys.all()} == {old, new}


def test_a_key_that_is_trusted_no_more_signs_nothing_and_does_not_come_back(tmp_path: Path, world: World) -> None:
    ring = KeyRing(tmp_path / "keys", world.registry)
    own = ring.own_key()
    world.registry.trusted_keys.remove(own, actor="bea")
    with pytest.raises(BadConfig, match="rotate-key"):
        KeyRing(tmp_path / "keys", world.registry).signing_key()
    with pytest.raises(FailedPrecondition):
        world.registry.trusted_keys.remove(own, actor="bea")
    rotated = ring.rotate()
    assert key_id(ring.signing_key().public_key()) == rotated
    rows = [(row.action, row.actor) for row in world.registry.audit.rows() if row.action.startswith("key.")]
    assert rows == [("key.add", ACTOR), ("key.remove", "bea"), ("key.add", ACTOR)]


def test_keys_that_an_earlier_release_kept_as_files_are_taken_in_once_and_a_damaged_one_stops_none(
    tmp_path: Path, world: World
) -> None:
    trusted = tmp_path / "keys/trusted"
    trusted.mkdir(parents=True)
    key = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    (trusted / "a.pem").write_text("no key")
    (trusted / "b.pem").write_text(pem_of(key))
    for _ in range(2):
        ring = KeyRing(tmp_path / "keys", world.registry)
    assert {one.public_key for one in world.registry.trusted_keys.all()} == {
        key,
        ring.signing_key().public_key().public_bytes_raw(),
    }
    world.registry.trusted_keys.remove(key_name(key), actor="bea")
    KeyRing(tmp_path / "keys", world.registry)
    assert world.registry.trusted_keys.find([key_name(key)]) == {}


def test_the_key_is_its_owners_alone(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = KeyRing(tmp_path / "keys", world.registry)
    file = tmp_path / "keys/signing.pem"
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert key_id(KeyRing(tmp_path / "keys", world.registry).signing_key().public_key()) == ring.own_key()
    file.chmod(0o644)
    ring.signing_key()
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600, "others' access is taken away"
    file.chmod(0o644)
    monkeypatch.setattr("sealserve.private_files.os.geteuid", lambda: os.getuid() + 1)
    with pytest.raises(BadConfig, match="chmod 600"):
        ring.signing_key()
    monkeypatch.undo()
    file.chmod(0o600)
    file.write_text("no key")
    with pytest.raises(BadConfig, match="cannot be read as a key"):
        KeyRing(tmp_path / "keys", world.registry)


def test_an_envelope_is_what_the_specification_says() -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    envelope = sign({"_type": "https://in-toto.io/Statement/v1"}, key)
    payload = base64.b64decode(envelope["payload"])
    assert json.loads(payload) == {"_type": "https://in-toto.io/Statement/v1"}
    signed = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)
    key.public_key().verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)


def test_an_approved_versions_manifest_says_who_approved_it(
    world: World, seals: Seals, version: AdapterVersion
) -> None:
    enforcer = PolicyEnforcer(world.registry, open_rules(), seals=seals)
    world.registry.approvals.approve("acme", 1, actor="bea", reason="tried it")
    enforcer.countersign("acme", 1, actor="bea")
    approved = world.registry.versions.get("acme", 1)
    seals.require(approved)
    statement, _ = seals.statement(manifest_of(approved))
    assert statement["predicate"]["approvals"] == ["bea"]
    assert approved.artifact == version.artifact
    assert world.registry.audit.rows()[-1].action == "adapter.endorse"
    forged = replace(approved.lineage, approvals=("bea", "carl"))
    with pytest.raises(BadAdapter, match="another approvals"):
        seals.require(replace(approved, lineage=forged))


def test_an_approval_that_was_cut_off_before_its_manifest_is_endorsed_once_at_the_next_start(
    world: World, seals: Seals, version: AdapterVersion
) -> None:
    world.registry.approvals.approve("acme", 1, actor="bea", reason="tried it")
    enforcer = PolicyEnforcer(world.registry, open_rules(), seals=seals)
    for _ in range(2):
        enforcer.countersign_all_released()
    approved = world.registry.versions.get("acme", 1)
    seals.require(approved)
    assert seals.statement(manifest_of(approved))[0]["predicate"]["approvals"] == ["bea"]
    endorsed = [row.actor for row in world.registry.audit.rows() if row.action == "adapter.endorse"]
    assert endorsed == [RECOVERY]
