"""One vLLM engine for the whole run: it takes a minute to start, so every test that needs one shares it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sealserve.engine.base_model import BaseShape, base_shape
from sealserve.engine.vllm_engine import VllmEngine
from sealserve.settings.engine import EngineSettings
from tests.engine.tiny_model import make_tiny_model

TINY_ENGINE = EngineSettings(
    max_rank=8, slots=2, loaded_adapters=32, kv_cache_gib=0.05, max_sequences=16, threads=1, dtype="float32"
)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny-base"))


@pytest.fixture(scope="session")
def tiny_shape(tiny_base: Path) -> BaseShape:
    return base_shape(tiny_base)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def vllm_engine(tiny_base: Path) -> AsyncIterator[VllmEngine]:
    """Use it from tests that run on the session's loop."""
    engine = VllmEngine(TINY_ENGINE, base=tiny_base)
    await engine.start()
    yield engine
    await engine.close()
