"""Monitoring after a promotion, on one replica: counts outcomes, compares second answers, decides, and rolls back.

Outcomes are added to the registry's counts off the request path. A decision rests on the counts of all replicas and
takes effect once, whichever replica makes it. A rollback needs no load: the incumbent stays loaded beside the candidate
while the watch is open.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

import structlog

from sealserve.engine.engine import Engine
from sealserve.errors import FailedPrecondition, SealserveError, StorageFailed
from sealserve.gate.rollout import RollBack, WatchEvidence, judge_watch, next_stage, signals
from sealserve.gate.thresholds import StageRule, WatchRule
from sealserve.policy.enforcement import PolicyEnforcer
from sealserve.records.feedback import VersionFeedback
from sealserve.records.inference import FinishReason
from sealserve.records.rollouts import WATCH_ACTOR, Count, Standby, Watch, WatchState
from sealserve.registry.registry import Registry
from sealserve.rollout.latency import Latencies
from sealserve.rollout.pairwise_judge import PairwiseJudge, is_bad
from sealserve.rollout.per_key_limits import PerKeyLimits
from sealserve.rollout.safety_probes import probe_hits
from sealserve.rollout.shadow_traffic import Pair, ShadowTraffic
from sealserve.serving.adapter_table import AdapterTable, Route
from sealserve.serving.answers import Answered
from sealserve.serving.salt import TenantSalts
from sealserve.telemetry import Telemetry
from sealserve.telemetry.names import LogEvent

TICK_SECONDS = 0.5
MIN_TICK_SECONDS = 0.05
MAX_COMPARED = 50_000
"""Distinct conversations that one watch compares."""

Key = tuple[str, int]
_BAD_NEWS = (Count.WORSE, Count.CANDIDATE_ERRORS, Count.CANDIDATE_DEGENERATE, Count.IMPLAUSIBLE, Count.PROBE_HITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """What this server answers with."""

    name: str
    engine: Engine
    table: AdapterTable
    salts: TenantSalts
    is_busy: Callable[[], bool] = lambda: False  # whether a tenant waits for the engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Time: monotonic seconds, and the date in UTC."""

    seconds: Callable[[], float] = monotonic
    utc_now: Callable[[], datetime] = lambda: datetime.now(UTC)


class RolloutController:
    """Listener of `Answers`; the activator asks it for the version beside the active one."""

    def __init__(
        self,
        registry: Registry,
        replica: Replica,
        *,
        rule: WatchRule,
        enforcer: PolicyEnforcer,
        telemetry: Telemetry | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`enforcer` is asked before every automatic rollback."""
        self.on_moved: Callable[[], None] = lambda: None  # called after the pointer moved: the activator's `wake`
        clock = clock or Clock()
        engine, table, salts = replica.engine, replica.table, replica.salts
        self._registry = registry
        self._engine = engine
        self._table = table
        self._salts = salts
        self._rule = rule
        self._replica = replica.name
        self._enforcer = enforcer
        self._metrics = (telemetry or Telemetry.off()).metrics
        self._clock = clock.seconds
        self._utc_now = clock.utc_now
        self._judge = PairwiseJudge(registry, engine, salts=salts, rule=rule, clock=clock.seconds)
        self._shadows = ShadowTraffic(
            engine, table, salts=salts, is_busy=replica.is_busy, compare=self._compare, on_dropped=self._dropped
        )
        self._latencies = Latencies(rule, clock=clock.seconds)
        self._limits = PerKeyLimits(rule.max_per_key)
        self._open: dict[str, Watch] = {}
        self._pending: dict[Key, Counter[Count]] = {}
        self._unrecorded_since: dict[Key, float] = {}  # since when calls have ended whose outcomes are not recorded
        self._compared: dict[Key, set[bytes]] = {}
        self._probed: set[Key] = set()
        self._judged: dict[Key, WatchEvidence] = {}  # evidence that led to no rollback
        self._wake = asyncio.Event()
        self._log = structlog.get_logger("sealserve.watch")

    def open_or_find_standby(self, tenant: str) -> Standby | None:
        """Open the watch of a version just promoted; return the version beside the tenant's active one. Blocks.

        Raises: StorageFailed, NotFound (tenant).
        """
        if self._rule.enabled:
            self._registry.rollouts.open(tenant, share=1 - self._rule.stages[0].traffic)
        return self._registry.rollouts.standby(tenant)

    def answered(self, answered: Answered) -> None:
        """Count the call; if it is sampled, have the other version answer it as well."""
        watch = self._watch_of(answered.route)
        self._latencies.add(answered, watch)
        if watch is None:
            return
        self._unrecorded_since.setdefault(_key(watch), self._clock())
        self._count(watch, self._limits.bounded(_key(watch), answered.asker, _counts_of(watch, answered)))
        other = self._other(answered.route)
        if other is not None and self._is_drawn(watch, answered):
            self._shadows.offer(answered, other)

    async def run(self) -> None:
        """Record, decide and act until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._shadows.run(), name="shadows")
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), TICK_SECONDS)
                self._wake.clear()
                await self.look()
                for watch in self._open.values():
                    if _key(watch) not in self._probed and not watch.counts[Count.PROBES]:
                        self._probed.add(_key(watch))
                        group.create_task(self._probe(watch), name=f"probe {watch.tenant}")
                await asyncio.sleep(MIN_TICK_SECONDS)

    async def look(self) -> None:
        """Record new outcomes, then decide every open watch. What the registry refuses now is tried again.

        If counts cannot be written while the pointer can move, the watch sees nothing; lost telemetry decides it.
        """
        try:
            await self._record()
        except StorageFailed as error:
            self._log.warning(LogEvent.ROLLOUT_NOT_RECORDED, reason=error.reason)
        try:
            found = await asyncio.to_thread(self._registry.rollouts.open_watches)
            thumbs = await asyncio.to_thread(self._registry.rollouts.thumbs)
        except StorageFailed as error:
            self._log.warning(LogEvent.ROLLOUT_NOT_READ, reason=error.reason)
            return
        present = set(map(_key, found))
        for watch in self._open.values():
            if _key(watch) not in present:
                self._forget(watch)
        self._open = {watch.tenant: watch for watch in found}
        for watch in found:
            try:
                await self._decide(watch, self._evidence(watch, thumbs))
            except SealserveError as error:
                self._log.warning(
                    LogEvent.ROLLOUT_NOT_MOVED, tenant=watch.tenant, reason=error.reason, error=error.message
                )

    async def _decide(self, watch: Watch, evidence: WatchEvidence) -> None:
        if self._judged.get(_key(watch)) != evidence:
            e_values = {signal.trigger.value: signal.e_value for signal in signals(evidence, self._rule)}
            self._metrics.watched(watch.tenant, e_values)
            finding = judge_watch(evidence, self._rule)
            if finding is not None:
                await self._roll_back(watch, finding)
                return
            self._judged[_key(watch)] = evidence
        last = len(self._rule.stages) - 1
        stage = last if watch.stage is None else next_stage(watch.stage, watch.counts[Count.PAIRS], self._rule)
        is_over = (self._utc_now() - watch.staged_at).total_seconds() >= self._rule.max_seconds
        if watch.stage is not None and stage != watch.stage:
            share = 1 - self._rule.stages[stage].traffic
            is_moved = await asyncio.to_thread(self._registry.rollouts.move_stage, watch, stage, share=share)
        else:
            is_ended = stage == last and is_over
            is_moved = is_ended and await asyncio.to_thread(self._registry.rollouts.end, watch, WatchState.PASSED)
        if is_moved:
            self._log.info(
                LogEvent.ROLLOUT_MOVED, tenant=watch.tenant, version=watch.version, stage=stage, is_over=is_over
            )
            self.on_moved()

    def _evidence(self, watch: Watch, thumbs: Mapping[Key, VersionFeedback]) -> WatchEvidence:
        since = self._unrecorded_since.get(_key(watch))
        return WatchEvidence(
            counts=watch.counts,
            candidate_thumbs=thumbs.get((watch.tenant, watch.version)),
            incumbent_thumbs=thumbs.get((watch.tenant, watch.incumbent)),
            silent_seconds=0.0 if since is None else self._clock() - since,
        )

    async def _roll_back(self, watch: Watch, finding: RollBack) -> None:
        decided_at = self._utc_now()
        reason = f"{finding.trigger}: {finding.reason}"
        try:
            await asyncio.to_thread(
                self._enforcer.require_rollback, watch.tenant, watch.incumbent, actor=WATCH_ACTOR, reason=reason
            )
        except FailedPrecondition as refusal:
            text = f"{reason}; {refusal.message}"
            await asyncio.to_thread(self._registry.rollouts.end, watch, WatchState.REFUSED, reason=text)
            self._log.warning(LogEvent.ROLLBACK_REFUSED, tenant=watch.tenant, version=watch.version, reason=text)
            return
        moved = await asyncio.to_thread(
            self._registry.rollouts.roll_back,
            watch,
            trigger=finding.trigger,
            reason=finding.reason,
            decided_at=decided_at,
        )
        if moved is not None:
            self.on_moved()
            self._metrics.watch_rolled_back(watch.tenant, finding.trigger.value)
            self._log.warning(LogEvent.VERSION_ROLLED_BACK, tenant=watch.tenant, version=watch.version, reason=reason)

    async def _record(self) -> None:
        """Add what is pending to the registry's counts. Raises: StorageFailed; then it is pending still."""
        for watch in self._open.values():
            slow = self._latencies.slow_windows(watch)
            if slow or watch.counts[Count.SLOW_WINDOWS]:
                self._pending.setdefault(_key(watch), Counter())[Count.SLOW_WINDOWS] = slow
        pending, self._pending = self._pending, {}
        if not pending:
            return
        try:
            await asyncio.to_thread(self._registry.rollouts.add_counts, self._replica, pending)
        except StorageFailed:
            for key, counts in pending.items():
                del counts[Count.SLOW_WINDOWS]  # set, not added
                self._pending.setdefault(key, Counter()).update(counts)
            raise
        for key in pending:
            self._unrecorded_since.pop(key, None)

    async def _compare(self, pair: Pair) -> None:
        watch = self._watch_of(pair.answered.route)
        if watch is None or pair.second.route.version not in (watch.version, watch.incumbent):
            return
        try:
            counts = await self._judge.compare(watch, pair)
        except StorageFailed:
            self._dropped(pair.answered)
            return
        counts += _counts_of(watch, pair.second)
        found = self._limits.bounded(_key(watch), pair.answered.asker, counts)
        self._metrics.paired("worse" if found[Count.WORSE] else "better" if found[Count.BETTER] else "same")
        self._count(watch, found)

    async def _probe(self, watch: Watch) -> None:
        active, beside = self._table.route(watch.tenant), self._table.standby(watch.tenant)
        try:
            if active is None or active.version != watch.version:
                raise FailedPrecondition("the candidate is not loaded yet")
            routes = (active, beside.route if beside else None)
            hits = await probe_hits(self._engine, self._rule.probes, routes=routes, salt=self._salts.salt(watch.tenant))
        except SealserveError:
            self._probed.discard(_key(watch))
            return
        self._count(watch, Counter({Count.PROBES: len(self._rule.probes), Count.PROBE_HITS: hits}))

    def _dropped(self, answered: Answered) -> None:
        watch = self._watch_of(answered.route)
        self._metrics.paired("dropped")
        if watch is not None:
            self._compared.get(_key(watch), set()).discard(_digest(answered))
            self._count(watch, Counter({Count.DROPPED: 1}))

    def _count(self, watch: Watch, found: Counter[Count]) -> None:
        self._pending.setdefault(_key(watch), Counter()).update(found)
        if any(found[count] for count in _BAD_NEWS):
            self._wake.set()

    def _watch_of(self, route: Route) -> Watch | None:
        watch = self._open.get(route.tenant)
        return watch if watch is not None and route.version in (watch.version, watch.incumbent) else None

    def _other(self, route: Route) -> Route | None:
        """The other route of the tenant, if both are loaded."""
        active, beside = self._table.route(route.tenant), self._table.standby(route.tenant)
        if active is None or beside is None or route.version not in (active.version, beside.route.version):
            return None
        return beside.route if route.version == active.version else active

    def _is_drawn(self, watch: Watch, answered: Answered) -> bool:
        """Return whether this call is compared: the stage's share of calls, by request id; each conversation once."""
        is_whole = answered.finish in (FinishReason.STOP, FinishReason.LENGTH) or answered.error == "ENGINE_FAILED"
        if not is_whole or answered.sampling.max_tokens > self._rule.max_tokens:
            return False
        drawn = int.from_bytes(hashlib.sha256(f"shadow/{answered.request_id}".encode()).digest()[:8]) / 2**64
        if drawn >= self._stage(watch).shadow:
            return False
        seen, digest = self._compared.setdefault(_key(watch), set()), _digest(answered)
        if digest in seen or len(seen) >= MAX_COMPARED:
            return False
        seen.add(digest)
        return True

    def _stage(self, watch: Watch) -> StageRule:
        last = len(self._rule.stages) - 1
        return self._rule.stages[last if watch.stage is None else min(watch.stage, last)]

    def _forget(self, watch: Watch) -> None:
        key = _key(watch)
        self._latencies.forget(watch)
        self._limits.forget(key)
        self._compared.pop(key, None)
        self._unrecorded_since.pop(key, None)
        self._pending.pop(key, None)
        self._probed.discard(key)
        self._judged.pop(key, None)


def _counts_of(watch: Watch, answered: Answered) -> Counter[Count]:
    """Return the counts of one call; none if it was cut off or the engine was away."""
    if answered.error not in ("", "ENGINE_FAILED") or (not answered.error and answered.finish is None):
        return Counter()
    is_failed = answered.error == "ENGINE_FAILED"
    is_empty = not is_failed and is_bad(answered)
    if answered.route.version == watch.version:
        names = Count.CANDIDATE_ANSWERS, Count.CANDIDATE_ERRORS, Count.CANDIDATE_DEGENERATE
    else:
        names = Count.INCUMBENT_ANSWERS, Count.INCUMBENT_ERRORS, Count.INCUMBENT_DEGENERATE
    counted: Mapping[Count, int] = dict(zip(names, (1, int(is_failed), int(is_empty)), strict=True))
    return Counter(counted)


def _digest(answered: Answered) -> bytes:
    text = "\0".join(f"{turn.role}\0{turn.content}" for turn in answered.turns)
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:8]


def _key(watch: Watch) -> Key:
    return watch.tenant, watch.activation
