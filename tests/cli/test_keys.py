"""`sealserve key`, and what `doctor` says of keys and of versions that nobody here can verify."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sealserve.daemon.storage import open_registry
from sealserve.doctor.examination import examine
from sealserve.doctor.finding import Finding, State
from sealserve.proof.keys import KeyRing, pem_of
from sealserve.proof.manifest import Seals
from sealserve.records.cycles import CycleState, Step
from sealserve.records.versions import Lineage
from sealserve.settings.settings import Settings, load_settings
from tests.cli.site import Site, run
from tests.engine.tiny_model import make_adapter
from tests.proof.test_trail_lineage_transfer import opened, published
from tests.registry.world import World, finish


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SEALSERVE_DATA_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("SEALSERVE_SERVE__ADDRESS", "127.0.0.1:1")
    return load_settings()


def test_keys_are_added_listed_shown_and_removed_with_audit_rows(data: Settings, tmp_path: Path) -> None:
    own = run("key", "list", "--json").shown["signing"]
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    (tmp_path / "learner.pem").write_text(pem_of(public))
    added = run("key", "add", str(tmp_path / "learner.pem"), "--json").shown
    assert (added["name"], added["fingerprint"][:16]) == ("learner", added["key"])
    assert {one["key"] for one in run("key", "list", "--json").shown["keys"]} == {own, added["key"]}
    assert run("key", "show", added["key"]).out == pem_of(public)
    assert run("key", "remove", own, "--json").code == 2, "it signs here"
    assert run("key", "remove", added["key"], "--json").shown["removed_at"]
    assert run("key", "remove", added["key"], "--json").code == 2
    assert run("key", "remove", "0" * 16, "--json").code == 3
    (tmp_path / "no.pem").write_text("no key")
    assert run("key", "add", str(tmp_path / "no.pem"), "--json").code == 2
    with closing(open_registry(data)) as registry:
        told = [(row.action, row.actor.split(":")[0]) for row in registry.audit.rows()]
    assert told == [("key.add", "sealserve"), ("key.add", "local"), ("key.remove", "local")]


def finding(name: str, settings: Settings) -> Finding:
    (found,) = [one for one in examine(settings) if one.name == name]
    return found


def test_doctor_names_missing_and_distrusted_keys_unknown_signers_and_lost_artifacts(
    data: Settings, tmp_path: Path, tiny_base: Path
) -> None:
    assert finding("keys", data).state is finding("active versions", data).state is State.OK
    world: World = opened(tmp_path)
    seals = Seals.open(tmp_path, world.registry)
    version = published(world, seals, make_adapter(tmp_path / "a", tiny_base), base_digest="b" * 64)
    own = KeyRing(tmp_path / "keys", world.registry).own_key()
    assert own in finding("keys", data).found
    assert finding("active versions", data).state is State.OK
    (tmp_path / "keys/signing.pem").rename(tmp_path / "kept.pem")
    assert finding("keys", data).state is State.WARNS
    (tmp_path / "kept.pem").rename(tmp_path / "keys/signing.pem")
    world.registry.trusted_keys.remove(own, actor="ann")
    assert "rotate-key" in finding("keys", data).advice
    unknown = finding("active versions", data)
    assert (unknown.state, f"acme/v1 by {own}" in unknown.found) == (State.FAILS, True)
    assert "sealserve key add" in unknown.advice
    key = world.registry.trusted_keys.get(own)
    world.registry.trusted_keys.add(key.public_key, name="again", actor="ann")
    assert finding("active versions", data).state is State.OK
    world.registry.artifacts.delete(version.artifact)
    assert "artifacts are missing: acme/v1" in finding("active versions", data).found
    world.registry.close()


def publish_sealed(world: World, seals: Seals) -> None:
    """Publish a version of which nothing is recorded but its seal."""
    document, claim = world.document(), world.claim()
    publish = world.publish_effect(claim)
    manifest = seals.seal(
        tenant="acme", cycle=claim.cycle, artifact_manifest=world.registry.artifacts.manifest(publish.artifact),
        parent=publish.parent, documents=[(document.document, document.digest)], self_edits=(), rulings=(),
        approvals=(), lineage=Lineage(),
    )  # fmt: skip
    sealed = replace(publish, lineage=Lineage(manifest=manifest))
    world.registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=1, effects=[sealed, finish(CycleState.PROMOTED)])


def test_adapter_list_says_which_key_is_missing(site: Site, tmp_path: Path) -> None:
    seals = Seals.open(tmp_path, site.registry)
    publish_sealed(site.world, seals)
    assert site.json("adapter", "list", "acme")["adapters"][0]["reason"] == ""
    own = seals.keys.own_key()
    site.registry.trusted_keys.remove(own, actor="ann")
    (shown,) = site.json("adapter", "list", "acme")["adapters"]
    assert (shown["state"], own in shown["reason"]) == ("ready", True)
    assert json.dumps(site.json("adapter", "show", "acme", "1")).count(own) >= 1
