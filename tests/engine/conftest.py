"""The tiny base model and its shape, made once per run."""

from pathlib import Path

import pytest

from sealserve.engine.base_model import BaseShape, base_shape
from tests.engine.tiny_model import make_tiny_model


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny-base"))


@pytest.fixture(scope="session")
def tiny_shape(tiny_base: Path) -> BaseShape:
    return base_shape(tiny_base)
