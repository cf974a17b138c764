"""The gate figure on few candidates: its shape, and that the same seed gives the same numbers."""

from pathlib import Path

import pytest

from sealserve.bench.safety import gate
from sealserve.canaries.probes import SUITES_VERSION
from sealserve.gate.thresholds import load_policy

pytestmark = pytest.mark.slow  # simulates thousands of verdicts


def test_useless_and_worse_candidates_are_hardly_promoted_and_good_ones_mostly(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    figures = gate.run(candidates=40, out=tmp_path, say=lambda line: None)
    assert figures.null_promoted <= 0.1
    assert figures.worse_promoted <= 0.1
    assert set(figures.promoted_by_noise) == {"0.0", "0.01", "0.03"}
    for shares in figures.promoted_by_noise.values():
        assert set(shares) == {f"{kind}, {model}" for kind in ("good", "worse") for model in figures.sizes}
    assert min(shares["good, nano"] for shares in figures.promoted_by_noise.values()) >= figures.good_promoted
    assert min(figures.promoted_by_noise["0.0"][f"good, {model}"] for model in figures.sizes) >= 0.8
    others = {f"{suite}, {model}" for model, one in figures.sizes.items() for suite in ("unknown", *one["suites"])}
    assert set(figures.worse_promoted_by_suite) == others
    assert figures.worse_promoted_by_suite[f"formats@{SUITES_VERSION}, nano"] > 0.3  # small, and its margin is wide
    assert min(one["canary"] for one in figures.sizes.values()) >= load_policy().canary.min_items
    assert all(sum(found.values()) == 40 for found in figures.decisions.values())
    assert (tmp_path / "gate-power.png").read_bytes().startswith(b"\x89PNG")
    few = [gate.run(candidates=4, say=lambda line: None) for _ in range(2)]
    assert few[0] == few[1]
