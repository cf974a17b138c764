"""Rounds and what is kept of them: one at a time, fenced, within policy's bounds, and all or nothing on disk."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sealserve.errors import FailedPrecondition, LeaseLost, NotFound, StorageFailed, TrainingFailed
from sealserve.gate.statistics import compare_graded
from sealserve.gate.thresholds import EditorRule, load_policy
from sealserve.learning.context import LearnContext
from sealserve.learning.editor import rest_em as loop
from sealserve.learning.editor import rounds as editor_rounds
from sealserve.learning.editor.costs import Cost
from sealserve.learning.editor.rounds import check_spending, run_round
from sealserve.learning.editor.store import Editors, Round, drop_editor, keep_round, read_editors
from sealserve.records.scores import Measured
from tests.learning.editor.stored import write_editors
from tests.stories.school import TENANT, School

RULE = EditorRule(min_documents=2, max_device_seconds=0, max_tokens=0, max_candidates=0, dip=0.25)
BETTER = Measured(n=9, candidate=0.8, incumbent=0.5, gain=0.3, gain_low=0.1, gain_high=0.5, better=5, worse=0)


def a_round(number: int, *, gain: float | None = None, seconds: float = 10, learned: int = 8) -> Round:
    return Round(
        round=number,
        parent=0,
        artifact="",
        documents=(),
        held_out=(),
        winners=1,
        gain=None if gain is None else replace(BETTER, gain=gain),
        is_promoted=False,
        reason="",
        cost=Cost(device_seconds=seconds, tokens=100, candidates=5),
        base_digest="",
        settings_digest="",
        finished_at="2026-11-21T00:00:00+00:00",
        learned=learned,
    )


def after(*rounds: Round) -> Editors:
    return Editors(rounds=rounds)


@pytest.mark.parametrize(
    ("cap", "said"),
    [
        ({"max_device_seconds": 9.0}, "10 of 9 device-seconds"),
        ({"max_tokens": 99}, "100 of 99 tokens"),
        ({"max_candidates": 4}, "5 of 4 candidates"),
    ],
)
def test_a_tenant_whose_editors_cost_more_than_policy_allows_has_no_more_rounds(cap: dict[str, Any], said: str) -> None:
    with pytest.raises(FailedPrecondition, match=said) as refused:
        check_spending(RULE.model_copy(update=cap), after(a_round(1)), learned=99)
    assert refused.value.reason == "OVER_CAP"
    check_spending(RULE, after(a_round(1)), learned=8)


def test_a_round_whose_returns_dipped_is_the_last_until_more_is_learned() -> None:
    dipped = after(a_round(1, gain=0.1), a_round(2, gain=0.01))
    with pytest.raises(FailedPrecondition, match="more learned documents than the 8") as refused:
        check_spending(RULE, dipped, learned=8)
    assert refused.value.reason == "RETURNS_DIPPED"
    check_spending(RULE, dipped, learned=9)
    again = after(*dipped.rounds, a_round(3, gain=-0.01, learned=9))
    with pytest.raises(FailedPrecondition, match="than the 9"):
        check_spending(RULE, again, learned=9)
    check_spending(RULE.model_copy(update={"dip": 0.0}), again, learned=9)
    check_spending(RULE, after(a_round(1, gain=0.1), a_round(2, gain=0.09)), learned=8)


def test_the_shipped_policy_stops_rounds_that_gain_little_and_caps_nothing() -> None:
    rule = load_policy().editor
    assert (rule.max_device_seconds, rule.max_tokens, rule.max_candidates) == (0, 0, 0)
    assert rule.dip == 0.25


def test_on_as_few_documents_as_policy_allows_an_editor_that_is_no_better_seldom_passes() -> None:
    rng, n, questions, tries = np.random.default_rng(0), load_policy().editor.min_documents, 8, 400
    passed = 0
    for seed in range(tries):
        known = rng.beta(1, 2, size=n)
        new, old = (rng.binomial(questions, known) / questions for _ in range(2))
        passed += compare_graded(list(new), list(old), confidence=0.95, seed=seed, rounds=500).gain_low > 0
    assert passed / tries < 0.05


async def test_a_round_needs_as_many_documents_of_each_half_as_policy_says(taught: School) -> None:
    with pytest.raises(FailedPrecondition, match="at least 8 each"):
        await run_round(_under(taught.context, min_documents=8), TENANT)


async def test_rounds_over_a_cap_or_with_dipped_returns_are_refused_and_nothing_changes(taught: School) -> None:
    data = taught.registry
    dipped = after(a_round(1, gain=0.1), a_round(2, gain=0.0))
    write_editors(data, TENANT, dipped)
    before, artifacts = taught.state(), artifacts_of(taught)
    with pytest.raises(FailedPrecondition, match="gained too little"):
        await run_round(taught.context, TENANT)
    with pytest.raises(FailedPrecondition, match="over the cap: 200 of 150 tokens"):
        await run_round(_under(taught.context, max_tokens=150, dip=0.0), TENANT)
    assert read_editors(data, TENANT) == dipped
    assert (taught.state(), artifacts_of(taught)) == (before, artifacts)
    done = await run_round(_under(taught.context, dip=0.0), TENANT)
    assert (done.round, done.learned) == (3, 8)


async def test_a_round_s_trials_are_kept_with_recipe_and_scores_winners_first(taught: School) -> None:
    done = await run_round(taught.context, TENANT)
    kept = read_editors(taught.registry, TENANT).rounds[0].trials
    assert kept == done.trials
    assert len(kept) == 2 * len(done.documents)
    assert sum(one.is_winner for one in kept) == done.winners
    assert kept[0].is_winner
    assert {one.document for one in kept} == set(done.documents)
    assert all(one.is_directed and (one.recipe.epochs, one.recipe.learning_rate) == (8, 0.002) for one in kept)
    assert len({one.recipe.seed for one in kept}) == len(kept)
    assert all(one.templates and one.admitted and one.select < 0 and 0 <= one.confirm <= 1 for one in kept)


async def test_no_more_trials_are_kept_than_fit(taught: School, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editor_rounds, "MAX_TRIALS", 3)
    done = await run_round(taught.context, TENANT)
    assert len(done.trials) == 3
    assert all(one.is_winner for one in done.trials)


async def test_a_round_whose_gate_fails_leaves_nothing_of_its_editor(
    taught: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: Any, **options: Any) -> Any:
        raise TrainingFailed("the child was killed")

    monkeypatch.setattr(loop, "gate", fail)
    before = artifacts_of(taught)
    with pytest.raises(TrainingFailed):
        await run_round(taught.context, TENANT)
    assert artifacts_of(taught) == before
    assert read_editors(taught.registry, TENANT) == Editors()


async def test_two_rounds_of_one_tenant_do_not_run_at_once(taught: School) -> None:
    assert taught.registry.hold(f"editor:{TENANT}", holder="another", lease_seconds=30)
    with pytest.raises(FailedPrecondition, match="is running"):
        await run_round(taught.context, TENANT)
    taught.clock.pass_lease()
    await run_round(taught.context, TENANT)


async def test_a_round_that_lost_its_lease_stops_and_leaves_nothing(
    taught: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stall(*_: Any, **__: Any) -> Any:
        taught.clock.pass_lease()
        assert taught.registry.hold(f"editor:{TENANT}", holder="another", lease_seconds=600)
        await asyncio.Event().wait()

    monkeypatch.setattr(editor_rounds, "LEASE_SECONDS", 0.03)
    monkeypatch.setattr(loop, "gate", stall)
    artifacts = artifacts_of(taught)
    with pytest.raises(LeaseLost):
        await run_round(taught.context, TENANT)
    assert read_editors(taught.registry, TENANT) == Editors()
    assert artifacts_of(taught) == artifacts
    assert not list(taught.context.work_directory(f"editor-{TENANT}").iterdir())
    assert not taught.registry.hold(f"editor:{TENANT}", holder="a third", lease_seconds=30), "it is the other's still"


async def test_a_round_that_another_overtook_is_not_kept_and_takes_its_editor_along(
    taught: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, other = taught.registry, after(a_round(1))

    async def overtaken(*_: Any, **__: Any) -> tuple[Measured, Cost]:
        write_editors(data, TENANT, other)
        return BETTER, Cost()

    monkeypatch.setattr(loop, "gate", overtaken)
    artifacts = artifacts_of(taught)
    with pytest.raises(LeaseLost, match="not kept"):
        await run_round(taught.context, TENANT)
    assert read_editors(data, TENANT) == other
    assert artifacts_of(taught) == artifacts


async def test_an_editor_that_another_round_has_kept_is_not_dropped(taught: School) -> None:
    artifacts = taught.registry.artifacts
    (taught.context.settings.data_directory / "adapter").mkdir()
    (taught.context.settings.data_directory / "adapter" / "adapter_config.json").write_text("{}")
    digest = artifacts.put_directory(taught.context.settings.data_directory / "adapter")
    done = replace(a_round(1), artifact=digest, is_promoted=True)
    keep_round(taught.context, TENANT, done, over=Editors(), archive=())
    drop_editor(taught.context, digest)
    assert artifacts.directory(digest).is_dir()
    with pytest.raises(LeaseLost):
        keep_round(taught.context, TENANT, done, over=Editors(), archive=())
    gone = replace(a_round(2), artifact="cd" * 32, is_promoted=True)
    known = read_editors(taught.registry, TENANT)
    with pytest.raises(NotFound):
        keep_round(taught.context, TENANT, gone, over=known, archive=())
    assert read_editors(taught.registry, TENANT) == known


async def test_a_round_is_told_of_as_kept_when_only_its_lease_cannot_be_freed(
    taught: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = taught.registry.hold

    def fail(name: str, *, holder: str, lease_seconds: float) -> bool:
        if not lease_seconds:
            raise StorageFailed("the database is away")
        return hold(name, holder=holder, lease_seconds=lease_seconds)

    monkeypatch.setattr(taught.registry, "hold", fail)
    done = await run_round(taught.context, TENANT)
    assert read_editors(taught.registry, TENANT).rounds == (done,)


def _under(context: LearnContext, **rule: Any) -> LearnContext:
    editor = context.policy.editor.model_copy(update=rule)
    return replace(context, policy=context.policy.model_copy(update={"editor": editor}))


def artifacts_of(school: School) -> set[Path]:
    """Every file of the artifact store."""
    return {path for path in school.context.settings.artifact_directory.rglob("*") if path.is_file()}
