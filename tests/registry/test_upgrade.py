"""A data directory of an earlier release works: today's code migrates, reads and verifies it, and resumes its cycle.

`upgrade/` is what the release with schema 0010 wrote: the database as SQL, the artifacts, and the public key of the
installation. It holds two versions, one of them approved by a person, seven documents and an open cycle that has
trained its candidate.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sealserve.errors import BadAdapter
from sealserve.learning.journal import Journal
from sealserve.proof.lineage import trace
from sealserve.proof.manifest import Seals
from sealserve.records.cycles import CycleState, Step
from sealserve.records.documents import DocumentState
from sealserve.records.step_outputs import Claimed, Filtered, Trained, Written
from sealserve.registry.registry import Registry
from sealserve.telemetry import Telemetry
from sealserve.wire.adapters import adapter_to_wire
from tests.registry.world import FakeClock, World, finish

EARLIER = Path(__file__).parent / "upgrade"
HELD = "dd46f6aaf0c4eab4"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The earlier release's data directory, opened by today's code an hour after its last write."""
    for name in ("artifacts", "keys"):
        shutil.copytree(EARLIER / name, tmp_path / name)
    with sqlite3.connect(tmp_path / "registry.db") as connection:
        connection.executescript((EARLIER / "registry.sql").read_text(encoding="utf-8"))
    connection.close()
    clock, url = FakeClock(), f"sqlite:///{tmp_path}/registry.db"
    clock.advance(3600)
    registry = Registry.open(url, tmp_path / "artifacts", clock=clock)
    yield World(registry=registry, clock=clock, directory=tmp_path, url=url)
    registry.close()


def test_tenants_documents_and_tokens_are_listed(world: World) -> None:
    registry = world.registry
    assert [tenant.tenant for tenant in registry.tenants.page().items] == ["acme", "globex"]
    assert registry.tenants.get("acme").desired_version == 2
    assert [token.principal.name for token in registry.tokens.all()] == ["bob"]
    found = [(one.title, one.state, one.reason) for one in registry.documents.page("acme").items]
    assert found == [
        ("Returns", DocumentState.LEARNED, ""),
        ("Hours", DocumentState.LEARNED, ""),
        ("", DocumentState.FORGOTTEN, "asked to"),
        ("Returns", DocumentState.HELD, "ingest.flood: too many alike from one source"),
        ("scan", DocumentState.QUARANTINED, "BINARY: not text"),
        ("Returns", DocumentState.QUARANTINED, "DENIED: ingest.secret: holds a secret"),
        ("Kettles", DocumentState.LEARNING, ""),
    ]
    texts = [registry.documents.text("acme", one) for one in registry.versions.get("acme", 2).documents]
    assert texts == ["Lamps go back within 30 days.", "The shop opens at nine."]


def test_audit_chain_holds_before_and_after_new_rows(world: World) -> None:
    rows = world.registry.audit.verify()
    assert rows == len(world.registry.audit.rows())
    world.registry.documents.release("acme", HELD, actor="bea", reason="read it")
    assert world.registry.documents.get("acme", HELD).state is DocumentState.ADMITTED
    assert world.registry.audit.verify() == rows + 1


def test_signed_manifests_verify_and_a_changed_version_does_not(world: World) -> None:
    seals = Seals.open(world.directory, world.registry)
    first, second = (world.registry.versions.get("acme", version) for version in (1, 2))
    for version in (first, second):
        seals.require(version)
        world.registry.artifacts.verify(version.artifact)
    with pytest.raises(BadAdapter):
        seals.require(replace(second, documents=first.documents))
    again = seals.with_approvals(second, ["bea", "carl"])
    assert seals.statement(again)[0]["predicate"]["approvals"] == ["bea", "carl"]


def test_lineage_is_shown_and_traced(world: World) -> None:
    found = adapter_to_wire(world.registry.versions.get("acme", 1), active=False)
    assert (found.scores.confirm.measured.n, found.verdict.policy) == (20, "default")
    assert list(found.self_edits)
    assert trace(world.registry, "acme/v1")


def test_a_version_is_rolled_back_and_promoted_again(world: World) -> None:
    world.registry.versions.rollback("acme", expected_etag=None, actor="ann", reason="wrong")
    assert world.registry.tenants.get("acme").desired_version == 1
    world.registry.versions.promote("acme", 2, expected_etag=None, actor="ann", reason="right after all")
    assert world.registry.tenants.get("acme").desired_version == 2


async def test_open_cycle_goes_on_after_its_last_step(world: World) -> None:
    registry = world.registry
    claim = registry.cycles.claim(worker="w2", lease_seconds=30)
    assert claim is not None
    journal = Journal(registry, claim, telemetry=Telemetry.off())
    await journal.open()
    claimed, written = journal.recorded(Step.CLAIM, Claimed), journal.recorded(Step.WRITE, Written)
    filtered, trained = journal.recorded(Step.FILTER, Filtered), journal.recorded(Step.TRAIN, Trained)
    assert claimed is not None
    assert (claimed.incumbent, claimed.passages[0].title) == (2, "Kettles")
    assert written is not None
    assert (written.quiz[0].answer, written.evaluation) == ("14 days", ("desk@1",))
    assert filtered is not None
    assert (filtered.admitted, filtered.superseded[0].new_answer, filtered.contested[0].origins) == (1, "14 days", 2)
    assert trained is not None
    assert (trained.candidates, trained.trials[0].drift) == ((0,), 0.01)
    assert [edit.admitted for edit in registry.cycles.self_edits(claim.cycle)] == [True, False]
    assert len(registry.cycles.quiz(claim.cycle)) == 2
    (candidate,) = registry.cycles.candidates(claim.cycle)
    assert candidate.recipe.rank == 8
    publish = replace(world.publish_effect(claim), artifact=candidate.artifact)
    registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=1, effects=[publish, finish(CycleState.PROMOTED)])
    assert registry.tenants.get("acme").desired_version == 3
    assert registry.audit.verify()
