"""Artifacts in an object store: the same promises as on a disk, and a copy that is checked."""

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest

from sealserve.errors import BadConfig, CorruptArtifact, NotFound, StorageFailed
from sealserve.registry.artifacts.artifact_store import ArtifactStore
from sealserve.registry.artifacts.object_artifacts import UNUSED_SECONDS, ObjectArtifactStore, open_artifacts

CONFIG, WEIGHTS = b'{"r": 8}', bytes(range(256)) * 40


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """An S3 server on loopback, with one bucket."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "someone")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("artifacts")
        yield "s3://artifacts"
    server.stop()


@pytest.fixture(params=["memory", "file", pytest.param("s3", marks=pytest.mark.slow)])  # slow: asks a server
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place of its own in each kind of object store."""
    name = secrets.token_hex(8)
    if request.param == "memory":
        return f"memory://{name}/site"
    if request.param == "file":
        (tmp_path / "objects").mkdir()
        return f"file://{tmp_path}/objects"
    return f"{request.getfixturevalue('s3')}/{name}"


@pytest.fixture
def store(url: str, tmp_path: Path) -> ArtifactStore:
    return open_artifacts(tmp_path / "copies", url=url)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "adapter"
    (made / "inner").mkdir(parents=True)
    (made / "adapter_config.json").write_bytes(CONFIG)
    (made / "inner" / "weights.bin").write_bytes(WEIGHTS)
    return made


def _another(store: ArtifactStore, tmp_path: Path, **options: Any) -> ObjectArtifactStore:
    """The same object store, as another machine has it."""
    assert isinstance(store, ObjectArtifactStore)
    return ObjectArtifactStore(store._url, tmp_path / secrets.token_hex(4), **options)


def _objects(store: ArtifactStore) -> tuple[Any, str]:
    assert isinstance(store, ObjectArtifactStore)
    return store._files, store._base


def test_what_one_machine_puts_another_one_reads(store: ArtifactStore, folder: Path, tmp_path: Path) -> None:
    text, tree = store.put_bytes(b"Returns take nine days."), store.put_directory(folder)
    other = _another(store, tmp_path)
    assert other.get_bytes(text) == b"Returns take nine days."
    with other.materialise(tree) as files:
        assert (files / "adapter_config.json").read_bytes() == CONFIG
        assert (files / "inner" / "weights.bin").read_bytes() == WEIGHTS
        assert files.is_absolute()
        assert files.parent.name == tree
    assert other.digests() == tuple(sorted((text, tree)))
    assert other.manifest(tree) == store.manifest(tree)


def test_directory_has_the_digest_that_it_has_on_a_disk(store: ArtifactStore, folder: Path, tmp_path: Path) -> None:
    assert store.put_directory(folder) == ArtifactStore(tmp_path / "local").put_directory(folder)


def test_unknown_digest_is_not_found(store: ArtifactStore) -> None:
    for digest in ("0" * 64, "../../etc/passwd"):
        with pytest.raises(NotFound):
            store.get_bytes(digest)
        with pytest.raises(NotFound):
            store.directory(digest)
    assert not store.has("0" * 64)


def test_directory_without_its_manifest_is_not_there(store: ArtifactStore, folder: Path, tmp_path: Path) -> None:
    tree = store.put_directory(folder)
    files, base = _objects(store)
    files.rm_file(f"{base}/trees/{tree[:2]}/{tree}/manifest.json")
    assert not store.has(tree)
    assert store.digests() == ()
    with pytest.raises(NotFound):
        store.directory(tree)
    with pytest.raises(NotFound):
        _another(store, tmp_path).directory(tree)


@pytest.mark.parametrize("name", ["manifest.json", "files/inner/weights.bin"])
def test_changed_object_is_never_given_out_and_is_replaced_when_put_again(
    store: ArtifactStore, folder: Path, tmp_path: Path, name: str
) -> None:
    tree = store.put_directory(folder)
    files, base = _objects(store)
    files.pipe_file(f"{base}/trees/{tree[:2]}/{tree}/{name}", b"{}")
    with pytest.raises(CorruptArtifact):
        _another(store, tmp_path).directory(tree)
    assert store.put_directory(folder) == tree
    assert (_another(store, tmp_path).directory(tree) / "inner" / "weights.bin").read_bytes() == WEIGHTS


def test_manifest_that_names_a_file_outside_reads_nothing(store: ArtifactStore, tmp_path: Path) -> None:
    import hashlib

    text = json.dumps({"../../outside": {"sha256": "0" * 64, "size": 1}}).encode()
    tree = hashlib.sha256(text).hexdigest()
    files, base = _objects(store)
    files.pipe_file(f"{base}/trees/{tree[:2]}/{tree}/manifest.json", text)
    with pytest.raises(CorruptArtifact, match="outside"):
        store.directory(tree)


def test_changed_bytes_are_refused_until_they_are_put_again(store: ArtifactStore) -> None:
    digest = store.put_bytes(b"sound")
    files, base = _objects(store)
    files.pipe_file(f"{base}/blobs/{digest[:2]}/{digest}", b"other")
    with pytest.raises(CorruptArtifact):
        store.get_bytes(digest)
    store.put_bytes(b"sound")
    assert store.get_bytes(digest) == b"sound"


def test_damaged_copy_is_fetched_again(store: ArtifactStore, folder: Path) -> None:
    tree = store.put_directory(folder)
    copy = store.directory(tree) / "inner" / "weights.bin"
    copy.unlink()
    copy.write_bytes(b"something else")
    assert (store.directory(tree) / "inner" / "weights.bin").read_bytes() == WEIGHTS


def test_removal_is_for_good_or_not_at_all(store: ArtifactStore, folder: Path, tmp_path: Path) -> None:
    text, tree = store.put_bytes(b"kept"), store.put_directory(folder)

    def remove_and_fail() -> None:
        with store.removal() as take:
            take(text)
            take(tree)
            assert not store.has(tree)
            assert not store.has(text)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        remove_and_fail()
    assert store.get_bytes(text) == b"kept"
    assert (_another(store, tmp_path).directory(tree) / "inner" / "weights.bin").read_bytes() == WEIGHTS
    with store.removal() as take:
        take(text)
        take(tree)
    assert store.digests() == ()
    files, base = _objects(store)
    assert [path for path in files.find(base) if not files.isdir(path)] == []
    with pytest.raises(NotFound):
        store.directory(tree)


def test_what_was_put_before_a_moment_is_told_by_the_store_s_clock(store: ArtifactStore, folder: Path) -> None:
    text, tree = store.put_bytes(b"old"), store.put_directory(folder)
    now = datetime.now(UTC).timestamp()
    assert set(store.put_before(now + 60)) == {text, tree}
    assert set(store.put_before(now - 3600)) == set()


def test_copies_of_what_is_gone_or_unused_are_dropped(store: ArtifactStore, folder: Path, tmp_path: Path) -> None:
    tree = store.put_directory(folder)
    other = _another(store, tmp_path)
    copy = other.directory(tree)
    assert other.drop_copies() == 0
    store.delete(tree)
    assert copy.exists()
    assert other.drop_copies() == 1
    assert not copy.exists()
    store.put_directory(folder)
    later = datetime.now(UTC) + timedelta(seconds=UNUSED_SECONDS + 60)
    late = _another(store, tmp_path, clock=lambda: later)
    assert late.directory(tree).exists()
    assert late.drop_copies() == 1


def test_what_a_killed_writer_left_is_cleared_a_day_later(store: ArtifactStore, folder: Path, tmp_path: Path) -> None:
    kept = store.put_directory(folder)
    (folder / "adapter_config.json").write_bytes(b'{"r": 16}')
    tree = store.put_directory(folder)
    files, base = _objects(store)
    files.rm_file(f"{base}/trees/{tree[:2]}/{tree}/manifest.json")
    left = f"{base}/trees/{tree[:2]}/{tree}/files/adapter_config.json"
    _another(store, tmp_path)
    assert files.exists(left), "its writer may still be at it"
    later = datetime.now(UTC) + timedelta(days=2)
    _another(store, tmp_path, clock=lambda: later)
    assert not files.exists(left)
    assert (_another(store, tmp_path).directory(kept) / "adapter_config.json").read_bytes() == CONFIG


def test_copy_serves_while_the_object_store_is_away(
    store: ArtifactStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, text = store.put_directory(folder), store.put_bytes(b"a document")
    files, _ = _objects(store)

    def away(*_: object, **__: object) -> None:
        raise ConnectionError("no route")

    for name in ("cat_file", "info", "pipe_file", "find"):
        monkeypatch.setattr(files, name, away)
    assert (store.directory(tree) / "adapter_config.json").read_bytes() == CONFIG
    for refused in (lambda: store.get_bytes(text), lambda: store.has(text), lambda: store.put_bytes(b"new")):
        with pytest.raises(StorageFailed, match="no route"):
            refused()
    with pytest.raises(StorageFailed):
        store.directory("0" * 64)


def test_backup_takes_artifacts_from_an_object_store(store: ArtifactStore, folder: Path, tmp_path: Path) -> None:
    text, tree = store.put_bytes(b"kept"), store.put_directory(folder)
    local = ArtifactStore(tmp_path / "backup")
    for digest in store.digests():
        local.take_from(store, digest)
    assert local.get_bytes(text) == b"kept"
    assert (local.directory(tree) / "inner" / "weights.bin").read_bytes() == WEIGHTS


def test_url_that_nothing_can_open_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="nosuch://place"):
        open_artifacts(tmp_path, url="nosuch://place")


def test_bucket_that_does_not_exist_is_our_fault_and_says_which(s3: str, tmp_path: Path) -> None:
    store = open_artifacts(tmp_path, url="s3://no-such-bucket/site")
    with pytest.raises(StorageFailed, match="no-such-bucket"):
        store.put_bytes(b"lost")
