"""A backup without its secrets, put back on another machine, learns on."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from sealserve.backup import back_up, restore
from sealserve.records.cycles import CycleState
from sealserve.settings.settings import Settings
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
    settings = lost.context.settings
    back_up(settings, lost.registry, tmp_path / "backup", has_secrets=False, say=lambda line: None)
    lost.add("Tarn Bridge")  # after the backup
    lost.registry.close()
    shutil.rmtree(tmp_path / "lost")

    elsewhere = Settings(data_directory=tmp_path / "found")
    assert restore(elsewhere, tmp_path / "backup", say=lambda line: None).is_whole
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
