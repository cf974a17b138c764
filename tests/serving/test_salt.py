"""Salts are stable, differ by tenant and machine, and rest on a key nobody else can read."""

import stat
from pathlib import Path

import pytest

from sealserve.errors import StorageFailed
from sealserve.serving.salt import TenantSalts


def test_salts_are_stable_and_differ_by_tenant(tmp_path: Path) -> None:
    salts = TenantSalts.open(tmp_path / "data" / "salt.key")
    again = TenantSalts.open(tmp_path / "data" / "salt.key")
    assert salts.salt("acme") == again.salt("acme") != salts.salt("globex")


def test_salts_differ_by_key(tmp_path: Path) -> None:
    here, there = (TenantSalts.open(tmp_path / name) for name in ("here.key", "there.key"))
    assert here.salt("acme") != there.salt("acme")


def test_key_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    TenantSalts.open(tmp_path / "salt.key")
    assert stat.S_IMODE((tmp_path / "salt.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["salt.key"]


def test_damaged_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "salt.key").write_bytes(b"short")
    with pytest.raises(StorageFailed, match="not a key"):
        TenantSalts.open(tmp_path / "salt.key")


def test_asker_stands_for_a_key_within_its_tenant_and_for_no_key_there_is_none(tmp_path: Path) -> None:
    here, there = (TenantSalts.open(tmp_path / name) for name in ("here.key", "there.key"))
    assert here.asker("acme", "ann") == here.asker("acme", "ann")
    assert len({here.asker("acme", "ann"), here.asker("globex", "ann"), here.asker("acme", "bea"),
                there.asker("acme", "ann")}) == 4  # fmt: skip
    assert "ann" not in here.asker("acme", "ann")
    assert here.asker("acme", "") == ""
