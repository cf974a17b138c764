"""One page for each test that asks for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.browser import Page, looking


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with looking(tmp_path) as running:
        yield running
