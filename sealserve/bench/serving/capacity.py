"""`sealserve bench capacity`: how many replicas many tenants need, simulated from times that were measured elsewhere.

Tenants ask in Poisson arrivals, how often each by Zipf's law. A tenant's requests go to one replica, by consistent
hashing, or to so many as its part of all requests is worth. A replica keeps as many adapters resident
as it has places and drops the least recently used; a request of another tenant waits for its adapter to be read, one
after the other. At most `slots` adapters and `sequences` requests run at once. At the start the tenants that ask most
are resident. Time is virtual; nothing is served.
"""

import hashlib
import heapq
import math
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import accumulate

TARGET_MORE = 2.0
"""Without another goal: a first token at the 99th percentile within so many times what it takes on an idle replica."""

MOST_REPLICAS = 1024
WARM_SHARE = 0.1
"""Of the requests, left out at the start."""

QUICK_REQUESTS = 5_000
LADDER = (10_000, 100_000, 1_000_000)
"""Registered tenants; traffic grows with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What comes in. `rate` is in requests a second, `exponent` Zipf's, `answer_tokens` what each answer has."""

    tenants: int
    rate: float
    exponent: float = 1.1
    answer_tokens: int = 128
    requests: int = 20_000
    seed: int = 0

    def shares(self) -> tuple[float, ...]:
        """Return each tenant's part of all requests, the largest first."""
        return _zipf(self.tenants, self.exponent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One replica's limits and times. `token_seconds` is per token alone, `batch_seconds` per token and neighbour."""

    places: int
    slots: int
    sequences: int
    load_seconds: float
    first_token_seconds: float
    token_seconds: float
    batch_seconds: float
    base_mib: float
    adapter_mib: float

    @property
    def memory_mib(self) -> float:
        """What a replica needs with all places taken."""
        return self.base_mib + self.places * self.adapter_mib


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What tenants see with so many replicas. `cold` is the share of requests whose adapter had to be read first."""

    replicas: int
    ttft_p50_ms: float
    ttft_p99_ms: float
    cold: float
    busiest: float  # running sequences over the most, on the busiest replica


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityFigures:
    """`replicas`: the fewest with which `ttft_p99_ms` is within the goal, by registered tenants."""

    replicas: dict[str, int]
    ttft_p99_ms: dict[str, float]
    ttft_p50_ms: dict[str, float]
    cold: dict[str, float]
    memory_gib: dict[str, float]
    goal_ms: float
    machine: Machine
    load: Load


@dataclass(slots=True)
class _Replica:
    """The state of one replica. Times are virtual seconds."""

    machine: Machine
    resident: "OrderedDict[int, float]" = field(default_factory=OrderedDict)  # tenant: loaded at; oldest use first
    loads_end_at: float = 0.0
    running: dict[int, int] = field(default_factory=dict)  # tenant: requests
    count: int = 0
    waiting: "deque[tuple[float, int]]" = field(default_factory=deque)  # (asked at, tenant)
    busy_seconds: float = 0.0
    cold: int = 0


def run(
    *,
    load: Load,
    machine: Machine,
    goal_ms: float = 0.0,
    quick: bool = False,
    say: Callable[[str], None] = print,
) -> CapacityFigures:
    """Return how many replicas `load` needs, and ten and a hundred times as many tenants with as much more traffic."""
    goal = goal_ms or TARGET_MORE * machine.first_token_seconds * 1000
    found: dict[int, Outcome] = {}
    for times in (count // LADDER[0] for count in (LADDER[:1] if quick else LADDER)):
        requests = min(load.requests, QUICK_REQUESTS) if quick else load.requests
        more = replace(load, tenants=load.tenants * times, rate=load.rate * times, requests=requests)
        found[more.tenants] = outcome = fewest(more, machine, goal_ms=goal)
        say(
            f"{more.tenants} tenants, {more.rate:g} requests/s: {outcome.replicas} replicas, first token p99 "
            f"{outcome.ttft_p99_ms:.0f} ms, {outcome.cold:.3f} cold"
        )
    return CapacityFigures(
        replicas={str(tenants): one.replicas for tenants, one in found.items()},
        ttft_p99_ms={str(tenants): one.ttft_p99_ms for tenants, one in found.items()},
        ttft_p50_ms={str(tenants): one.ttft_p50_ms for tenants, one in found.items()},
        cold={str(tenants): one.cold for tenants, one in found.items()},
        memory_gib={str(n): round(one.replicas * machine.memory_mib / 1024, 1) for n, one in found.items()},
        goal_ms=round(goal, 1),
        machine=machine,
        load=load,
    )


def fewest(load: Load, machine: Machine, *, goal_ms: float) -> Outcome:
    """Return the outcome with the fewest replicas that keep the goal; with the most that are tried if none does."""
    enough = 1
    while (outcome := simulate(load, machine, replicas=enough)).ttft_p99_ms > goal_ms and enough < MOST_REPLICAS:
        enough *= 2
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        tried = simulate(load, machine, replicas=middle)
        if tried.ttft_p99_ms <= goal_ms:
            enough, outcome = middle, tried
        else:
            too_few = middle
    return outcome


def simulate(load: Load, machine: Machine, *, replicas: int) -> Outcome:
    """Return what tenants see when `load` meets so many replicas."""
    sites = _warm(load, machine, replicas)
    events: list[tuple[float, int, int, int]] = []  # (when, order, tenant or -1 - tenant at its end, replica)
    waits: list[float] = []
    order = 0
    for at, tenant, draw in _arrivals(load):
        heapq.heappush(
            events, (at, order, tenant, home(tenant, replicas, copy=int(draw * copies(load, tenant, replicas))))
        )
        order += 1
    last = 0.0
    while events:
        last, _, tenant, place = heapq.heappop(events)
        site = sites[place]
        if tenant >= 0:
            site.waiting.append((last, tenant))
        else:
            _end(site, -1 - tenant)
        for asked_at, started, starts_at, ends_at in _begin(site, last, load.answer_tokens):
            waits.append(starts_at - asked_at + machine.first_token_seconds)
            heapq.heappush(events, (ends_at, order, -1 - started, place))
            order += 1
    seen = sorted(waits[int(len(waits) * WARM_SHARE) :])
    return Outcome(
        replicas=replicas,
        ttft_p50_ms=_percentile_ms(seen, 0.5),
        ttft_p99_ms=_percentile_ms(seen, 0.99),
        cold=round(sum(site.cold for site in sites.values()) / load.requests, 4),
        busiest=round(max(site.busy_seconds for site in sites.values()) / (last * machine.sequences), 3),
    )


def copies(load: Load, tenant: int, replicas: int) -> int:
    """Return on how many replicas a tenant is resident: one has no more than its part of all requests."""
    return max(1, math.ceil(replicas * load.shares()[tenant]))


def home(tenant: int, replicas: int, *, copy: int = 0) -> int:
    """Return the replica of a tenant's `copy`. One more replica moves one in so many tenants.

    Jump consistent hashing: Lamping and Veach 2014, arXiv 1406.2294, figure 1.
    """
    key = int.from_bytes(hashlib.blake2b(f"{tenant} {copy}".encode(), digest_size=8).digest(), "big")
    found, following = 0, 0
    while following < replicas:
        found = following
        key = (key * 2862933555777941757 + 1) % 2**64
        following = int((found + 1) * (2**31 / ((key >> 33) + 1)))
    return found


def _warm(load: Load, machine: Machine, replicas: int) -> dict[int, _Replica]:
    """Return the replicas with the tenants that ask most resident, as far as there are places."""
    sites = {place: _Replica(machine) for place in range(replicas)}
    for tenant in range(min(load.tenants, 4 * replicas * machine.places)):
        for copy in range(copies(load, tenant, replicas)):
            site = sites[home(tenant, replicas, copy=copy)]
            if len(site.resident) < machine.places:
                site.resident[tenant] = 0.0
                site.resident.move_to_end(tenant, last=False)
    return sites


def _arrivals(load: Load) -> Iterator[tuple[float, int, float]]:
    """Yield (seconds, tenant, a draw from [0, 1))."""
    rng = random.Random(load.seed)
    cumulated = list(accumulate(load.shares()))
    now = 0.0
    for tenant in rng.choices(range(load.tenants), cum_weights=cumulated, k=load.requests):
        now += rng.expovariate(load.rate)
        yield now, tenant, rng.random()


@cache
def _zipf(tenants: int, exponent: float) -> tuple[float, ...]:
    weights = [1 / rank**exponent for rank in range(1, tenants + 1)]
    total = sum(weights)
    return tuple(weight / total for weight in weights)


def _begin(site: _Replica, now: float, tokens: int) -> Iterator[tuple[float, int, float, float]]:
    """Start what can start now, in turn; yield (asked at, tenant, starts at, ends at)."""
    machine, later = site.machine, deque[tuple[float, int]]()
    while site.waiting and site.count < machine.sequences:
        asked_at, tenant = site.waiting.popleft()
        if tenant not in site.running and len(site.running) >= machine.slots:
            later.append((asked_at, tenant))
            continue
        starts_at = max(now, _resident_at(site, tenant, now))
        site.running[tenant] = site.running.get(tenant, 0) + 1
        site.count += 1
        seconds = machine.first_token_seconds + tokens * (machine.token_seconds + machine.batch_seconds * site.count)
        site.busy_seconds += seconds
        yield asked_at, tenant, starts_at, starts_at + seconds
    site.waiting.extendleft(reversed(later))


def _resident_at(site: _Replica, tenant: int, now: float) -> float:
    """Return when the tenant's adapter is there; somebody else's leaves for it, of those that do not run."""
    if tenant in site.resident:
        site.resident.move_to_end(tenant)
        return site.resident[tenant]
    site.cold += 1
    while len(site.resident) >= site.machine.places:
        gone = next((one for one in site.resident if one not in site.running), None)
        if gone is None:
            break
        del site.resident[gone]
    site.loads_end_at = max(site.loads_end_at, now) + site.machine.load_seconds
    site.resident[tenant] = site.loads_end_at
    return site.loads_end_at


def _end(site: _Replica, tenant: int) -> None:
    site.count -= 1
    site.running[tenant] -= 1
    if not site.running[tenant]:
        del site.running[tenant]


def _percentile_ms(ordered: Sequence[float], share: float) -> float:
    return round(1000 * ordered[math.ceil(share * len(ordered)) - 1], 1)
