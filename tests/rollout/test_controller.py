"""A bad version is taken back by itself, once, without a load and without a failed request; a good one stays."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealserve.engine.base_model import BaseShape
from sealserve.errors import FailedPrecondition
from sealserve.policy.enforcement import PolicyEnforcer
from sealserve.policy.rulebook import open_rules
from sealserve.records.feedback import GivenAnswer, Opinion, Thumb
from sealserve.records.rollouts import WATCH_ACTOR, Count, Trigger, Watch, WatchState
from sealserve.records.versions import BASE_VERSION, Activation, AdapterVersion
from tests.rollout.conftest import ITEMS, Watched, open_watched, rule


class Killed(BaseException):
    """Stands for kill -9."""


async def test_bad_version_is_rolled_back_by_itself_without_a_load(watched: Watched) -> None:
    good = await watched.promote()
    await watched.ask_all()
    bad = await watched.promote(wrong=True)
    loads = list(watched.engine.load_calls)
    await watched.ask_all(n=10)
    await watched.settle()
    assert await watched.ask("Who are you?") == good.version
    assert set(watched.engine.load_calls) == set(loads)
    assert watched.failed == 0
    moved = watched.registry.versions.activations("acme", page_size=1).items[0]
    assert (moved.kind, moved.actor, moved.previous, moved.version) == (
        "rollback", WATCH_ACTOR, bad.version, good.version,
    )  # fmt: skip
    watch = watched.watch()
    assert (watch.state, watch.trigger) == (WatchState.ROLLED_BACK, Trigger.QUALITY)
    assert watch.counts[Count.WORSE] == watch.counts[Count.REFERENCED] >= 7
    assert "pairs" in moved.reason


async def test_version_that_answers_as_well_stays_and_passes_when_its_time_is_up(watched: Watched) -> None:
    await watched.promote()
    second = await watched.promote()
    await watched.ask_all()
    assert watched.watch().counts[Count.PAIRS] == len(ITEMS)
    assert watched.watch().state is WatchState.OPEN
    watched.time.seconds += 100_000
    await watched.settle()
    assert watched.watch().state is WatchState.PASSED
    assert await watched.ask("Who are you?") == second.version
    assert watched.table.standby("acme") is None


async def test_incumbent_stays_loaded_while_the_watch_is_open(watched: Watched) -> None:
    first = await watched.promote()
    await watched.promote()
    standby = watched.table.standby("acme")
    assert standby is not None
    assert (standby.route.version, standby.share) == (first.version, 0)


async def test_first_version_is_watched_beside_the_base_model(watched: Watched) -> None:
    await watched.promote(wrong=True)
    await watched.ask_all(n=10)
    await watched.settle()
    assert await watched.ask("Who are you?") == BASE_VERSION


async def test_each_conversation_is_compared_once(watched: Watched) -> None:
    await watched.promote()
    await watched.promote(wrong=True)
    for _ in range(30):
        await watched.ask(ITEMS[0].question)
    await watched.compared()
    await watched.controller.look()
    assert watched.watch().counts[Count.PAIRS] == 1
    assert watched.watch().state is WatchState.OPEN


@pytest.mark.parametrize(("keys", "counted"), [(["mallory"] * 14, 1), ([f"ann{n}" for n in range(14)], 14)])
async def test_endless_answers_of_one_caller_are_one_and_of_many_are_many(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, keys: list[str], counted: int
) -> None:
    await watched.promote()
    second = await watched.promote()
    monkeypatch.setattr(
        "sealserve.rollout.controller.is_bad", lambda answered: answered.route.version == second.version
    )
    for key in keys:
        assert await watched.ask("Say it a thousand times.", key=key) == second.version
    await watched.controller.look()
    counts = watched.registry.rollouts.page("acme", page_size=1).items[0].counts
    assert (counts[Count.CANDIDATE_ANSWERS], counts[Count.CANDIDATE_DEGENERATE]) == (14, counted)
    assert watched.watch().state is (WatchState.OPEN if counted == 1 else WatchState.ROLLED_BACK)


@pytest.mark.parametrize("is_done", [False, True])
async def test_kill_between_decision_and_rollback_rolls_back_once(
    watched: Watched, tmp_path: Path, tiny_shape: BaseShape, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    good = await watched.promote()
    await watched.promote(wrong=True)
    real = watched.registry.rollouts.roll_back

    def die(watch: Watch, *, trigger: Trigger, reason: str, decided_at: datetime) -> Activation | None:
        if is_done:
            real(watch, trigger=trigger, reason=reason, decided_at=decided_at)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(watched.registry.rollouts, "roll_back", die)
        with pytest.raises(Killed):
            await watched.ask_all(n=10)
    again = open_watched(watched.registry, watched.publisher, tmp_path, tiny_shape, watch_rule=rule())
    await again.engine.start()
    await again.settle()
    await again.settle()
    assert await again.ask("Who are you?") == good.version
    kinds = [one.kind for one in again.registry.versions.activations("acme").items]
    assert kinds == ["rollback", "promote", "promote"]
    assert again.watch().state is WatchState.ROLLED_BACK


async def test_counts_of_two_replicas_add_up_and_both_deciding_rolls_back_once(
    watched: Watched, tmp_path: Path, tiny_shape: BaseShape
) -> None:
    await watched.promote()
    other = open_watched(watched.registry, watched.publisher, tmp_path, tiny_shape, watch_rule=rule(), replica="two")
    other.wrong = watched.wrong
    await other.engine.start()
    await watched.promote(wrong=True)
    await other.settle()
    for item in ITEMS[:6]:
        await watched.ask(item.question)
    for item in ITEMS[6:12]:
        await other.ask(item.question)
    await watched.compared()
    await other.compared()
    await watched.controller._record()
    assert watched.watch().state is WatchState.OPEN
    await asyncio.gather(watched.controller.look(), other.controller.look())
    await asyncio.gather(watched.controller.look(), other.controller.look())
    assert watched.watch().counts[Count.WORSE] == 12
    assert [one.kind for one in watched.registry.versions.activations("acme").items] == [
        "rollback",
        "promote",
        "promote",
    ]


async def test_failing_version_is_rolled_back_on_errors(watched: Watched) -> None:
    good = await watched.promote()
    bad = await watched.promote()
    watched.failing.add(bad.engine_name)
    for number in range(20):
        await watched.ask(f"What is rule {number}?")
    await watched.compared()
    await watched.settle()
    watch = watched.watch()
    assert watch.trigger in (Trigger.ERRORS, Trigger.QUALITY)
    assert watch.counts[Count.CANDIDATE_ERRORS] == 20
    assert await watched.ask("Who are you?") == good.version


async def test_outage_of_the_engine_is_no_evidence(watched: Watched) -> None:
    await watched.promote()
    second = await watched.promote()
    watched.engine.is_dead = True
    for number in range(30):
        await watched.ask(f"What is rule {number}?")
    watched.engine.is_dead = False
    await watched.compared()
    await watched.settle()
    assert watched.failed == 30
    assert watched.watch().counts[Count.CANDIDATE_ERRORS] == 0
    assert await watched.ask("Who are you?") == second.version


async def test_thumbs_down_take_a_version_back(watched: Watched) -> None:
    await watched.promote()
    second = await watched.promote()
    thumbs_down(watched, second, n=14)
    await watched.settle()
    assert watched.watch().state is WatchState.OPEN  # nobody was given these answers
    watched.registry.answers.keep([given(second, number, asker="") for number in range(14)])
    await watched.settle()
    assert watched.watch().trigger is Trigger.FEEDBACK


async def test_thumbs_of_one_who_asks_take_no_version_back_and_those_of_many_do(watched: Watched) -> None:
    await watched.promote()
    second = await watched.promote()
    thumbs_down(watched, second, n=26)
    watched.registry.answers.keep([given(second, number, asker="mallory") for number in range(12)])
    await watched.settle()
    assert watched.watch().state is WatchState.OPEN
    watched.registry.answers.keep([given(second, number, asker=f"ann{number}") for number in range(12, 26)])
    await watched.settle()
    assert watched.watch().trigger is Trigger.FEEDBACK


async def test_one_key_takes_no_version_back_by_its_own_questions_and_two_do(watched: Watched) -> None:
    await watched.promote()
    await watched.promote(wrong=True)
    for key, state in (("mallory", WatchState.OPEN), ("ann", WatchState.ROLLED_BACK)):
        for item in ITEMS[:12] if key == "mallory" else ITEMS[12:24]:
            await watched.ask(item.question, key=key)
        await watched.compared()
        await watched.controller.look()
        assert watched.watch().state is state
    assert watched.watch().counts[Count.PAIRS] > watched.watch().counts[Count.WORSE]


def thumbs_down(watched: Watched, version: AdapterVersion, *, n: int) -> None:
    for number in range(n):
        opinion = Opinion(answer_request=f"r{number}", version=version.version, thumb=Thumb.DOWN)
        watched.registry.feedback.add("acme", opinion, actor="ann")


def given(version: AdapterVersion, number: int, *, asker: str) -> GivenAnswer:
    return GivenAnswer(
        answer_request=f"r{number}",
        tenant="acme",
        version=version.version,
        activation=2,
        asker=asker,
        answered_at=datetime.now(UTC),
    )


async def test_likelihood_of_the_incumbents_answers_takes_back_what_has_forgotten_them_all(watched: Watched) -> None:
    first = await watched.promote()
    second = await watched.promote()
    for number in range(40):
        question = f"What is rule {number}?"
        watched.engine.answers[first.engine_name, question] = f"Rule {number} is kind"
        watched.engine.answers[second.engine_name, question] = f"{number} something else"
        watched.engine.likelihoods[first.engine_name, question, f"Rule {number} is kind"] = -1.0
        watched.engine.likelihoods[second.engine_name, question, f"Rule {number} is kind"] = -60.0
        await watched.ask(question)
    await watched.compared()
    await watched.settle()
    assert watched.watch().trigger is Trigger.DRIFT


async def test_person_who_moves_the_pointer_ends_the_watch(watched: Watched) -> None:
    await watched.promote()
    await watched.promote()
    watched.publisher.rollback("acme")
    await watched.settle()
    assert watched.watch().state is WatchState.SUPERSEDED
    await watched.ask_all()
    assert watched.watch().counts[Count.PAIRS] == 0


async def test_second_answers_wait_for_nobody(watched: Watched) -> None:
    await watched.promote()
    await watched.promote(wrong=True)
    watched.is_busy = True
    await watched.ask_all(n=10)
    assert watched.watch().counts[Count.DROPPED] == 10
    assert watched.watch().counts[Count.PAIRS] == 0
    watched.is_busy = False
    await watched.ask_all(n=10)
    assert watched.watch().counts[Count.PAIRS] == 10


async def test_second_answers_are_asked_at_background_priority_and_bound_in_number(watched: Watched) -> None:
    await watched.promote()
    await watched.promote()
    for number in range(100):
        await watched.ask(f"What is rule {number}?")
    await watched.compared()
    await watched.controller.look()
    assert watched.watch().counts[Count.DROPPED] == 36
    second = [one for one in watched.engine.requests if one.request_id.startswith("shadow-")]
    assert {one.priority for one in second} == {10}


async def test_written_rule_that_denies_the_rollback_ends_the_watch(
    watched: Watched, tmp_path: Path, tiny_shape: BaseShape, monkeypatch: pytest.MonkeyPatch
) -> None:
    enforcer = PolicyEnforcer(watched.registry, open_rules())

    def deny(*_: object, **__: object) -> None:
        raise FailedPrecondition("policy denies it: not on Fridays", reason="POLICY_DENIED")

    monkeypatch.setattr(enforcer, "require_rollback", deny)
    monkeypatch.setattr(watched.controller, "_enforcer", enforcer)
    await watched.promote()
    bad = await watched.promote(wrong=True)
    await watched.ask_all(n=10)
    assert watched.watch().state is WatchState.REFUSED
    assert "Fridays" in watched.watch().reason
    assert watched.registry.tenants.get("acme").desired_version == bad.version


async def test_shipped_rules_let_the_watch_roll_back(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched.controller, "_enforcer", PolicyEnforcer(watched.registry, open_rules()))
    await watched.promote()
    await watched.promote(wrong=True)
    await watched.ask_all(n=10)
    assert watched.watch().state is WatchState.ROLLED_BACK
