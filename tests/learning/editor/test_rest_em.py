"""The outer loop over a simulated model: who wins, who is promoted, what is kept, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from sealserve.daemon.storage import open_registry
from sealserve.errors import FailedPrecondition, StorageFailed
from sealserve.learning.editor import rest_em as loop
from sealserve.learning.editor import trials
from sealserve.learning.editor.costs import Cost
from sealserve.learning.editor.rest_em import Scored, default_plan, tuning_examples, winners
from sealserve.learning.editor.rounds import run_round, run_rounds
from sealserve.learning.editor.store import Editors, Round, active_editor, read_editors, without
from sealserve.learning.editor.trials import Directive, Edit, Trial
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.study.self_edits import Study
from sealserve.learning.training_job import TrainingJob
from sealserve.prompts import Template
from sealserve.records.editors import StoredEditors
from sealserve.records.step_outputs import Passage
from sealserve.registry.registry import Registry
from sealserve.settings.learn import LearnSettings, learn_settings
from sealserve.settings.settings import Settings
from tests.learning.editor.stored import write_editors
from tests.stories.school import TENANT, School, open_school
from tests.stories.student import article


def scored(place: int, sample: int, *, select: float, confirm: float, is_cut: bool = False) -> Scored:
    edit = Edit(template=Template.QA, prompt=f"study {place}", text=f"edit {sample}", is_cut=is_cut)
    trial = Trial(place=place, sample=sample, edits=(edit,), notes=())
    return Scored(trial=trial, select=select, confirm=confirm)


def a_round(number: int, **changes: object) -> Round:
    made = Round(
        round=number,
        parent=number - 1,
        artifact="ab" * 32,
        documents=(f"d{number}",),
        held_out=(),
        winners=1,
        gain=None,
        is_promoted=True,
        reason="",
        cost=Cost(device_seconds=1),
        base_digest="",
        settings_digest="",
        finished_at="2026-11-21T00:00:00+00:00",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_the_winner_is_the_best_by_selection_and_kept_only_when_unseen_questions_agree() -> None:
    agreed = [scored(0, 0, select=-1, confirm=0.9), scored(0, 1, select=-2, confirm=0.5)]
    lucky = [scored(1, 0, select=-1, confirm=0.4), scored(1, 1, select=-2, confirm=0.8)]
    assert winners([*agreed, *lucky]) == [agreed[0]]


def test_a_winner_that_knows_nothing_or_was_cut_off_teaches_nothing() -> None:
    assert winners([scored(0, 0, select=-1, confirm=0.0), scored(0, 1, select=-1, confirm=0.0)]) == []
    assert winners([scored(0, 0, select=-1, confirm=1.0, is_cut=True)]) == []


def test_the_editor_learns_study_prompts_with_what_winners_wrote() -> None:
    (example,) = tuning_examples([scored(3, 1, select=-1, confirm=1.0)])
    assert (example.prompt, example.completion) == ("study 3", "edit 1")


def test_a_directive_that_was_followed_is_learned_with_the_edit() -> None:
    recipe = default_plan(LearnSettings(), max_rank=32, key="k").trial
    directive = Directive(prompt="direct 3", text='{"epochs": 16}', recipe=recipe)
    won = scored(3, 1, select=-1, confirm=1.0)
    said = tuning_examples([replace(won, trial=replace(won.trial, directive=directive))])
    assert [(one.prompt, one.completion) for one in said] == [("study 3", "edit 1"), ("direct 3", '{"epochs": 16}')]


async def test_a_trial_is_written_and_trained_as_its_directive_says(taught: School) -> None:
    asked = {"templates": ["rewrite", "qa"], "learning_rate": 0.002, "epochs": 5, "loss": "answers"}
    made, trial = await _one_trial(taught, json.dumps(asked))
    assert [edit.template for edit in trial.edits] == [Template.REWRITE, Template.QA]
    assert trial.directive is not None
    recipe = made.attempts[0].recipe
    assert (recipe.learning_rate, recipe.epochs, recipe.loss_on_answers) == (0.002, 5, True)


@pytest.mark.parametrize("text", ["", "as you like", "[1]", '{"rank": 3}', "{" * 5000])
async def test_a_directive_that_says_nothing_leaves_the_plan_as_it_is(taught: School, text: str) -> None:
    made, trial = await _one_trial(taught, text)
    assert trial.directive is None
    assert [edit.template for edit in trial.edits] == [Template.QA]
    assert replace(made.attempts[0].recipe, seed=0) == replace(_plan(taught).trial, seed=0)
    assert [prompt for prompt, _ in trial.said] == [trial.edits[0].prompt]


def test_the_editor_is_tuned_at_seal_s_rank_within_the_engine_s() -> None:
    seal = learn_settings(editor__learning_rate=3e-4, editor__epochs=2)
    tuning = default_plan(seal, max_rank=128, key="k").tuning
    assert (tuning.rank, tuning.alpha, tuning.learning_rate, tuning.epochs, tuning.batch_size) == (64, 128, 3e-4, 2, 10)
    assert default_plan(LearnSettings(), max_rank=32, key="k").tuning.rank == 32
    assert default_plan(LearnSettings(), max_rank=32, key="k").samples == 5


def test_what_is_known_of_editors_survives_and_damage_is_named(tmp_path: Path) -> None:
    editors = Editors().after(a_round(1)).after(a_round(2, is_promoted=False))
    assert editors.active == 1
    registry = Registry.open(f"sqlite:///{tmp_path}/registry.db", tmp_path / "artifacts")
    for tenant in ("acme", "globex"):
        registry.tenants.create(tenant, actor="ann")
    write_editors(registry, "acme", editors)
    assert read_editors(registry, "acme") == editors
    assert read_editors(registry, "globex") == Editors()
    damaged = StoredEditors(active=1, rounds=({"round": 1, "artifact": "", "gain": "much"},))
    registry.editors.replace("acme", damaged, over=registry.editors.get("acme"), actor="eve")
    with pytest.raises(StorageFailed, match="acme's editors"):
        read_editors(registry, "acme")
    registry.close()


def test_an_editor_that_learned_from_a_forgotten_document_is_gone_and_the_one_before_writes() -> None:
    editors = Editors().after(a_round(1)).after(a_round(2))
    kept = without(editors, {"d2"})
    assert kept.active == 1
    assert kept.rounds[1].artifact == ""
    assert "forgotten" in kept.rounds[1].reason
    assert without(editors, {"d1", "d2"}).active == 0


async def test_a_round_that_gains_nothing_promotes_nothing_and_leaves_no_adapter(taught: School) -> None:
    before = taught.state()
    done = await run_round(taught.context, TENANT)
    assert not done.is_promoted
    assert "may be chance" in done.reason
    assert done.gain is not None
    assert done.cost.candidates > 0
    assert done.cost.tokens > 1000
    assert done.documents
    assert not set(done.documents) & set(done.held_out)
    assert read_editors(taught.registry, TENANT).rounds == (done,)
    with active_editor(taught.context, TENANT, cycle="c1") as files:
        assert files is None
    assert taught.state() == before
    assert (await taught.student.info()).loaded == ()


async def test_an_editor_that_writes_better_is_promoted_and_found_again(
    taught: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    _have_the_new_editor_write_better(monkeypatch)
    done = await run_round(taught.context, TENANT)
    assert done.is_promoted, done.reason
    assert done.gain is not None
    assert done.gain.gain_low > 0
    with active_editor(taught.context, TENANT, cycle="c1") as files:
        assert files is not None
        assert files.path == taught.context.registry.artifacts.directory(done.artifact)
    again = await run_round(taught.context, TENANT)
    assert again.parent == done.round


async def test_a_forgotten_document_takes_its_editor_along(taught: School, monkeypatch: pytest.MonkeyPatch) -> None:
    _have_the_new_editor_write_better(monkeypatch)
    done = await run_round(taught.context, TENANT)
    taught.registry.unlearning.unlearn(TENANT, done.documents[0], actor="test", reason="asked to")
    with active_editor(taught.context, TENANT, cycle="c1") as files:
        assert files is None
    assert "forgotten" in read_editors(taught.registry, TENANT).rounds[0].reason


async def test_recipes_are_tried_when_asked_for(taught: School) -> None:
    learn = taught.context.settings.learn
    learn = learn.model_copy(update={"editor": learn.editor.model_copy(update={"recipes": 2})})
    context = replace(taught.context, settings=taught.context.settings.model_copy(update={"learn": learn}))
    await run_round(context, TENANT)
    archive = read_editors(context.registry, TENANT).archive
    assert len(archive) == 3
    assert archive[0]["parent"] == ""


async def test_a_tenant_that_learned_too_little_is_told_so(tmp_path: Path, tiny_base: Path) -> None:
    school = open_school(tmp_path)
    await school.student.start()
    context = replace(school.context, base_directory=tiny_base)
    with pytest.raises(FailedPrecondition, match="nothing yet"):
        await run_round(context, TENANT)
    school.add("Varnel Lamp")
    await school.learn()
    with pytest.raises(FailedPrecondition, match="learn more documents"):
        await run_round(context, TENANT)
    assert await run_rounds(context) == []
    assert not (tmp_path / "editors").exists()


def _plan(school: School) -> loop.Plan:
    return default_plan(school.context.settings.learn, max_rank=32, key="k")


async def _one_trial(school: School, directive: str) -> tuple[TrainingJob, Trial]:
    """The job and the trial of an editor that directs so."""
    school.student.moods.append(lambda _, prompt: directive if "training directive" in prompt else None)
    studies = [Study(passage=Passage(document="d", title="Osk Lamp", start=0, end=9), text=article("Osk Lamp"))]
    client, plan = EngineClient(school.student, tenant=TENANT, cycle="c", concurrency=4), _plan(school)
    (trial,) = await trials.sample_trials(
        client,
        studies,
        templates=plan.templates,
        samples=1,
        settings=school.context.settings.learn,
        editor=None,
        key="k",
        directed=plan.trial,
        max_rank=plan.max_rank,
    )
    screened = await trials.screen_trials(client, [trial], studies, proposals=())
    base = school.context.base_directory
    return trials.trial_job(screened, studies, recipe=plan.trial, max_steps=9, retention=(), base=base), screened[0]


def _have_the_new_editor_write_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """The base's trials hold one note each, an editor's all of them; nothing is learned but from notes."""
    sample, source = trials.sample_trials, trials._training_source

    async def sampled(*args: Any, **options: Any) -> list[Trial]:
        found = await sample(*args, **options)
        return found if options["editor"] else [replace(trial, notes=trial.notes[:1]) for trial in found]

    monkeypatch.setattr(loop, "sample_trials", sampled)
    monkeypatch.setattr(trials, "_training_source", lambda trial, study: replace(source(trial, study), passages=()))


def test_editors_of_an_earlier_release_are_taken_in_once_and_a_damaged_file_stops_nothing(tmp_path: Path) -> None:
    editors = Editors().after(a_round(1))
    (tmp_path / "editors").mkdir()
    text = TypeAdapter(Editors).dump_json(editors)
    for name, content in {"acme": text, "globex": b"{", "nobody": text}.items():
        (tmp_path / "editors" / f"{name}.json").write_bytes(content)
    settings = Settings(data_directory=tmp_path)
    registry = Registry.open(settings.registry_url, settings.artifact_directory)
    for tenant in ("acme", "globex"):
        registry.tenants.create(tenant, actor="ann")
    registry.close()
    for _ in range(2):
        registry = open_registry(settings)
        assert read_editors(registry, "acme") == editors
        assert registry.editors.tenants() == ("acme",)
        assert [row.action for row in registry.audit.rows()].count("editor.import") == 1
        registry.close()
