"""A backup of a running installation, restored elsewhere: the same answers, and nothing condemned.

The daemon is the shipped one, put together as `sealserve serve` does, over a fake engine.
"""

import json
import shutil
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from sealserve.backup import MANIFEST_FILE, UNFINISHED_FILE, Backup, Restored, back_up, read_backup, restore
from sealserve.daemon import serve
from sealserve.daemon.local import free_address
from sealserve.daemon.serve import ServeParts
from sealserve.daemon.storage import open_registry
from sealserve.engine.base_model import BaseShape
from sealserve.engine.engine import Delta
from sealserve.errors import CorruptArtifact, FailedPrecondition, InvalidArgument, StorageFailed
from sealserve.learning.editor.costs import Cost
from sealserve.learning.editor.store import Editors, Round, read_editors
from sealserve.private_files import SECRET_FILES
from sealserve.proof.keys import KeyRing
from sealserve.proof.lineage import trace
from sealserve.records.cycles import CycleState, Step
from sealserve.records.documents import DocumentState, NewDocument
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.records.versions import Lineage, VersionState
from sealserve.registry.registry import Finish, Publish, Registry
from sealserve.serving.adapter_table import Route
from sealserve.settings.settings import Settings, load_settings
from tests.cli.site import run
from tests.engine.tiny_model import make_adapter
from tests.fakes import FakeEngine
from tests.learning.editor.stored import write_editors
from tests.registry.postgres import NEEDS_SERVER, Server

HELLO = (ChatTurn(role="user", content="Where is the harbour office?"),)


@dataclass
class Installation:
    """One data directory with its settings, and short ways to use it."""

    settings: Settings
    base: Path
    made: int = field(default=0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ServeParts]:
        """Serve for the length of the block."""
        async with serve.serving(self.settings) as parts:
            await parts.activator.settle()
            yield parts

    def publish(self, parts: ServeParts, scratch: Path) -> int:
        """Learn a document, as the last step of a cycle does; return the version."""
        registry, number = parts.registry, parts.registry.tenants.get("acme").activation + 1
        artifact = registry.artifacts.put_directory(make_adapter(scratch / f"a{number}", self.base, seed=number))
        new = NewDocument(title="T", text=f"Article {number}.", source="test", media_type="text/plain")
        registry.documents.add("acme", new, actor="ann")
        cycle = registry.cycles.start("acme", trigger="test", actor="ann").cycle
        claim = registry.cycles.claim(worker="test", lease_seconds=60)
        assert claim is not None
        learned = registry.cycles.documents(cycle)
        manifest = parts.seals.seal(
            tenant="acme", cycle=cycle, artifact_manifest=registry.artifacts.manifest(artifact), parent=0,
            documents=[(one.document, one.digest) for one in learned], self_edits=(), rulings=(), approvals=(),
            lineage=Lineage(),
        )  # fmt: skip
        publish = Publish(
            artifact=artifact, parent=0, documents=tuple(one.document for one in learned),
            lineage=Lineage(manifest=manifest), promote=True, expected_etag=registry.tenants.get("acme").etag,
        )  # fmt: skip
        finish = Finish(state=CycleState.PROMOTED, reason="", documents=DocumentState.LEARNED)
        registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=0, effects=(publish, finish))
        return registry.versions.page("acme", page_size=1).items[0].version

    def back_up(self, to: Path, *, has_secrets: bool = True) -> Backup:
        with closing(open_registry(self.settings)) as registry:
            return back_up(self.settings, registry, to, has_secrets=has_secrets, say=lambda line: None)


Install = Callable[[str], Installation]


_ON_POSTGRES = [pytest.mark.pg, NEEDS_SERVER]


@pytest.fixture(
    params=[
        "sqlite", pytest.param("postgres", marks=_ON_POSTGRES),
        pytest.param("postgres to sqlite", marks=_ON_POSTGRES), pytest.param("sqlite to postgres", marks=_ON_POSTGRES),
    ]
)  # fmt: skip
def install(
    request: pytest.FixtureRequest, tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape,
    monkeypatch: pytest.MonkeyPatch,
) -> Install:  # fmt: skip
    """Give the installation of that name: its own data directory, and its own database."""
    monkeypatch.setattr(serve, "VllmEngine", lambda *_, **__: FakeEngine(base=tiny_shape))

    def make(name: str, url: str = "") -> Installation:
        settings = load_settings(
            overrides={
                "data_directory": tmp_path / name, "serve.address": free_address(), "http.address": "off",
                "engine.model": str(tiny_base), "registry.url": url, "telemetry.log_level": "error",
            }
        )  # fmt: skip
        return Installation(settings, tiny_base)

    if request.param == "sqlite":
        return make
    server: Server = request.getfixturevalue("postgres")
    urls = {name: server.new_database() for name in ("old", "new")}
    urls |= {"postgres to sqlite": {"new": ""}, "sqlite to postgres": {"old": ""}}.get(request.param, {})
    return lambda name: make(name, urls[name])


async def ask(parts: ServeParts) -> tuple[str, int]:
    async with aclosing(parts.answers.stream("acme", HELLO, Sampling())) as events:
        route = await anext(events)
        assert isinstance(route, Route)
        return "".join([event.text async for event in events if isinstance(event, Delta)]), route.version


def editors_of(artifact: str, document: str) -> Editors:
    done = Round(
        round=1, parent=0, artifact=artifact, documents=(document,), held_out=(), winners=1, gain=None,
        is_promoted=True, reason="writes better self-edits", cost=Cost(), base_digest="", settings_digest="",
        finished_at="2026-11-21T00:00:00+00:00",
    )  # fmt: skip
    return replace(Editors().after(done), archive=({"score": 0.1, "rank": 8},))


@pytest.mark.parametrize("has_secrets", [True, False])
async def test_what_is_restored_answers_as_before_and_learns_on(
    install: Install, tmp_path: Path, has_secrets: bool
) -> None:
    old = install("old")
    async with old.running() as parts:
        parts.registry.tenants.create("acme", actor="ann")
        for _ in range(2):
            version = old.publish(parts, tmp_path)
            await parts.activator.settle()
        before, known = await ask(parts), parts.registry.versions.get("acme", version)
        editor = parts.registry.artifacts.put_directory(make_adapter(tmp_path / "e", old.base, seed=9))
        editors = editors_of(editor, known.documents[0])
        write_editors(parts.registry, "acme", editors)
        made = old.back_up(tmp_path / "backup", has_secrets=has_secrets)
        lineage, rows, head = trace(parts.registry, f"acme/v{version}"), *parts.registry.audit.head()
        parts.registry.tenants.create("later", actor="ann")
    assert (made.missing, made.audit_rows, made.audit_head) == ((), rows, head)
    files = [path for path in (tmp_path / "backup").rglob("*") if path.is_file()]
    assert not [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o007]
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o700
    shutil.rmtree(tmp_path / "old")

    new = install("new")
    found = restore(new.settings, tmp_path / "backup", say=lambda line: None)
    assert found.is_whole, found
    assert (found.tenants, found.versions, found.is_new_key) == (1, 2, not has_secrets)
    async with new.running() as parts:
        registry = parts.registry
        assert before == await ask(parts)
        assert {one.state for one in registry.versions.page("acme").items} == {VersionState.READY}
        assert trace(registry, f"acme/v{version}") == lineage
        assert read_editors(registry, "acme") == editors
        assert registry.artifacts.directory(editor).is_dir()
        assert registry.audit.rows()[rows - 1].hash == head
        assert registry.audit.verify() >= rows
        assert len({one.key for one in registry.trusted_keys.all()}) == (1 if has_secrets else 2)
        newer = new.publish(parts, tmp_path)
        await parts.activator.settle()
        assert (await ask(parts))[1] == newer == version + 1
        assert [one.tenant for one in registry.tenants.page().items] == ["acme"]
        registry.tenants.create("another", actor="ann")


@pytest.fixture
def here(tmp_path: Path, tiny_base: Path) -> Installation:
    """An installation on SQLite that does not run, with a tenant and a document."""
    overrides = {"data_directory": tmp_path / "here", "engine.model": str(tiny_base), "serve.address": "127.0.0.1:1"}
    made = Installation(load_settings(overrides=overrides), tiny_base)
    with closing(open_registry(made.settings)) as registry:
        KeyRing(made.settings.data_directory / "keys", registry)
        registry.tenants.create("acme", actor="ann")
        new = NewDocument(title="T", text="It is so.", source="test", media_type="text/plain")
        registry.documents.add("acme", new, actor="ann")
    return made


def restored(to: Path, backup: Path) -> Restored:
    return restore(load_settings(overrides={"data_directory": to}), backup, say=lambda line: None)


def test_nothing_is_overwritten_and_a_refusal_changes_nothing(here: Installation, tmp_path: Path) -> None:
    here.back_up(tmp_path / "backup")
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*") if path.is_file())
    with pytest.raises(FailedPrecondition, match="in use"):
        here.back_up(tmp_path / "backup")
    with pytest.raises(FailedPrecondition, match="in use"):
        restored(tmp_path / "here", tmp_path / "backup")
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*") if path.is_file()) == before


def test_what_is_no_whole_backup_is_refused_and_leaves_nothing(here: Installation, tmp_path: Path) -> None:
    backup, new = tmp_path / "backup", tmp_path / "new"
    here.back_up(backup)
    manifest = (backup / MANIFEST_FILE).read_bytes()
    (backup / MANIFEST_FILE).unlink()
    with pytest.raises(InvalidArgument, match="no finished backup"):
        restored(new, backup)
    (backup / MANIFEST_FILE).write_bytes(json.dumps({**json.loads(manifest), "format": 2}).encode())
    with pytest.raises(InvalidArgument, match="format 2"):
        restored(new, backup)
    (backup / MANIFEST_FILE).write_bytes(manifest)
    (backup / "registry.db").write_bytes((backup / "registry.db").read_bytes() + b"\0")
    with pytest.raises(CorruptArtifact, match="is not what was backed up"):
        restored(new, backup)
    escaping = {**json.loads(manifest), "files": {"../here/registry.db": "0" * 64}}
    (backup / MANIFEST_FILE).write_bytes(json.dumps(escaping).encode())
    with pytest.raises(CorruptArtifact):
        restored(new, backup)
    assert not new.exists()


def test_a_restore_that_fails_half_way_leaves_nothing_and_one_that_was_killed_is_not_started_on(
    here: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.back_up(tmp_path / "backup")

    def fail(url: str, database: Path) -> None:
        raise StorageFailed("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Registry, "fill", fail)
        with pytest.raises(StorageFailed, match="disk is full"):
            restored(tmp_path / "new", tmp_path / "backup")
    assert not (tmp_path / "new").exists()
    restored(tmp_path / "new", tmp_path / "backup")
    (tmp_path / "new" / UNFINISHED_FILE).touch()
    with pytest.raises(StorageFailed, match="restore again"):
        open_registry(load_settings(overrides={"data_directory": tmp_path / "new"}))


def test_a_damaged_artifact_stops_neither_backup_nor_restore_and_is_named(here: Installation, tmp_path: Path) -> None:
    with closing(open_registry(here.settings)) as registry:
        new = NewDocument(title="U", text="It is otherwise.", source="test", media_type="text/plain")
        document, _ = registry.documents.add("acme", new, actor="ann")
        blob = next(path for path in registry.artifacts._root.glob("blobs/*/*") if b"otherwise" in path.read_bytes())
    blob.chmod(0o600)
    blob.write_bytes(b"It was changed.")
    ran = run("backup", str(tmp_path / "backup"), "--json", "--config", str(settings_file(here, tmp_path)))
    assert (ran.code, ran.shown["backup"]["missing"]) == (1, [blob.name])
    found = restored(tmp_path / "new", tmp_path / "backup")
    assert (found.is_whole, found.missing) == (False, (blob.name,))
    with closing(open_registry(load_settings(overrides={"data_directory": tmp_path / "new"}))) as registry:
        assert registry.documents.get("acme", document.document).state is DocumentState.ADMITTED


def settings_file(installation: Installation, directory: Path) -> Path:
    file = directory / "sealserve.toml"
    file.write_text(f"data_directory = '{installation.settings.data_directory}'\n")
    return file


def test_the_commands_say_what_to_do_next(here: Installation, tmp_path: Path) -> None:
    config = str(settings_file(here, tmp_path))
    ran = run("backup", str(tmp_path / "backup"), "--without-secrets", "--config", config)
    assert ran.code == 0
    assert "sealserve restore" in ran.out
    assert not [name for name in SECRET_FILES if (tmp_path / "backup" / name).exists()]
    assert read_backup(tmp_path / "backup").has_secrets is False
    arguments = ("restore", str(tmp_path / "backup"), "--data-directory")
    ran = run(*arguments, str(tmp_path / "new"), "--json")
    assert (ran.code, ran.shown["whole"]) == (0, True)
    assert any("sealserve doctor" in step for step in ran.shown["restored"]["next"])
    assert run(*arguments, str(tmp_path / "new"), "--json").code == 2
