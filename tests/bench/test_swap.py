"""The swap figure finds nothing wrong with a sound server, and sees what is wrong with another."""

from pathlib import Path

import pytest

from sealserve.bench.harness.adapters import DEFECTS, make_bad, make_sound
from sealserve.bench.serving import swap
from sealserve.engine.base_model import BaseShape, base_shape
from sealserve.engine.preflight import check_adapter
from sealserve.errors import BadAdapter
from sealserve.serving.adapter_table import AdapterTable, Route, Standby
from sealserve.settings.engine import EngineSettings
from tests.fakes import FakeEngine


def pretend(monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    def make(settings: EngineSettings, *, base: Path, otlp_endpoint: str) -> FakeEngine:
        return FakeEngine(base=base_shape(base), max_rank=settings.max_rank)

    monkeypatch.setattr("sealserve.daemon.serve.VllmEngine", make)
    monkeypatch.setattr("sealserve.daemon.serve.model_directory", lambda model: base)


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_bad_adapter_is_bad_in_the_way_it_says(
    defect: str, tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape
) -> None:
    with pytest.raises(BadAdapter) as refused:
        check_adapter(make_bad(tmp_path / "a", tiny_base, defect=defect, seed=3), tiny_shape, max_rank=8)
    assert refused.value.defect == defect


def test_sound_adapters_pass_and_differ(tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape) -> None:
    one, two = (make_sound(tmp_path / str(seed), tiny_base, seed=seed) for seed in (1, 2))
    assert check_adapter(one, tiny_shape, max_rank=8).rank == check_adapter(two, tiny_shape, max_rank=8).rank
    assert (one / "adapter_model.safetensors").read_bytes() != (two / "adapter_model.safetensors").read_bytes()


@pytest.mark.slow
def test_sound_server_gives_no_wrong_and_no_failed_answer(monkeypatch: pytest.MonkeyPatch, tiny_base: Path) -> None:
    pretend(monkeypatch, tiny_base)
    figures = swap.run(swaps=16, clients=3, say=lambda line: None)
    assert (figures.swaps, figures.wrong, figures.failed) == (16, 0, 0)
    assert figures.offered == figures.refused == 6
    assert figures.answers > figures.answers_over_http > 16 // 3
    assert 0 < figures.flip_ms_p99 < 1000
    assert 0 < figures.observed_s_p99 < 10


@pytest.mark.slow
def test_answer_from_another_version_than_the_one_named_is_counted_wrong(
    monkeypatch: pytest.MonkeyPatch, tiny_base: Path
) -> None:
    pretend(monkeypatch, tiny_base)
    real = AdapterTable.swap

    def lie(table: AdapterTable, route: Route, *, standby: Standby | None = None) -> None:
        before = table.route(route.tenant)
        stale = before.engine_name if before else route.engine_name
        told = Route(tenant=route.tenant, version=route.version, activation=route.activation, engine_name=stale)
        real(table, told, standby=standby)

    monkeypatch.setattr(AdapterTable, "swap", lie)
    figures = swap.run(swaps=4, clients=2, say=lambda line: None)
    assert figures.wrong > 0
