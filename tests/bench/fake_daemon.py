"""`python -m tests.bench.fake_daemon serve PARENT`: a process of the daemon as it is, over the tests' engine."""

from pathlib import Path

from sealserve.daemon import serve
from sealserve.daemon.__main__ import main
from sealserve.engine.base_model import base_shape
from sealserve.settings.engine import EngineSettings
from tests.fakes import FakeEngine


def _make(settings: EngineSettings, *, base: Path, otlp_endpoint: str) -> FakeEngine:
    return FakeEngine(base=base_shape(base), max_rank=settings.max_rank)


if __name__ == "__main__":
    vars(serve)["VllmEngine"] = _make
    main()
