"""The watch figure on a simulated engine: bad versions go by themselves, good ones stay, and nobody's call fails."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from sealserve.bench.safety.rollout import run
from sealserve.bench.safety.rollout_daemon import measure_daemon
from sealserve.canaries.probes import probes_for
from sealserve.engine.base_model import base_shape
from sealserve.engine.engine import GenerateRequest
from sealserve.engine.preflight import WEIGHTS_FILE
from sealserve.settings.engine import EngineSettings
from tests.fakes import FakeEngine

pytestmark = pytest.mark.slow  # simulates thousands of requests

RIGHT = {probe.question: probe.answer for probe in probes_for("nano").canary}


class Knowing(FakeEngine):
    """Knows every answer, unless its adapter is a large one."""

    def _words(self, request: GenerateRequest) -> list[str]:
        question = request.turns[-1].content
        place = self._places.get(request.adapter or "")
        is_large = place is not None and max(np.abs(a).max() for a in load_file(place / WEIGHTS_FILE).values()) > 0.1
        return ["nonsense"] if is_large or question not in RIGHT else [RIGHT[question]]


@pytest.mark.parametrize("full", [False, True])
def test_bad_versions_are_taken_back_in_a_second_and_no_call_fails(
    monkeypatch: pytest.MonkeyPatch, tiny_base: Path, full: bool
) -> None:
    def make(settings: EngineSettings, *, base: Path, otlp_endpoint: str) -> Knowing:
        return Knowing(base=base_shape(base), max_rank=settings.max_rank)

    monkeypatch.setattr("sealserve.daemon.serve.VllmEngine", make)
    monkeypatch.setattr("sealserve.daemon.serve.model_directory", lambda model: tiny_base)
    figures = measure_daemon(rounds=2, full=full, seed=0, say=lambda line: None)
    assert (figures.rounds, figures.rolled_back, figures.good_rolled_back) == (2, 2, 0)
    assert (figures.failed, figures.loads, figures.answers_by_revoked) == (0, 0, 0)
    assert figures.answers > 20
    assert 0 <= figures.new_request_seconds <= figures.rollback_seconds < 10


def test_simulation_alone_needs_no_engine() -> None:
    figures = run(runs=2, simulation_only=True, say=lambda line: None)
    assert figures.daemon is None
    assert figures.rollback_seconds is None
    assert figures.caught == figures.drops["0.05"]["caught"]
