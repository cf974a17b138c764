"""One server for each test that asks for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.harness import Gateway, gateway


@pytest.fixture
async def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path, monkeypatch) as running:
        yield running
