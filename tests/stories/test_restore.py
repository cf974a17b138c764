"""A backup as ops/runbook.md has it, keys included, put back on another machine."""

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from sealserve.records.cycles import CycleState
from tests.stories.school import TENANT, open_school

pytestmark = pytest.mark.slow  # plays whole cycles

PRICE = "What is the price of Varnel Lamp?"


async def test_what_is_restored_elsewhere_answers_verifies_and_learns_on(tmp_path: Path) -> None:
    lost = open_school(tmp_path / "lost")
    await lost.student.start()
    lost.add("Varnel Lamp")
    assert (await lost.learn()).state is CycleState.PROMOTED
    lost.add("Osk Kettle", shift=2)
    before, answer = lost.state(), await lost.answer(PRICE)
    _back_up(tmp_path / "lost", tmp_path / "found")
    lost.add("Tarn Bridge")  # after the backup
    lost.registry.close()
    shutil.rmtree(tmp_path / "lost")

    found = open_school(tmp_path / "found")
    found.clock.now += timedelta(days=1)
    await found.student.start()
    assert found.state() == before
    assert await found.answer(PRICE) == answer
    assert found.registry.audit.verify() == found.registry.audit.head()[0]
    found.context.seals.require(found.registry.versions.get(TENANT, 1))
    cycle = await found.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    assert await found.answer(PRICE) == answer
    assert await found.answer("What is the price of Osk Kettle?") == "The price is Orla Finch."
    found.registry.close()


def _back_up(source: Path, into: Path) -> None:
    """Copy the database while it is in use, then what it names."""
    into.mkdir()
    with (
        closing(sqlite3.connect(source / "registry.db")) as live,
        closing(sqlite3.connect(into / "registry.db")) as copy,
    ):
        live.backup(copy)
    for name in ("artifacts", "keys"):
        shutil.copytree(source / name, into / name)
