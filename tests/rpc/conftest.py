"""One server for each test that asks for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rpc.harness import Served, served


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as running:
        yield running
