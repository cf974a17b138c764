"""What a killed learner leaves on disk goes, once nobody works on it any more; what somebody works on stays."""

import asyncio
import os
from pathlib import Path

import pytest

from sealserve.errors import FailedPrecondition
from sealserve.learning.cleanup import UNNAMED_SECONDS, sweep, tidy
from sealserve.learning.editor.costs import Cost
from sealserve.learning.editor.store import Editors, Round, read_editors
from sealserve.learning.leases import hold_named
from sealserve.learning.scheduler import Learner
from sealserve.records.cycles import Step
from tests.learning.editor.stored import write_editors
from tests.stories.school import TENANT, Killed, School

pytestmark = pytest.mark.slow  # plays whole cycles


def a_round(number: int, *, artifact: str, documents: tuple[str, ...]) -> Round:
    return Round(
        round=number, parent=0, artifact=artifact, documents=documents, held_out=(), winners=1, gain=None,
        is_promoted=True, reason="", cost=Cost(device_seconds=1), base_digest="", settings_digest="",
        finished_at="2026-11-21T00:00:00+00:00",
    )  # fmt: skip


async def killed_in_training(school: School) -> Path:
    """Kill the learner once it has trained; return the cycle's work directory."""
    assert await school.learner.gather() == 1
    cycle = school.registry.cycles.page(TENANT).items[0]
    school.cycles.kill_at = (Step.TRAIN, "before")
    with pytest.raises(Killed):
        await school.learner.work_once()
    directory = school.context.work_directory(cycle.cycle)
    (directory / "job.json").write_text("what the document says")
    return directory


def trees(school: School) -> set[str]:
    """The adapters in the store."""
    return {path.name for path in (school.context.settings.artifact_directory / "trees").glob("*/*")}


def grow_old(school: School) -> None:
    """Let everything in the store have been put long ago."""
    moment = school.clock.now.timestamp() - 2 * UNNAMED_SECONDS
    for path in school.context.settings.artifact_directory.rglob("*"):
        os.utime(path, (moment, moment))


async def test_a_work_directory_goes_when_forgetting_has_ended_its_cycle_and_no_sooner(school: School) -> None:
    lamp = school.add("Varnel Lamp")
    directory = await killed_in_training(school)
    school.restart()
    await tidy(school.context)
    assert (directory / "job.json").exists()
    school.registry.unlearning.unlearn(TENANT, lamp.document, actor="ann", reason="")
    assert await school.learner.work_once() is None
    await tidy(school.context)
    assert not directory.exists()


async def test_a_learner_tidies_up_before_it_begins(school: School) -> None:
    lamp = school.add("Varnel Lamp")
    directory = await killed_in_training(school)
    school.registry.unlearning.unlearn(TENANT, lamp.document, actor="ann", reason="")
    stop = asyncio.Event()
    stop.set()
    await Learner(school.context, worker="second").run(stop)
    assert not directory.exists()


async def test_the_room_of_a_round_goes_unless_the_round_is_played(school: School) -> None:
    room = school.context.work_directory(f"editor-{TENANT}") / "round-1"
    room.mkdir(parents=True)
    busy = FailedPrecondition("busy")
    async with hold_named(school.registry, f"editor:{TENANT}", lease_seconds=30, busy=busy):
        await tidy(school.context)
        assert room.exists()
    await tidy(school.context)
    assert not room.parent.exists()
    async with hold_named(school.registry, f"editor:{TENANT}", lease_seconds=30, busy=busy):
        pass


async def test_what_is_no_cycle_s_and_no_round_s_is_left_alone(school: School) -> None:
    other = school.context.work_directory("reward")
    other.mkdir(parents=True)
    await tidy(school.context)
    assert other.exists()


async def test_an_editor_that_learned_a_forgotten_document_goes_without_a_study_or_a_round(school: School) -> None:
    lamp, kettle = school.add("Varnel Lamp"), school.add("Osk Kettle")
    await school.learn()
    made = [folder(school, name) for name in ("first", "second")]
    editors = Editors().after(a_round(1, artifact=made[0], documents=(kettle.document,)))
    editors = editors.after(a_round(2, artifact=made[1], documents=(lamp.document, kettle.document)))
    write_editors(school.registry, TENANT, editors)
    await tidy(school.context)
    assert read_editors(school.registry, TENANT) == editors
    school.registry.unlearning.unlearn(TENANT, lamp.document, actor="ann", reason="")
    await tidy(school.context)
    kept = read_editors(school.registry, TENANT)
    assert (kept.active, kept.rounds[0], kept.rounds[1].artifact) == (1, editors.rounds[0], "")
    assert [school.registry.artifacts.has(one) for one in made] == [True, False]


def folder(school: School, name: str) -> str:
    """Put an adapter into the store; return its digest."""
    made = school.context.settings.data_directory / name
    made.mkdir()
    (made / "adapter_config.json").write_text(f'{{"name": "{name}"}}')
    return school.registry.artifacts.put_directory(made)


async def test_adapters_that_no_step_recorded_go_after_a_day_and_versions_and_editors_stay(school: School) -> None:
    school.add("Varnel Lamp")
    await school.learn()
    editor = folder(school, "editor")
    named = trees(school)
    kettle = school.add("Osk Kettle")
    await killed_in_training(school)
    trained = trees(school) - named
    assert trained
    known = Editors().after(a_round(1, artifact=editor, documents=()))
    write_editors(school.registry, TENANT, known)
    school.registry.unlearning.unlearn(TENANT, kettle.document, actor="ann", reason="")
    grow_old(school)
    young = folder(school, "young")
    assert sweep(school.context) == len(trained)
    assert trees(school) == {*named, young}
    for version in school.registry.versions.page(TENANT).items:
        assert school.registry.artifacts.directory(version.artifact).is_dir()


async def test_a_disk_that_refuses_to_be_tidied_stops_no_learning(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("no")

    monkeypatch.setattr("sealserve.learning.cleanup._list_paths", refuse)
    await school.learner._tidy()
    await school.learner._sweep()
    school.add("Varnel Lamp")
    assert (await school.learn()).version == 1
