"""A school per story."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.stories.school import School, open_school


@pytest_asyncio.fixture
async def school(tmp_path: Path) -> AsyncIterator[School]:
    opened = open_school(tmp_path)
    await opened.student.start()
    yield opened
    opened.registry.close()
