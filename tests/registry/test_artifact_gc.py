"""Artifacts that nothing uses are deleted, whoever else is about to use them, in whatever order they come."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic, sleep

import pytest

from sealserve.errors import NotFound, StorageFailed
from sealserve.records.cycles import CycleState, Step
from sealserve.records.documents import Document, DocumentState, NewDocument
from sealserve.records.editors import StoredEditors
from sealserve.registry.artifacts.artifact_gc import ArtifactGc
from sealserve.registry.documents import document_rows
from sealserve.registry.registry import AddCandidates, Registry
from tests.registry.postgres import NEEDS_SERVER
from tests.registry.world import FakeClock, World, candidate, finish

SHARED = "Contents that two tenants have."
BUSY_SECONDS = 2.0
DAY = 24 * 3600.0


def forget(world: World, document: str, tenant: str = "acme") -> None:
    world.registry.unlearning.unlearn(tenant, document, actor="ann", reason="")


def before_the_row_of(world: World, tenant: str, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Do `act` between the next document's bytes and its row, once."""
    put, waiting = world.registry.artifacts.put_bytes, [act]

    def put_then_act(data: bytes) -> str:
        digest = put(data)
        while waiting:
            waiting.pop()()
        return digest

    monkeypatch.setattr(world.registry.artifacts, "put_bytes", put_then_act)


@pytest.mark.parametrize("tenant", ["acme", "globex"])
def test_contents_forgotten_while_they_are_added_can_be_read(
    world: World, monkeypatch: pytest.MonkeyPatch, tenant: str
) -> None:
    first = world.document(text=SHARED).document
    before_the_row_of(world, tenant, monkeypatch, lambda: forget(world, first))
    added = world.document(tenant, text=SHARED)
    assert added.state is DocumentState.ADMITTED
    assert world.registry.documents.text(tenant, added.document) == SHARED


def test_contents_added_while_they_are_swept_can_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = world.document(text=SHARED).document
    removal, waiting = world.registry.artifacts.removal, [lambda: world.document("globex", text=SHARED)]

    def act_then_removal() -> AbstractContextManager[Callable[[str], None]]:
        while waiting:
            waiting.pop()()
        return removal()

    monkeypatch.setattr(ArtifactGc, "sweep_unlearned", lambda self, tenant: 0)
    forget(world, first)
    monkeypatch.undo()
    monkeypatch.setattr(world.registry.artifacts, "removal", act_then_removal)
    assert world.registry.artifact_gc.sweep_unlearned("acme") == 0
    (added,) = world.registry.documents.page("globex").items
    assert world.registry.documents.text("globex", added.document) == SHARED


def test_sweep_whose_transaction_does_not_end_well_puts_back_what_it_took(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.document(text=SHARED).document
    monkeypatch.setattr(ArtifactGc, "sweep_unlearned", lambda self, tenant: 0)
    forget(world, first)
    monkeypatch.undo()
    with world.registry._database.read() as tx:
        contents = document_rows.contents(tx, "acme", first)

    def lost(name: str) -> None:
        raise StorageFailed("the server rolled it back")

    monkeypatch.setattr("sealserve.registry.artifacts.artifact_gc.fault_injection.point", lost)
    with pytest.raises(StorageFailed):
        world.registry.artifact_gc.sweep_unlearned("acme")
    assert world.registry.artifacts.get_bytes(contents) == SHARED.encode()
    monkeypatch.undo()
    assert world.registry.artifact_gc.sweep_unlearned("acme") == 1
    assert not world.registry.artifacts.has(contents)


def test_document_that_is_offered_again_but_not_readmitted_leaves_no_text_behind(world: World) -> None:
    first = world.document(text=SHARED).document
    with world.registry._database.read() as tx:
        contents = document_rows.contents(tx, "acme", first)
    forget(world, first)
    again, _ = world.registry.documents.add(
        "acme",
        NewDocument(title="Returns", text=SHARED, source="rpc", media_type="text/plain"),
        actor="ann",
        readmit=False,
    )
    assert again.state is DocumentState.FORGOTTEN
    assert not world.registry.artifacts.has(contents)


def test_candidate_whose_adapter_is_gone_is_not_kept_and_the_step_can_be_taken_again(world: World) -> None:
    world.document()
    claim, artifact = world.claim(), world.artifact("weights")
    world.registry.artifacts.delete(artifact)
    effect = AddCandidates(candidates=(candidate(claim, 0, artifact=artifact),))
    with pytest.raises(NotFound):
        world.registry.cycles.record_step(claim, Step.TRAIN, {}, seconds=1, effects=[effect])
    assert (world.registry.cycles.steps(claim.cycle), world.registry.cycles.candidates(claim.cycle)) == ((), ())
    assert world.artifact("weights") == artifact
    world.registry.cycles.record_step(claim, Step.TRAIN, {}, seconds=1, effects=[effect])
    assert world.registry.cycles.candidates(claim.cycle) == effect.candidates


def test_adapter_of_a_revoked_version_that_an_open_cycle_measures_stays(world: World) -> None:
    version = world.version()
    world.registry.artifacts.directory(version.artifact)
    world.document("globex")
    claim = world.claim("globex")
    effect = AddCandidates(candidates=(candidate(claim, 0, artifact=version.artifact),))
    world.registry.cycles.record_step(claim, Step.TRAIN, {}, seconds=1, effects=[effect])
    forget(world, version.documents[0])
    assert world.registry.artifacts.has(version.artifact)
    world.registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=1, effects=[finish(CycleState.REJECTED)])
    assert world.registry.artifact_gc.sweep_unlearned("acme") == 1
    assert not world.registry.artifacts.has(version.artifact)


def grow_old(world: World) -> None:
    """Let everything in the store have been put two days ago."""
    moment = world.clock().timestamp() - 2 * DAY
    for path in (world.directory / "artifacts").rglob("*"):
        os.utime(path, (moment, moment))


def test_what_nothing_names_is_deleted_after_a_day_and_nothing_else(world: World) -> None:
    registry = world.registry
    document, version = world.document(), world.version()
    editor, stray, text = world.artifact(), world.artifact(), registry.artifacts.put_bytes(b"of a killed process")
    known = StoredEditors(active=1, rounds=({"round": 1, "artifact": editor},))
    registry.editors.replace("acme", known, over=None, actor="learn")
    grow_old(world)
    fresh = world.artifact()
    young = (world.clock().timestamp(),) * 2
    os.utime(world.directory / "artifacts" / "trees" / fresh[:2] / fresh, young)
    assert registry.artifact_gc.sweep_unnamed(seconds=DAY) == 2
    assert [registry.artifacts.has(one) for one in (editor, fresh, stray, text)] == [True, True, False, False]
    assert registry.documents.text("acme", document.document)
    assert registry.artifacts.directory(version.artifact).is_dir()


def test_what_is_put_again_is_new_again(world: World) -> None:
    puts: list[Callable[[], str]] = [
        lambda: world.artifact("weights"),
        lambda: world.registry.artifacts.put_bytes(b"text"),
    ]
    for put in puts:
        digest = put()
        grow_old(world)
        old = world.clock().timestamp() - DAY
        assert digest in world.registry.artifacts.put_before(old)
        assert put() == digest
        assert digest not in world.registry.artifacts.put_before(old)
        world.registry.artifacts.delete(digest)


def test_what_a_killed_sweep_took_away_is_gone_at_the_next_opening(tmp_path: Path, empty_registry: Path) -> None:
    shutil.copyfile(empty_registry, tmp_path / "r.db")
    program = (
        "import sys; from pathlib import Path\n"
        "from sealserve.records.documents import NewDocument; from sealserve.registry.registry import Registry\n"
        "d = Path(sys.argv[1]); r = Registry.open(f'sqlite:///{d}/r.db', d / 'artifacts')\n"
        "r.tenants.create('acme', actor='a')\n"
        "new = NewDocument(title='t', text='An article.', source='rpc', media_type='text/plain')\n"
        "r.unlearning.unlearn('acme', r.documents.add('acme', new, actor='a')[0].document, actor='a', reason='')\n"
    )
    environment = {**os.environ, "SEALSERVE_FAULT": "registry.sweep.before_commit:kill"}
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], env=environment, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "artifacts" / "aside").iterdir()
    clock = FakeClock()
    clock.advance(left.stat().st_ctime + 61 - clock().timestamp())
    Registry.open(f"sqlite:///{tmp_path}/r.db", tmp_path / "artifacts", clock=clock).close()
    assert not left.exists()


@pytest.mark.parametrize(
    "database", [pytest.param("postgres_url", marks=[pytest.mark.pg, NEEDS_SERVER])], indirect=True
)  # a SQLite writer that is stopped keeps its lock
def test_sweep_that_falls_silent_until_the_server_rolls_it_back_puts_back_what_it_took(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.document(text=SHARED).document
    monkeypatch.setattr(ArtifactGc, "sweep_unlearned", lambda self, tenant: 0)
    forget(world, first)
    monkeypatch.undo()
    monkeypatch.setattr(world.registry._database, "_silence_ms", str(int(BUSY_SECONDS * 1000)))

    def fall_silent(point: str) -> None:
        if point == "registry.sweep.before_commit":
            sleep(BUSY_SECONDS + 0.5)

    monkeypatch.setattr("sealserve.registry.artifacts.artifact_gc.fault_injection.point", fall_silent)
    with ThreadPoolExecutor(1) as other:
        sweeping = other.submit(world.registry.artifact_gc.sweep_unlearned, "acme")
        added = _added_once_the_lock_is_free(world)
        with pytest.raises(StorageFailed):
            sweeping.result(timeout=30)
    assert world.registry.documents.text("globex", added.document) == SHARED


def _added_once_the_lock_is_free(world: World) -> Document:
    """Add what is being swept, as soon as the sweep has taken it away."""
    deadline = monotonic() + 10
    contents = hashlib.sha256(SHARED.encode()).hexdigest()
    while world.registry.artifacts.has(contents) and monotonic() < deadline:
        sleep(0.01)
    while True:
        try:
            return world.document("globex", text=SHARED)
        except StorageFailed:  # the lock is held for as long as a writer waits for it
            assert monotonic() < deadline
