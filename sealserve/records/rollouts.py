"""The watch over a version after it became active: its states, what is counted meanwhile, who gets which version.

The *candidate* is the version under watch, the *incumbent* the one that answered before it. Frozen and plain.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

WATCH_ACTOR = "watch"
"""The actor of automatic traffic changes and rollbacks in the audit trail."""


class WatchState(StrEnum):
    """The state of a watch. All but OPEN are final."""

    OPEN = "open"
    PASSED = "passed"  # its time is up and nothing spoke against the candidate
    ROLLED_BACK = "rolled_back"  # automatically; `trigger` says on what signal
    SUPERSEDED = "superseded"  # the pointer was moved by somebody else
    REFUSED = "refused"  # it wanted to roll back, and a written rule denied it


class Trigger(StrEnum):
    """What a watch rolls back on."""

    QUALITY = "quality"  # worse answers than the incumbent's to the same requests
    ERRORS = "errors"  # requests that the engine failed under it
    DEGENERATE = "degenerate"  # empty or endlessly repeated answers
    DRIFT = "drift"  # the incumbent's answers have become implausible
    FEEDBACK = "feedback"  # thumbs down
    LATENCY = "latency"  # first token, or time per token
    SAFETY = "safety"  # a safety probe was answered as it never may be
    SILENCE = "silence"  # no telemetry


class Count(StrEnum):
    """What is counted during a watch. Sums over replicas, but for the last, which is the worst replica's."""

    PAIRS = "pairs"  # requests answered under both versions and compared
    WORSE = "worse"  # pairs that only the incumbent answered well
    BETTER = "better"  # pairs that only the candidate answered well
    REFERENCED = "referenced"  # pairs with a right answer to compare with
    DROPPED = "dropped"  # second answers that were due and not given: queue full, engine busy or away
    CANDIDATE_ANSWERS = "candidate_answers"  # requests that the candidate answered or failed
    CANDIDATE_ERRORS = "candidate_errors"
    CANDIDATE_DEGENERATE = "candidate_degenerate"
    INCUMBENT_ANSWERS = "incumbent_answers"
    INCUMBENT_ERRORS = "incumbent_errors"
    INCUMBENT_DEGENERATE = "incumbent_degenerate"
    LIKELIHOODS = "likelihoods"  # the incumbent's answers whose likelihood was taken under both
    IMPLAUSIBLE = "implausible"  # of these, those that the candidate finds much less likely
    PROBES = "probes"  # safety probes asked
    PROBE_HITS = "probe_hits"
    SLOW_WINDOWS = "slow_windows"  # windows in a row in which the candidate was too slow


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One watch. It is named by the activation that made the candidate active."""

    tenant: str
    activation: int
    version: int  # candidate
    incumbent: int
    state: WatchState
    stage: int | None  # index into the policy's stages; None: a person has set the traffic
    trigger: Trigger | None
    reason: str
    counts: Mapping[Count, int]
    opened_at: datetime
    staged_at: datetime  # when the present stage began
    decided_at: datetime | None  # when the evidence was enough to end it


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One test: `bad` of `n` outcomes, more than `tolerated` being evidence. It acts when `e_value` >= 1/alpha.

    `tolerated` is what the incumbent has at most where that explains the outcomes best; `e_value` is the evidence times
    the test's share of alpha.
    """

    trigger: Trigger
    bad: int
    n: int
    tolerated: float
    e_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchReport:
    """A watch with the present state of its tests; a signal acts when its e-value reaches `limit`."""

    watch: Watch
    signals: tuple[Signal, ...]
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What each version of a tenant is given of new requests, the active one first; together 1."""

    tenant: str
    shares: Mapping[int, float]
    activation: int
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standby:
    """The second version of a tenant: loaded beside the active one, and given `share` of new requests."""

    activation: int  # under which this holds
    version: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What should answer a tenant: `version`, since its activation of that number, and the second version, if any."""

    tenant: str
    version: int
    activation: int
    changed: int  # grows with every change of the installation; 0 before the tenant's first
    standby: Standby | None = None
