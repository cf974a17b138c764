"""Serving with its watch, over a real registry and a scripted engine, with a clock that tests move."""

from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sealserve.engine.base_model import BaseShape
from sealserve.engine.engine import Delta
from sealserve.errors import EngineFailed, SealserveError
from sealserve.gate.thresholds import StageRule, WatchRule, load_policy
from sealserve.policy.enforcement import PolicyEnforcer
from sealserve.policy.rulebook import open_rules
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.records.question_sets import EvaluationItem
from sealserve.records.rollouts import Watch
from sealserve.records.versions import AdapterVersion
from sealserve.registry.registry import Registry
from sealserve.rollout.controller import Clock, Replica, RolloutController
from sealserve.serving.activation.tenant_states import ActivatorSettings
from sealserve.serving.activator import Activator
from sealserve.serving.adapter_table import AdapterTable, Route
from sealserve.serving.admission import Admission
from sealserve.serving.answers import AnswerParts, Answers
from sealserve.serving.gated_engine import GatedEngine
from sealserve.serving.salt import TenantSalts
from sealserve.serving.slot_gate import SlotGate
from tests.fakes import FakeEngine
from tests.serving.conftest import Publisher, publisher, registry

__all__ = ["publisher", "registry"]

ITEMS = tuple(EvaluationItem(question=f"How many days for item {n}?", answer=f"{n} days") for n in range(60))


@dataclass
class Time:
    """Seconds and a calendar that move together."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds

    def utc(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.seconds)


@dataclass
class Watched:
    """One replica: what answers, and what watches. `wrong` versions answer every question wrongly."""

    registry: Registry
    publisher: Publisher
    engine: FakeEngine
    table: AdapterTable
    activator: Activator
    answers: Answers
    controller: RolloutController
    time: Time
    is_busy: bool = False
    wrong: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    failed: int = 0
    answered_by: dict[str, int] = field(default_factory=dict)  # by question

    async def promote(self, *, wrong: bool = False) -> AdapterVersion:
        """Publish and promote a version, and let it answer."""
        version = self.publisher.publish("acme")
        if wrong:
            self.wrong.add(version.engine_name)
        await self.settle()
        return version

    async def settle(self) -> None:
        await self.activator.settle()
        await self.controller.look()
        await self.activator.settle()

    async def ask(self, question: str, *, key: str = "") -> int:
        """Ask; return the version that answered, -1 when the call failed."""
        stream = self.answers.stream("acme", (ChatTurn(role="user", content=question),), Sampling(), sticky_key=key)
        try:
            async with aclosing(stream) as events:
                route = await anext(events)
                assert isinstance(route, Route)
                _ = [event async for event in events if isinstance(event, Delta)]
        except SealserveError:
            self.failed += 1
            return -1
        self.answered_by[question] = route.version
        return route.version

    async def ask_all(self, *, n: int = len(ITEMS)) -> None:
        """Ask the first `n` questions of the evaluation set, and have every pair compared and decided."""
        for item in ITEMS[:n]:
            await self.ask(item.question)
        await self.compared()
        await self.controller.look()

    async def compared(self) -> None:
        """Work through the second answers that are due."""
        shadows = self.controller._shadows
        while not shadows._queue.empty():
            await shadows.step()

    def watch(self) -> Watch:
        """The tenant's newest watch."""
        return self.registry.rollouts.page("acme", page_size=1).items[0]


def rule(*stages: StageRule) -> WatchRule:
    """The shipped policy, every request answered twice, or with these stages."""
    shipped = load_policy().watch
    chosen = stages or (StageRule(traffic=1, shadow=1),)
    return shipped.model_copy(update={"stages": chosen, "probes": ()})


def open_watched(
    registry: Registry,
    publisher: Publisher,
    directory: Path,
    shape: BaseShape,
    *,
    watch_rule: WatchRule,
    replica: str = "one",
    enforcer: PolicyEnforcer | None = None,
) -> Watched:
    """Put a replica together, its engine not started yet."""

    opened: Watched

    def say(adapter: str | None, question: str) -> str | None:
        if adapter in opened.failing:
            raise EngineFailed("out of memory")
        right = {item.question: item.answer for item in ITEMS}
        if question not in right:
            return None
        return "I think it is a while" if adapter in opened.wrong else f"It takes {right[question]}."

    registry.replicas.announce(replica, identity=replica, address="")
    engine = FakeEngine(base=shape, answerer=say)
    gated = GatedEngine(engine, SlotGate(slots=2, patience_seconds=0.05))
    table, salts, time = AdapterTable(), TenantSalts.open(directory / "salt.key"), Time()
    controller = RolloutController(
        registry,
        Replica(name=replica, engine=gated, table=table, salts=salts, is_busy=lambda: opened.is_busy),
        rule=watch_rule,
        enforcer=enforcer or PolicyEnforcer(registry, open_rules()),
        clock=Clock(seconds=time, utc_now=time.utc),
    )
    activator = Activator(
        registry,
        gated,
        table,
        ActivatorSettings(replica=replica, poll_seconds=60, rollback_window_seconds=3600),
        open_or_find_standby=controller.open_or_find_standby,
    )
    parts = AnswerParts(
        engine=gated,
        table=table,
        admission=Admission(max_running=4, max_queued_per_tenant=2),
        residency=activator.residency,
        salts=salts,
        find_tenant=registry.tenants.get,
    )
    answers = Answers(parts, default_deadline_seconds=5, listener=controller)
    opened = Watched(registry, publisher, engine, table, activator, answers, controller, time)
    return opened


@pytest.fixture
async def watched(registry: Registry, publisher: Publisher, tmp_path: Path, tiny_shape: BaseShape) -> Watched:
    opened = open_watched(registry, publisher, tmp_path, tiny_shape, watch_rule=rule())
    registry.question_sets.add("acme", "days", ITEMS, actor="ann")
    await opened.engine.start()
    await opened.settle()
    return opened
