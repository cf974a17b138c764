"""Which adapter training starts from."""

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sealserve.learning.training.cycle_job import start_of
from sealserve.records.versions import VersionState


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 8.0}))
    return tmp_path


def registry_of(files: Path, *parents: int, imported: int, quarantined: int = 0) -> Any:
    """A registry of versions 1, 2, …, each measured against its parent."""

    def get(tenant: str, version: int) -> Any:
        return SimpleNamespace(
            version=version,
            parent=parents[version - 1],
            state=VersionState.QUARANTINED if version == quarantined else VersionState.READY,
            artifact=f"{version}",
            lineage=SimpleNamespace(imported={"peft": {}} if version == imported else None),
        )

    return SimpleNamespace(
        versions=SimpleNamespace(get=get), artifacts=SimpleNamespace(materialise=lambda artifact: nullcontext(files))
    )


@pytest.mark.parametrize(
    ("incumbent", "imported", "quarantined", "is_rebuilt", "start"),
    [
        (0, 2, 0, True, None),
        (1, 2, 0, True, None),  # what was imported later is no part of it
        (2, 2, 0, True, 2),
        (4, 2, 0, True, 2),
        (4, 2, 2, True, None),
        (4, 9, 0, True, None),
        (0, 2, 0, False, None),
        (4, 2, 0, False, 4),
    ],
)
def test_training_starts_from_what_cannot_be_trained_again(
    incumbent: int, imported: int, quarantined: int, is_rebuilt: bool, start: int | None, files: Path
) -> None:
    registry = registry_of(files, 0, 1, 2, 3, imported=imported, quarantined=quarantined)
    with start_of(registry, "acme", incumbent, is_rebuilt=is_rebuilt) as found:
        if start is None:
            assert found is None
        else:
            assert found is not None
            assert (found.version, found.rank, found.alpha, found.is_rebuilt) == (start, 4, 8, is_rebuilt)
