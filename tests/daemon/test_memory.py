"""`serve` and memory: what cannot fit is refused before anything is opened; what fits is told."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from sealserve.daemon import serve
from sealserve.engine.memory_plan import GIB, Machine
from sealserve.errors import BadConfig
from sealserve.settings.settings import load_settings
from sealserve.telemetry.names import LogEvent


def put_on(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    monkeypatch.setattr("sealserve.engine.memory_plan.this_machine", lambda: machine)


async def test_what_cannot_fit_is_refused_before_anything_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(serve, "VllmEngine", fail)
    put_on(monkeypatch, Machine(ram_bytes=GIB, cores=2))
    settings = load_settings(overrides={"data_directory": tmp_path / "data", "serve.address": "127.0.0.1:0"})
    with pytest.raises(BadConfig, match=r"> 1\.0 GiB of memory: lower engine.kv_cache_gib"):
        async with serve.serving(settings):
            pass
    assert not (tmp_path / "data").exists()


def test_a_gpu_is_shared_with_the_trainer_unless_the_engine_serves_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_on(monkeypatch, Machine(ram_bytes=64 * GIB, cores=8, gpu_bytes=16 * GIB))
    with capture_logs() as logs:
        shared = serve._planned(load_settings(), trains_here=True).engine.gpu_memory_fraction
        alone = serve._planned(load_settings(), trains_here=False).engine.gpu_memory_fraction
    assert [one["event"] for one in logs] == [LogEvent.MEMORY_PLANNED] * 2
    assert "trainer" in logs[0]["plan"]
    assert "trainer" not in logs[1]["plan"]
    assert shared is not None
    assert alone == 0.85
    assert shared <= alone
