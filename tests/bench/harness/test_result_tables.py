"""The page's tables come from kept results, and every kept result can be shown."""

import json
from pathlib import Path

import pytest

from sealserve.bench.harness.result_tables import TABLES, newest, rewritten
from sealserve.errors import BadConfig
from sealserve.prompts import BUILT_IN
from tests.contract.tree import ROOT

RESULT = {
    "date": "2026-11-21", "machine": "2 CPU cores", "model": "nano", "seed": 0, "seconds": 9.0,
    "accuracy": [0.5, 0.7], "accuracy_intervals": [[0.4, 0.6], [0.6, 0.8]],
    "asked_for": [{"learning_rate": r, "epochs": 12.0, "loss_on_all": 0.5, **dict.fromkeys(BUILT_IN, 0.5)}
                  for r in (1e-3, 3e-3)],
    "gain": 0.2, "gain_low": 0.1, "gain_high": 0.3,
    "goals": {"gain": {"measured": 0.2, "goal": ">= 0.07", "is_met": True}},
}  # fmt: skip


def test_the_newest_result_is_shown_between_its_marks_and_the_rest_stays(tmp_path: Path) -> None:
    (tmp_path / "2026-11-20-cpu2-editor.json").write_text("{}")
    (tmp_path / "2026-11-21-cpu2-editor.json").write_text(json.dumps(RESULT))
    page = "before\n<!-- editor: begin -->\nold\n<!-- editor: end -->\nafter\n"
    new = rewritten(page, tmp_path)
    assert "| gain over round 0 | +0.200 | [0.100, 0.300] | >= 0.07: met |" in new
    assert "rate 0.0030, 12.0 epochs, loss on all 50%" in new
    assert new.startswith("before\n")
    assert new.endswith("after\n")
    assert "old" not in new
    assert rewritten(new, tmp_path) == new


def test_a_part_without_a_result_stays_and_a_broken_result_is_named(tmp_path: Path) -> None:
    page = "<!-- learn: begin -->\nNot measured yet.\n<!-- learn: end -->\n"
    assert rewritten(page, tmp_path) == page
    (tmp_path / "2026-11-21-cpu2-learn.json").write_text("no")
    with pytest.raises(BadConfig, match="cpu2-learn"):
        rewritten(page, tmp_path)


def test_arm_with_two_orders_shows_their_number_and_no_interval(tmp_path: Path) -> None:
    names = ("retained_lag1", "canary_loss", "just_learned")
    result = {**RESULT, "articles": 2, "orders": 3, "seal_orders": 2, "goals": {}} | {
        f"{prefix}{name}": value
        for prefix in ("", "seal_")
        for name, value in {
            **dict.fromkeys(names, 0.5),
            "intervals": {key: [0.4, 0.6] for key in names},
            "lags": [0],
            "retained_by_lag": [1.0],
        }.items()
    }
    (tmp_path / "2026-11-21-cpu2-continual.json").write_text(json.dumps(result))
    new = rewritten("<!-- continual: begin -->\n<!-- continual: end -->\n", tmp_path)
    assert "| orders of the articles | 3 | 2 |" in new
    assert "| canary_loss | 0.500 [0.400, 0.600] | 0.500 |" in new


def test_the_page_shows_the_newest_results_as_they_are() -> None:
    page = (ROOT / "ops/bench/README.md").read_text(encoding="utf-8")
    assert page == rewritten(page, ROOT / "ops/bench/results"), (
        "run: .venv/bin/python -m sealserve.bench.harness.result_tables"
    )
    assert all(f"<!-- {name}: begin -->" in page for name in TABLES)


def test_every_kept_result_says_when_and_where_it_was_measured() -> None:
    kept = {name: newest(ROOT / "ops/bench/results", name) for name in TABLES}
    measured = [one for one in kept.values() if one is not None]
    assert [one for one in measured if not {"date", "machine", "seed", "base_digest"} <= one.keys()] == []
