"""Who may read what is in a data directory: nobody but its owner, after a mount or a copy as well."""

import os
import stat
from pathlib import Path

import pytest

from sealserve.daemon.storage import keep_private, open_registry
from sealserve.doctor.examination import examine
from sealserve.doctor.finding import Finding, State
from sealserve.local_tokens import admin_secret, internal_secret
from sealserve.private_files import SECRET_FILES, exposed_in
from sealserve.proof.manifest import Seals
from sealserve.serving.salt import TenantSalts
from sealserve.settings.settings import Settings, load_settings


@pytest.fixture
def registries_start_migrated() -> None:
    """Here the registry makes its own file."""


@pytest.fixture
def data(tmp_path: Path, registries_start_migrated: None) -> Settings:
    """A data directory after a first start."""
    settings = load_settings(overrides={"data_directory": tmp_path / "data", "serve.address": "127.0.0.1:1"})
    registry = open_registry(settings)
    for make in (admin_secret, internal_secret):
        make(settings.data_directory, registry.tokens.enrol)
    Seals.open(settings.data_directory, registry)
    TenantSalts.open(settings.data_directory / "salt.key")
    registry.close()
    return settings


def modes(directory: Path) -> dict[str, int]:
    return {
        path.relative_to(directory).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in (directory, *directory.rglob("*"))
    }


def test_a_first_start_leaves_nothing_that_others_can_read(data: Settings) -> None:
    found = modes(data.data_directory)
    assert {found[name] for name in (*SECRET_FILES, "registry.db")} == {0o600}
    assert found["."] == found["artifacts"] == found["keys"] == 0o700
    assert list(exposed_in(data.data_directory)) == []
    assert finding(data).state is State.OK


def finding(settings: Settings) -> Finding:
    (found,) = [one for one in examine(settings) if one.name == "file modes"]
    return found


def test_the_group_that_a_mount_gives_everything_is_taken_away_again(data: Settings) -> None:
    before = modes(data.data_directory)
    for path in (data.data_directory, *data.data_directory.rglob("*")):  # as fsGroup does
        path.chmod(stat.S_IMODE(path.stat().st_mode) | (0o2770 if path.is_dir() else 0o660))
    warned = finding(data)
    assert warned.state is State.WARNS
    assert "the next start repairs it" in warned.advice
    keep_private(data)
    after = modes(data.data_directory)
    assert {name: after[name] & 0o777 for name in (*SECRET_FILES, "registry.db", "keys", "artifacts", ".")} == {
        name: before[name] for name in (*SECRET_FILES, "registry.db", "keys", "artifacts", ".")
    }
    assert finding(data).state is State.OK


def test_what_belongs_to_another_user_is_reported_and_starts_all_the_same(
    data: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data.data_directory / "admin.token").chmod(0o660)
    monkeypatch.setattr("sealserve.private_files.os.geteuid", lambda: os.getuid() + 1)
    keep_private(data)
    warned = finding(data)
    assert (warned.state, "admin.token (660)" in warned.advice) == (State.WARNS, True)
    registry = open_registry(data)
    assert admin_secret(data.data_directory, registry.tokens.enrol)
    registry.close()


def test_a_directory_that_holds_other_things_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("of somebody else's")
    tmp_path.chmod(0o755)
    registry = open_registry(settings := Settings(data_directory=tmp_path))
    registry.close()
    keep_private(settings)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "registry.db").stat().st_mode) & 0o077 == 0
