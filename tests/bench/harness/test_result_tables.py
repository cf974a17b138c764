"""The page's tables come from kept results, and every kept result can be shown."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sealserve.bench.harness.result_tables import TABLES, newest, rewritten
from sealserve.errors import BadConfig
from sealserve.prompts import BUILT_IN
from tests.contract.tree import ROOT

RESULT: dict[str, Any] = {
    "date": "2026-11-21", "machine": "2 CPU cores", "model": "nano", "seed": 0, "seconds": 9.0,
    "accuracy": [0.5, 0.7], "accuracy_intervals": [[0.4, 0.6], [0.6, 0.8]],
    "asked_for": [{"learning_rate": r, "epochs": 12.0, "loss_on_all": 0.5, **dict.fromkeys(BUILT_IN, 0.5)}
                  for r in (1e-3, 3e-3)],
    "gain": 0.2, "gain_low": 0.1, "gain_high": 0.3,
    "goals": {"gain": {"measured": 0.2, "goal": ">= 0.07", "is_met": True}},
}  # fmt: skip

BEFORE = ("2026-11-21-cpu2-train.json", "2026-11-30-cpu2-abuse.json", "2026-11-30-cpu2-beside.json")
"""Kept results that were printed before their figure told its date, seed and base."""

UNDRAWN = ("intake", "abuse", "beside", "capacity")
"""Figures that draw nothing and learn nothing from a model; what is drawn for capacity is in its load."""


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


def test_arms_that_an_older_result_lacks_are_shown_once_there_are_any(tmp_path: Path) -> None:
    page = "<!-- editor: begin -->\n<!-- editor: end -->\n"
    file = tmp_path / "2026-11-21-cpu2-editor.json"
    file.write_text(json.dumps(RESULT))
    assert "no directive" not in rewritten(page, tmp_path)
    arm = {
        "default": 0.75,
        "default_interval": [0.7, 0.8],
        "default_recipe": RESULT["asked_for"][0],
        "gain_over_default": -0.05,
        "gain_over_default_interval": [-0.1, 0.0],
    }
    file.write_text(json.dumps({**RESULT, **arm}))
    new = rewritten(page, tmp_path)
    assert "| no directive | 0.750 | [0.700, 0.800] |  | rate 0.0010" in new
    assert "| gain over no directive | -0.050 | [-0.100, 0.000] |  |  |" in new


def test_seal_and_replay_stand_beside_the_union_with_their_orders_and_rates(tmp_path: Path) -> None:
    names = ("retained_lag1", "canary_loss", "just_learned", "known_at_the_end")
    prefixes = ("", "replay_", "seal_")
    result = {**RESULT, "articles": 2, "goals": {}, "seal_rate": 0.001, "seal_tried_orders": 2}
    result |= {
        "seal_rates": {"0.001": {"known_at_the_end": 0.6, "canary_loss": 0.1}},
        **{f"{prefix}orders": 8 for prefix in prefixes},
    }
    for prefix in prefixes:
        result |= {f"{prefix}{name}": 0.5 for name in names}
        result |= {f"{prefix}intervals": {name: [0.4, 0.6] for name in names}}
        result |= {f"{prefix}lags": [0], f"{prefix}retained_by_lag": [1.0]}
    (tmp_path / "2026-11-29-cpu2-continual.json").write_text(json.dumps(result))
    new = rewritten("<!-- continual: begin -->\n<!-- continual: end -->\n", tmp_path)
    assert "| orders of the articles | 8 | 8 | 8 |  |" in new
    assert "| known_at_the_end | 0.500 [0.400, 0.600] | 0.500 [0.400, 0.600] | 0.500 [0.400, 0.600] |  |" in new
    assert "at a learning rate of 0.001; on 2 of the orders, the rates gave:" in new
    assert "| 0.001 | 0.600 | 0.100 |" in new


def test_sides_of_training_show_their_spread_and_batch(tmp_path: Path) -> None:
    result: dict[str, Any] = {
        "machine": "2 CPU cores", "seconds": {}, "ratio_seal": 30.0, "ratio_peft": 5.0,
        "per_minute": {"one_pass": 60.0, "seal": 2.0, "one_pass_batch12": 30.0, "stock_peft_batch12": 15.0},
        "timed": {"one_pass": 45, "seal": 3, "one_pass_batch12": 45, "stock_peft_batch12": 4},
    }  # fmt: skip
    result |= {"final_loss": dict.fromkeys(result["per_minute"], 0.5)}
    file = tmp_path / "2026-11-21-cpu2-train.json"
    page = "<!-- train: begin -->\n<!-- train: end -->\n"
    file.write_text(json.dumps(result))
    old = rewritten(page, tmp_path)
    assert "2026-11-21, 2 CPU cores ([result](results/2026-11-21-cpu2-train.json))." in old
    assert "| SEAL's code: padded to the context | 1 | 2.0 |  | 3 | 0.5000 | 30 times |  |" in old
    newer = {"ratios": {"seal": 30.0, "stock_peft_batch12": 2.0}, "spread": {"stock_peft_batch12": [14.0, 16.0]}}
    file.write_text(json.dumps({**result, **newer}))
    new = rewritten(page, tmp_path)
    assert "| stock PEFT, one process | 12 | 15.0 | 14.0 to 16.0 | 4 | 0.5000 | 2 times |  |" in new


def test_the_page_names_only_results_that_are_kept_and_says_where_none_is() -> None:
    page = (ROOT / "ops/bench/README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"results/([\w-]+\.json)", page))
    assert {name for name in named if not (ROOT / "ops/bench/results" / name).is_file()} == set()
    measured = [part for part in page.split("\n## ")[1:] if re.search(r"\d\.\d\d", part)]
    said = r"\(results/|[Nn]o result|Not measured here"
    silent = [part.partition("\n")[0] for part in measured if not re.search(said, part)]
    assert silent == []


def test_the_page_shows_the_newest_results_as_they_are() -> None:
    page = (ROOT / "ops/bench/README.md").read_text(encoding="utf-8")
    assert page == rewritten(page, ROOT / "ops/bench/results"), (
        "run: .venv/bin/python -m sealserve.bench.harness.result_tables"
    )
    assert all(f"<!-- {name}: begin -->" in page for name in TABLES)


def test_every_kept_result_says_when_and_where_it_was_measured() -> None:
    kept = {name: newest(ROOT / "ops/bench/results", name) for name in TABLES}
    measured = {name: one for name, one in kept.items() if one is not None and one["file"] not in BEFORE}
    drawn = {name: set() if name in UNDRAWN else {"seed", "base_digest"} for name in measured}
    said = {name: {"date", "machine"} | drawn[name] for name in measured}
    assert [one for name, one in measured.items() if not said[name] <= one.keys()] == []
