"""A school per story, which goes the same way every time: seeds come from cycles' ids."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_asyncio

from sealserve.registry.cycles import cycle_rows
from tests.stories.school import School, open_school


@pytest.fixture(autouse=True)
def counted_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the random part of cycles' ids be counted up."""
    count = itertools.count(1)
    monkeypatch.setattr(cycle_rows, "secrets", SimpleNamespace(token_hex=lambda n: f"{next(count):0{2 * n}x}"))


@pytest_asyncio.fixture
async def school(tmp_path: Path) -> AsyncIterator[School]:
    opened = open_school(tmp_path)
    await opened.student.start()
    yield opened
    opened.registry.close()
