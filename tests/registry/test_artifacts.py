"""The artifact store: what is read is what was written, or nothing."""

import errno
import hashlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sealserve.errors import CorruptArtifact, InvalidArgument, NotFound, SealserveError, StorageFailed
from sealserve.registry.artifacts import artifact_store as artifacts
from sealserve.registry.artifacts.artifact_store import ArtifactStore


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    """An empty store."""
    return ArtifactStore(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory as a trainer leaves it."""
    made = tmp_path / "trained"
    (made / "nested").mkdir(parents=True)
    (made / "adapter_model.safetensors").write_bytes(b"weights" * 1000)
    (made / "adapter_config.json").write_text("{}")
    (made / "nested" / "notes.txt").write_text("ü")
    return made


def _visible(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def _failing(code: int) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    return fail


def test_bytes_come_back_as_they_were(store: ArtifactStore) -> None:
    for data in (b"", b"\0\xff", b"x" * 3_000_000):
        digest = store.put_bytes(data)
        assert digest == hashlib.sha256(data).hexdigest()
        assert store.get_bytes(digest) == data


def test_same_bytes_are_kept_once(store: ArtifactStore, tmp_path: Path) -> None:
    assert store.put_bytes(b"same") == store.put_bytes(b"same")
    assert len(_visible(tmp_path)) == 1


@pytest.mark.parametrize("digest", ["", "../../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n", "/" + "a" * 63])
def test_name_that_is_no_digest_leads_nowhere(store: ArtifactStore, digest: str) -> None:
    for read in (store.get_bytes, store.directory):
        with pytest.raises(NotFound):
            read(digest)


def test_unknown_digest_is_not_found(store: ArtifactStore) -> None:
    for read in (store.get_bytes, store.directory):
        with pytest.raises(NotFound):
            read("a" * 64)


def test_damaged_bytes_are_refused_until_they_are_put_again(store: ArtifactStore, tmp_path: Path) -> None:
    digest = store.put_bytes(b"precious")
    (kept,) = _visible(tmp_path)
    kept.chmod(0o644)
    kept.write_bytes(b"precioux")
    with pytest.raises(CorruptArtifact):
        store.get_bytes(digest)
    assert store.put_bytes(b"precious") == digest
    assert store.get_bytes(digest) == b"precious"


def test_directory_comes_back_whole_and_read_only(store: ArtifactStore, folder: Path) -> None:
    digest = store.put_directory(folder)
    kept = store.directory(digest)
    assert kept.is_absolute()
    names = sorted(path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file())
    assert names == ["adapter_config.json", "adapter_model.safetensors", "nested/notes.txt"]
    assert all((kept / name).read_bytes() == (folder / name).read_bytes() for name in names)
    assert {(kept / name).stat().st_mode & 0o777 for name in names} <= {0o440, 0o400}


def test_digest_of_a_directory_is_that_of_its_canonical_manifest(store: ArtifactStore, folder: Path) -> None:
    manifest = {
        path.relative_to(folder).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "size": path.stat().st_size,
        }
        for path in folder.rglob("*")
        if path.is_file()
    }
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    assert store.put_directory(folder) == hashlib.sha256(text.encode()).hexdigest()


def test_same_directory_is_kept_once(store: ArtifactStore, folder: Path, tmp_path: Path) -> None:
    first = store.put_directory(folder)
    before = _visible(tmp_path)
    assert store.put_directory(folder) == first
    assert _visible(tmp_path) == before


def _link(folder: Path) -> None:
    (folder / "link").symlink_to("/etc/passwd")


def _linked_folder(folder: Path) -> None:
    (folder / "link").symlink_to("/etc", target_is_directory=True)


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


@pytest.mark.parametrize("add", [_link, _linked_folder, _pipe])
def test_directory_with_anything_but_plain_files_is_refused(
    store: ArtifactStore, folder: Path, tmp_path: Path, add: Callable[[Path], None]
) -> None:
    add(folder)
    with pytest.raises(InvalidArgument, match="not a plain file"):
        store.put_directory(folder)
    assert _visible(tmp_path) == []


def test_directory_that_is_missing_or_empty_is_refused(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "missing"):
        with pytest.raises(InvalidArgument):
            store.put_directory(path)
    assert _visible(tmp_path) == []


def _flip(kept: Path) -> None:
    target = kept / "adapter_model.safetensors"
    target.chmod(0o644)
    data = bytearray(target.read_bytes())
    data[17] ^= 1
    target.write_bytes(data)


def _cut(kept: Path) -> None:
    target = kept / "adapter_model.safetensors"
    target.chmod(0o644)
    os.truncate(target, 100)


def _lose(kept: Path) -> None:
    (kept / "adapter_config.json").unlink()


def _slip_in(kept: Path) -> None:
    (kept / "adapter_model.bin").write_bytes(b"evil")


def _slip_in_a_link(kept: Path) -> None:
    (kept / "extra").symlink_to("/etc/passwd")


def _swap_for_a_link(kept: Path) -> None:
    target = kept / "adapter_config.json"
    target.rename(kept.parent / "elsewhere")
    target.symlink_to(kept.parent / "elsewhere")


def _change_the_manifest(kept: Path) -> None:
    manifest = kept.parent / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text("{}")


def _lose_the_manifest(kept: Path) -> None:
    (kept.parent / "manifest.json").unlink()


DAMAGES = (
    _flip, _cut, _lose, _slip_in, _slip_in_a_link, _swap_for_a_link, _change_the_manifest, _lose_the_manifest
)  # fmt: skip


@pytest.mark.parametrize("was_read_before", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_directory_is_never_given_out_and_is_replaced_when_put_again(
    store: ArtifactStore, folder: Path, *, damage: Callable[[Path], None], was_read_before: bool, tmp_path: Path
) -> None:
    digest = store.put_directory(folder)
    kept = next((tmp_path / "store" / "trees").glob("*/*/files"))
    if was_read_before:
        assert store.directory(digest) == kept
    damage(kept)
    with pytest.raises(CorruptArtifact, match=digest):
        store.directory(digest)
    assert store.put_directory(folder) == digest
    assert (store.directory(digest) / "adapter_config.json").read_text() == "{}"


def test_materialised_directory_is_checked_and_has_the_files_as_put(store: ArtifactStore, folder: Path) -> None:
    digest = store.put_directory(folder)
    with store.materialise(digest) as kept:
        assert kept.is_absolute()
        assert {path.name: path.read_bytes() for path in kept.rglob("*.*")} == {
            path.name: path.read_bytes() for path in folder.rglob("*.*")
        }
    assert hashlib.sha256(store.manifest(digest)).hexdigest() == digest
    _flip(kept)
    for refused in (store.verify, store.manifest, lambda name: store.materialise(name).__enter__()):
        with pytest.raises(CorruptArtifact, match=digest):
            refused(digest)


def test_directory_is_hashed_once_while_it_does_not_change(
    store: ArtifactStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = store.put_directory(folder)
    kept = store.directory(digest)
    monkeypatch.setattr(artifacts, "_verify", lambda *_: pytest.fail("hashed again"))
    assert store.directory(digest) == kept


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_full_disk_is_our_fault_and_leaves_nothing(
    store: ArtifactStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, call, _failing(errno.ENOSPC))
        with pytest.raises(StorageFailed, match="disk is full"):
            store.put_bytes(b"data")
        with pytest.raises(StorageFailed, match="disk is full"):
            store.put_directory(folder)
    assert _visible(tmp_path) == []
    assert store.get_bytes(store.put_bytes(b"data")) == b"data"
    assert store.directory(store.put_directory(folder)).is_dir()


def test_rename_that_fails_leaves_nothing(
    store: ArtifactStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, _failing(errno.EIO))
    with pytest.raises(StorageFailed):
        store.put_bytes(b"data")
    with pytest.raises(StorageFailed):
        store.put_directory(folder)
    assert _visible(tmp_path) == []


def test_disk_that_writes_a_little_at_a_time_still_gets_everything(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data[:7])))
    digest = store.put_bytes(b"0123456789" * 10)
    assert store.get_bytes(digest) == b"0123456789" * 10


def test_two_processes_that_put_the_same_directory_both_succeed(
    store: ArtifactStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ArtifactStore(tmp_path / "store")
    rename = os.rename

    def rename_after_the_other(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "rename", rename)
        other.put_directory(folder)
        rename(source, target)

    monkeypatch.setattr(os, "rename", rename_after_the_other)
    digest = store.put_directory(folder)
    assert store.directory(digest) == other.directory(digest)
    assert list((tmp_path / "store" / "aside").iterdir()) == []


def test_store_in_an_impossible_place_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SealserveError, match="disk refused"):
        ArtifactStore(tmp_path / "file" / "store")


def test_what_a_killed_writer_left_is_cleared_a_day_later(tmp_path: Path) -> None:
    aside = tmp_path / "store" / "aside"
    (aside / "tree" / "files").mkdir(parents=True)
    (aside / "blob").write_bytes(b"half")
    now = datetime.fromtimestamp((aside / "blob").stat().st_mtime, UTC)
    ArtifactStore(tmp_path / "store", clock=lambda: now + timedelta(hours=23))
    assert len(list(aside.iterdir())) == 2
    ArtifactStore(tmp_path / "store", clock=lambda: now + timedelta(hours=25))
    assert list(aside.iterdir()) == []
