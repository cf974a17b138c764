"""`sealserve editor` without a server: what is on disk is shown, and a round says what it needs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sealserve.cli.app import app
from sealserve.daemon.local import free_address
from sealserve.daemon.storage import open_registry
from sealserve.learning.editor.costs import Cost
from sealserve.learning.editor.store import Editors, Round, RoundTrial
from sealserve.prompts import Template
from sealserve.records.candidates import Recipe
from sealserve.records.scores import Measured
from sealserve.settings.settings import Settings
from tests.learning.editor.stored import write_editors

GAIN = Measured(n=20, candidate=0.8, incumbent=0.7, gain=0.1, gain_low=0.02, gain_high=0.18, better=12, worse=3)

TRIAL = RoundTrial(
    document="d1",
    sample=0,
    is_directed=True,
    recipe=Recipe(
        templates=(Template.QA,),
        rank=8,
        alpha=16,
        learning_rate=0.002,
        epochs=8,
        batch_size=4,
        loss_on_answers=False,
        retention=0.2,
        seed=7,
    ),
    templates=(Template.QA,),
    admitted=6,
    select=-0.5,
    confirm=0.75,
    is_winner=True,
)


@pytest.fixture
def runner(tmp_path: Path) -> CliRunner:
    return CliRunner(env={"SEALSERVE_DATA_DIRECTORY": str(tmp_path), "SEALSERVE_SERVE__ADDRESS": free_address()})


def test_show_tells_who_writes_and_what_a_point_cost(runner: CliRunner, tmp_path: Path) -> None:
    done = Round(
        round=1,
        parent=0,
        artifact="ab" * 32,
        documents=("d1",),
        held_out=("d2",),
        winners=9,
        gain=GAIN,
        is_promoted=True,
        reason="writes better self-edits",
        cost=Cost(device_seconds=120, candidates=60),
        base_digest="",
        settings_digest="",
        finished_at="2026-11-21T00:00:00+00:00",
        trials=(TRIAL,),
    )
    registry = open_registry(Settings(data_directory=tmp_path))
    registry.tenants.create("acme", actor="ann")
    write_editors(registry, "acme", Editors().after(done))
    registry.close()
    told = json.loads(runner.invoke(app, ["editor", "show", "acme", "--json"]).stdout.splitlines()[-1])
    assert (told["active"], told["device_seconds"], told["seconds_per_confirmed_point"]) == (1, 120.0, 12.0)
    assert told["rounds"][0]["gain"]["gain_low"] == 0.02
    (trial,) = told["rounds"][0]["trials"]
    assert (trial["recipe"]["learning_rate"], trial["recipe"]["seed"], trial["templates"]) == (0.002, 7, ["qa"])
    assert (trial["select"], trial["confirm"], trial["is_winner"]) == (-0.5, 0.75, True)
    assert "+0.100 [+0.020, +0.180]" in runner.invoke(app, ["editor", "show", "acme"]).stdout


def test_show_before_any_round_says_what_to_do(runner: CliRunner) -> None:
    shown = runner.invoke(app, ["editor", "show", "acme"])
    assert shown.exit_code == 0
    assert "sealserve editor round" in shown.stdout


def test_a_round_needs_a_served_engine(runner: CliRunner) -> None:
    refused = runner.invoke(app, ["editor", "round", "acme", "--json"])
    assert refused.exit_code == 4
    assert "sealserve up" in json.loads(refused.stdout.splitlines()[-1])["error"]["message"]
