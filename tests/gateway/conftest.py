"""A server for each test that asks for one, and one for all tests of a module that leave it as it is."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.gateway.harness import Gateway, gateway


@pytest.fixture
async def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path, monkeypatch) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> AsyncIterator[Gateway]:
    """Use it from tests that run on the module's loop."""
    directory = tmp_path_factory.mktemp("gateway")
    (directory / "data").mkdir()
    shutil.copyfile(empty_registry, directory / "data" / "registry.db")
    with pytest.MonkeyPatch.context() as patches:
        async with gateway(directory, patches) as running:
            yield running
