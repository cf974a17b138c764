"""One server for each test that asks for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.site import Site, running


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running(tmp_path) as here:
        yield here
