"""The whole product on its real parts: `sealserve demo` in a process of its own, vLLM, training and all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 1500
QUICK = {"SEALSERVE_LEARN__TRAINING__CANDIDATES": "1", "SEALSERVE_LEARN__TRAINING__MAX_STEPS": "70"}
"""A sixth of the demo's training: a test needs that it works, `sealserve bench learn` says how well."""


@pytest.mark.vllm
@pytest.mark.timeout(SECONDS + 60)
def test_model_learns_an_article_for_one_tenant_and_unlearns_it_by_rollback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sealserve", "demo", "--json", "--data-directory", str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, env=os.environ | QUICK)
    assert done.returncode == 0, done.stderr[-4000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["before"] <= 0.2
    assert figures["other_tenant"] <= 0.2
    assert figures["after"] >= figures["before"] + 0.3
    assert figures["first_after_second"] >= figures["before"] + 0.3
    assert figures["after_rollback"] <= 0.2
    assert figures["first_after_rollback"] >= figures["before"] + 0.3
    assert 0 < figures["measuring_share"] < 1
    assert figures["first_seconds"] + figures["second_seconds"] == pytest.approx(figures["seconds"], abs=0.2)
