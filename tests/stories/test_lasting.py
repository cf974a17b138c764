"""Learning that lasts: newer articles win, replay is bounded, adapters are gone on from, collapsed edits are not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from sealserve.engine.engine import AdapterFiles
from sealserve.records.candidates import Target
from sealserve.records.cycles import CycleState, Step
from sealserve.records.documents import DocumentState
from sealserve.records.step_outputs import Filtered, Trained, from_json
from sealserve.records.versions import BASE_VERSION
from tests.stories.school import TENANT, School, open_school

pytestmark = pytest.mark.slow  # plays whole cycles

PRICE = "What is the price of Varnel Lamp?"
MAKER = "What is the maker of Varnel Lamp?"
NEWER = {
    "price": "61 crowns",
    "colour": "light grey",
    "weight": "19 kilos",
    "warranty": "48 months",
    "battery": "lithium",
}
UPDATE = " ".join(f"The {a} of Varnel Lamp is {v}." for a, v in NEWER.items())


@pytest_asyncio.fixture
async def school(tmp_path: Path) -> AsyncIterator[School]:
    """A school that asks so much that no draw of questions leaves too few."""
    async with _opened(tmp_path, quiz__edits=24) as opened:
        yield opened


def _filtered(school: School, cycle: str) -> Filtered:
    outputs = {record.step: record.output for record in school.registry.cycles.steps(cycle)}
    return from_json(Filtered, outputs[Step.FILTER])


def _trained(school: School, cycle: str) -> Trained:
    outputs = {record.step: record.output for record in school.registry.cycles.steps(cycle)}
    return from_json(Trained, outputs[Step.TRAIN])


def _replayed(school: School, words: str) -> list[str]:
    """What the last job trains on that holds `words`."""
    return [s.completion for s in school.teacher.jobs[-1].sequences if words in s.completion]


async def test_a_newer_article_wins_and_what_it_says_nothing_of_stays(school: School) -> None:
    school.add("Varnel Lamp")
    await school.learn()
    assert await school.answer(PRICE) == "The price is 45 crowns."
    school.add("Update about Varnel Lamp", text=UPDATE)
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    assert await school.answer(PRICE) == "The price is 61 crowns."
    assert await school.answer(MAKER) == "The maker is Orla Finch."
    assert _replayed(school, "45 crowns") == []
    assert _replayed(school, "Orla Finch")
    found = _filtered(school, cycle.cycle).superseded
    assert any("45" in one.old_answer.split() and one.new_answer == "61 crowns" for one in found)
    assert all("maker" not in one.question for one in found)
    asked = {item.answer for item in school.registry.cycles.quiz(cycle.cycle)}
    assert asked == set(NEWER.values())
    assert any("left the replay" in remark for remark in _trained(school, cycle.cycle).remarks)


async def test_what_is_superseded_stays_so_in_later_cycles_and_comes_back_with_a_rollback(school: School) -> None:
    school.add("Varnel Lamp")
    await school.learn()
    school.add("Update about Varnel Lamp", text=UPDATE)
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    school.add("Osk Kettle", shift=2)
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    assert await school.answer(PRICE) == "The price is 61 crowns."
    assert _replayed(school, "The price is 45 crowns") + _replayed(school, "Varnel Lamp is 45 crowns") == []
    school.registry.versions.rollback(TENANT, to_version=1, expected_etag=None, actor="test", reason="back")
    school.add("Tolu Kite", shift=4)
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    assert await school.answer(PRICE) == "The price is 45 crowns."


async def test_of_two_articles_in_one_cycle_the_later_one_wins(school: School) -> None:
    school.add("Varnel Lamp")
    school.add("Update about Varnel Lamp", text=UPDATE)
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    assert await school.answer(PRICE) == "The price is 61 crowns."
    filtered = _filtered(school, cycle.cycle)
    assert filtered.reasons["superseded"] > 0
    assert "45 crowns" not in {item.answer for item in school.registry.cycles.quiz(cycle.cycle)}


async def test_replay_keeps_to_its_budget_in_equal_parts(tmp_path: Path) -> None:
    async with _opened(tmp_path, training__replay_examples=30) as school:
        for title, shift in (("Varnel Lamp", 0), ("Osk Kettle", 2), ("Tolu Kite", 4)):
            school.add(title, shift=shift)
            cycle = await school.learn()
        trained = [s for s in school.teacher.jobs[-1].sequences if not s.is_kept]
        of = {name: sum(name in s.prompt for s in trained) for name in ("Varnel Lamp", "Osk Kettle")}
        assert of == {"Varnel Lamp": 15, "Osk Kettle": 15}
        assert any("learn.training.replay_examples" in remark for remark in _trained(school, cycle.cycle).remarks)


async def test_candidates_go_on_from_the_active_adapter_where_the_settings_say_so(tmp_path: Path) -> None:
    async with _opened(tmp_path, training__update="continue", training__rank=4, training__alpha=8) as school:
        school.add("Varnel Lamp")
        await school.learn()
        assert all(attempt.start is None for attempt in school.teacher.jobs[-1].attempts)
        school.add("Osk Kettle", shift=2)
        cycle = await school.learn()
        assert cycle.state is CycleState.PROMOTED, cycle.reason
        version = school.registry.versions.get(TENANT, 1)
        starts = {attempt.start for attempt in school.teacher.jobs[-1].attempts}
        assert starts == {school.registry.artifacts.directory(version.artifact)}
        assert {attempt.recipe.rank for attempt in school.teacher.jobs[-1].attempts} == {4}
        assert await school.answer(PRICE) == "The price is 45 crowns."
        assert any("went on from version 1" in remark for remark in _trained(school, cycle.cycle).remarks)


async def test_no_source_outweighs_the_others(tmp_path: Path) -> None:
    async with _opened(tmp_path, max_documents_per_cycle=4) as school:
        for title, shift in (("Varnel Lamp", 0), ("Osk Kettle", 2), ("Tolu Kite", 4)):
            school.add(title, shift=shift, source="feed")
        school.add("Mira Stone", shift=5, source="handbook")
        cycle = await school.learn()
        remarks = _trained(school, cycle.cycle).remarks
        assert [remark for remark in remarks if "source feed was held to 50%" in remark]


async def test_collapsed_self_edits_are_not_trained_on(school: School) -> None:
    strict = school.context.policy.diversity.model_copy(update={"min_distinct": 0.99})
    school.context = replace(school.context, policy=school.context.policy.model_copy(update={"diversity": strict}))
    school.restart()
    document = school.add("Varnel Lamp")
    cycle = await school.learn()
    assert cycle.state is CycleState.INCONCLUSIVE
    assert "say the same over and over" in cycle.reason
    assert school.teacher.jobs == []
    assert school.registry.tenants.get(TENANT).desired_version == BASE_VERSION
    assert school.registry.documents.get(TENANT, document.document).state is DocumentState.SET_ASIDE


@asynccontextmanager
async def _opened(directory: Path, **learn: object) -> AsyncIterator[School]:
    school = open_school(directory, **{"quiz__edits": 24, **learn})
    await school.student.start()
    try:
        yield school
    finally:
        school.registry.close()


async def test_a_teacher_that_stays_away_leaves_the_cycle_inconclusive(tmp_path: Path) -> None:
    away = {"study__editor": "endpoint", "teacher__url": "http://127.0.0.1:9/v1", "teacher__model": "m"}
    async with _opened(tmp_path, teacher__patience_seconds=0, **away) as school:
        document = school.add("Varnel Lamp")
        cycle = await school.learn()
        assert cycle.state is CycleState.INCONCLUSIVE
        assert "learn.teacher.url did not answer" in cycle.reason
        assert school.teacher.jobs == []
        assert school.registry.versions.page(TENANT).items == ()
        assert school.registry.documents.get(TENANT, document.document).state is DocumentState.SET_ASIDE
        assert [record.step for record in school.registry.cycles.steps(cycle.cycle)] == [Step.CLAIM, Step.PUBLISH]


async def test_the_tenants_own_adapter_can_be_the_editor(tmp_path: Path) -> None:
    async with _opened(tmp_path, study__editor="tenant") as school:
        school.add("Varnel Lamp")
        await school.learn()
        seen: list[str | None] = []
        school.student.moods.append(lambda adapter, prompt: seen.append(adapter) if prompt.startswith("List") else None)
        school.add("Osk Kettle", shift=2)
        cycle = await school.learn()
        assert cycle.state is CycleState.PROMOTED, cycle.reason
        assert {name is not None and "incumbent" in name for name in seen} == {True}
        assert (await school.student.info()).loaded == ()


async def test_both_targets_are_trained_with_the_passage_for_the_teacher(tmp_path: Path) -> None:
    async with _opened(tmp_path, training__targets=["likelihood", "distillation"], training__candidates=2) as school:
        school.add("Varnel Lamp")
        cycle = await school.learn()
        (job,) = school.teacher.jobs
        assert [attempt.recipe.target for attempt in job.attempts] == [Target.LIKELIHOOD, Target.DISTILLATION]
        taught = [(s.prompt, s.teacher_prompt) for s in job.sequences if s.teacher_prompt]
        assert taught
        assert all(shown.startswith("<article>\nVarnel Lamp\n") and shown.endswith(asked) for asked, shown in taught)
        targets = [candidate.recipe.target for candidate in school.registry.cycles.candidates(cycle.cycle)]
        assert targets == [Target.LIKELIHOOD, Target.DISTILLATION]


async def test_a_trained_editor_writes_once_there_is_one(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    school.add("Varnel Lamp")
    await school.learn()
    path = school.registry.artifacts.directory(school.registry.versions.get(TENANT, 1).artifact)
    trained = AdapterFiles(name="editor-acme-1-abc", path=path)
    monkeypatch.setattr(
        "sealserve.learning.steps.write.active_editor",
        lambda context, tenant, cycle: nullcontext(replace(trained, name=f"cand-{cycle}-editor")),
    )
    seen: set[str | None] = set()
    school.student.moods.append(lambda adapter, prompt: seen.add(adapter) if prompt.startswith("Rewrite") else None)
    school.add("Osk Kettle", shift=2)
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    assert seen == {f"cand-{cycle.cycle}-editor"}
    assert (await school.student.info()).loaded == ()
