"""The tokens an installation makes for itself: made once, kept from others, known to the registry."""

import os
import stat
from pathlib import Path

import pytest

from sealserve.errors import BadConfig
from sealserve.local_tokens import ADMIN_FILE, INTERNAL_FILE, admin_secret, found_secret, internal_secret, own_secret
from sealserve.records.principals import Role
from sealserve.registry.registry import Registry


def test_secret_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    path = tmp_path / "data" / ADMIN_FILE
    assert found_secret(path) == ""
    secret = own_secret(path)
    assert (own_secret(path), found_secret(path)) == (secret, secret)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == [ADMIN_FILE]


def test_secret_that_is_too_short_or_that_everybody_reads_for_good_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ADMIN_FILE
    path.write_text("short")
    path.chmod(0o600)
    with pytest.raises(BadConfig, match="too short"):
        own_secret(path)
    path.write_text("s" * 64)
    path.chmod(0o644)
    assert own_secret(path) == "s" * 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    monkeypatch.setattr("sealserve.private_files.os.geteuid", lambda: os.getuid() + 1)
    with pytest.raises(BadConfig, match="chmod 600"):
        own_secret(path)
    path.chmod(0o660)
    assert own_secret(path) == "s" * 64, "a group that came with a mount is let be"


def test_first_start_makes_an_administrator_and_the_installations_own_and_the_second_start_none(tmp_path: Path) -> None:
    registry = Registry.open(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "artifacts")
    for _ in range(2):
        secrets = [make(tmp_path, registry.tokens.enrol) for make in (admin_secret, internal_secret)]
    assert [registry.tokens.find(secret).principal.role for secret in secrets] == [Role.ADMIN, Role.ENGINE]
    assert [token.principal.name for token in registry.tokens.all()] == ["admin", "engine"]
    assert {path.name for path in tmp_path.glob("*.token")} == {ADMIN_FILE, INTERNAL_FILE}
    registry.close()
