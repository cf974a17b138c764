"""The signed head of the audit chain: a chain that was written anew does not fit it."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealserve.errors import CorruptArtifact
from sealserve.proof.heads import HEAD_FILE, check_head, write_head
from sealserve.proof.keys import KeyRing
from sealserve.registry.registry import Registry

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def open_at(directory: Path) -> Registry:
    return Registry.open(f"sqlite:///{directory}/registry.db", directory / "artifacts")


def test_a_chain_that_grew_fits_its_head_and_one_that_was_rewritten_does_not(tmp_path: Path) -> None:
    with closing(open_at(tmp_path)) as registry:
        ring, file = KeyRing(tmp_path / "keys", registry), tmp_path / HEAD_FILE
        assert check_head(registry, ring, file) is None
        registry.tenants.create("acme", actor="ann")
        signed = write_head(registry, ring, file, now=NOW)
        registry.tenants.create("globex", actor="ann")
        assert check_head(registry, ring, file) == signed == registry.audit.verify() - 1
        assert write_head(registry, ring, file, now=NOW) == signed + 1
    (tmp_path / "registry.db").rename(tmp_path / "kept.db")
    with closing(open_at(tmp_path)) as forged:
        ring = KeyRing(tmp_path / "keys", forged)
        for tenant in ("acme", "evil", "globex"):
            forged.tenants.create(tenant, actor="eve")
        assert forged.audit.verify() > signed, "whole in itself"
        before = file.read_bytes()
        with pytest.raises(CorruptArtifact, match="was rewritten"):
            check_head(forged, ring, file)
        with pytest.raises(CorruptArtifact, match="was rewritten"):
            write_head(forged, ring, file, now=NOW)
        assert file.read_bytes() == before


def test_a_head_that_was_changed_is_not_believed(tmp_path: Path) -> None:
    with closing(open_at(tmp_path)) as registry:
        ring, file = KeyRing(tmp_path / "keys", registry), tmp_path / HEAD_FILE
        write_head(registry, ring, file, now=NOW)
        file.write_text(file.read_text().replace('"sig": "', '"sig": "AAAA'))
        with pytest.raises(CorruptArtifact):
            check_head(registry, ring, file)
        file.write_text("{")
        with pytest.raises(CorruptArtifact, match="cannot be read"):
            check_head(registry, ring, file)
