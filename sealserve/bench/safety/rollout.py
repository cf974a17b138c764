"""The watch figure: how often it takes back a version that is no worse, how soon one that is, by simulation; and on a
real daemon how long after its decision the bad version still answers.

Simulated outcomes are drawn independently and judged by the gate itself, under the shipped policy: pairs after every
one, all tests together after every tenth request. Latency, silence and safety probes are not simulated.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np

from sealserve.bench.safety.rollout_daemon import DaemonFigures, measure_daemon
from sealserve.gate.rollout import WatchEvidence, judge_watch
from sealserve.gate.thresholds import WatchRule, load_policy
from sealserve.records.feedback import VersionFeedback
from sealserve.records.rollouts import Count

DISCORDANCE = 0.15
"""Share of pairs that only one side answers well."""

PAIRS = 2000
"""Most pairs of a run."""

DROPS = (0.03, 0.05, 0.10)
DROP = 0.05

THUMBS = 0.1
"""Share of the candidate's answers that somebody gives a thumb."""

REQUESTS_A_LOOK = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Equal:
    """Two versions that are equally bad: chances of both, of an answer or a thumb.

    `heard`: of the requests, those that the incumbent is asked, too; `thumbs` are those that it has from before.
    """

    bad: float  # the engine fails; and as often the answer is degenerate
    down: float
    heard: float
    thumbs: int
    requests: int = 600
    implausible: float = 0.0


EQUALS = {
    "5 %, unheard": Equal(bad=0.05, down=0.3, heard=0.0, thumbs=0),
    "5 %, hardly heard": Equal(bad=0.05, down=0.3, heard=0.02, thumbs=10),
    "5 %, heard": Equal(bad=0.05, down=0.3, heard=0.1, thumbs=60),
    "12 %, unheard": Equal(bad=0.12, down=0.45, heard=0.0, thumbs=0),
    "12 %, hardly heard": Equal(bad=0.12, down=0.45, heard=0.02, thumbs=10),
    "12 %, heard": Equal(bad=0.12, down=0.45, heard=0.1, thumbs=60),
    "as bad as tolerated": Equal(bad=0.02, down=0.3, heard=1.0, thumbs=60, requests=PAIRS, implausible=0.8),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Runs whose candidate is so much worse: the share rolled back within PAIRS pairs, and after how many."""

    caught: float
    median_pairs: float | None  # None: fewer than half were caught


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchFigures:
    """`caught` and `median_pairs` are those of a drop of 5 points; `drops` has the others.

    `false_rollback` is the worst of `false_rollbacks`: quality alone over PAIRS pairs, and each of EQUALS.
    """

    false_rollback: float
    false_rollbacks: dict[str, float]
    caught: float
    median_pairs: float | None
    runs: int
    rollback_seconds: float | None
    answers_by_revoked: int | None
    failed: int | None
    drops: dict[str, dict[str, float | None]]
    daemon: DaemonFigures | None


def run(
    *,
    runs: int = 400,
    quick: bool = False,
    simulation_only: bool = False,
    full: bool = False,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> WatchFigures:
    """Return the figures of `runs` simulated watches of each kind, and of a real daemon.

    `full`: other tenants take all of its other places for adapters. Raises: EngineFailed.
    """
    runs = min(runs, 100) if quick else runs
    rule = load_policy().watch
    say(f"watching {runs} versions that are as good as the one before")
    false = {"pairs alone": simulate(rule, drop=0.0, runs=runs, seed=seed).caught}
    for name, equal in EQUALS.items():
        say(f"watching {runs} versions that are as bad as the one before: {name}")
        false[name] = simulate_equal(rule, equal, runs=runs, seed=seed)
    drops = {}
    for drop in DROPS:
        say(f"watching {runs} versions that are {100 * drop:.0f} points worse")
        drops[f"{drop:.2f}"] = simulate(rule, drop=drop, runs=runs, seed=seed)
    daemon = None if simulation_only else measure_daemon(rounds=2 if quick else 10, full=full, seed=seed, say=say)
    return WatchFigures(
        false_rollback=max(false.values()),
        false_rollbacks=false,
        caught=drops[f"{DROP:.2f}"].caught,
        median_pairs=drops[f"{DROP:.2f}"].median_pairs,
        runs=runs,
        rollback_seconds=daemon.rollback_seconds if daemon else None,
        answers_by_revoked=daemon.answers_by_revoked if daemon else None,
        failed=daemon.failed if daemon else None,
        drops={name: asdict(found) for name, found in drops.items()},
        daemon=daemon,
    )


def simulate(rule: WatchRule, *, drop: float, runs: int, seed: int) -> Drop:
    """Return what becomes of `runs` candidates that answer `drop` of the requests worse than the incumbent."""
    rng = np.random.default_rng([seed, round(1000 * drop)])
    ends = [_find_rollback(rule, rng, drop=drop) for _ in range(runs)]
    caught = [end for end in ends if end is not None]
    middle = float(median(end if end is not None else PAIRS + 1 for end in ends))
    return Drop(caught=len(caught) / runs, median_pairs=middle if middle <= PAIRS else None)


def simulate_equal(rule: WatchRule, equal: Equal, *, runs: int, seed: int) -> float:
    """Return the share of `runs` candidates, each as bad as its incumbent, that are taken back by any test."""
    rng = np.random.default_rng([seed, round(1000 * equal.bad), round(1000 * equal.heard)])
    return sum(_is_taken_back(rule, rng, equal) for _ in range(runs)) / runs


def _is_taken_back(rule: WatchRule, rng: np.random.Generator, equal: Equal) -> bool:
    n = equal.requests
    heard, thumbs = rng.random(n) < equal.heard, rng.random(n) < THUMBS
    fell = rng.choice(3, size=n, p=[DISCORDANCE / 2, DISCORDANCE / 2, 1 - DISCORDANCE])
    outcomes = {
        Count.PAIRS: heard,
        Count.WORSE: heard & (fell == 0),
        Count.BETTER: heard & (fell == 1),
        Count.LIKELIHOODS: heard,
        Count.IMPLAUSIBLE: heard & (rng.random(n) < equal.implausible),
        Count.CANDIDATE_ANSWERS: np.ones(n, dtype=bool),
        Count.CANDIDATE_ERRORS: rng.random(n) < equal.bad,
        Count.CANDIDATE_DEGENERATE: rng.random(n) < equal.bad,
        Count.INCUMBENT_ANSWERS: heard,
        Count.INCUMBENT_ERRORS: heard & (rng.random(n) < equal.bad),
        Count.INCUMBENT_DEGENERATE: heard & (rng.random(n) < equal.bad),
    }
    told = {count: np.cumsum(each) for count, each in outcomes.items()}
    down, voted = np.cumsum(thumbs & (rng.random(n) < equal.down)), np.cumsum(thumbs)
    before = int(rng.binomial(equal.thumbs, equal.down))
    theirs = VersionFeedback(version=1, up=equal.thumbs - before, down=before)
    for place in range(REQUESTS_A_LOOK - 1, n, REQUESTS_A_LOOK):
        mine = VersionFeedback(version=2, up=int(voted[place] - down[place]), down=int(down[place]))
        counts = {count: int(each[place]) for count, each in told.items()}
        evidence = WatchEvidence(counts=counts, candidate_thumbs=mine, incumbent_thumbs=theirs)
        if judge_watch(evidence, rule) is not None:
            return True
    return False


def _find_rollback(rule: WatchRule, rng: np.random.Generator, *, drop: float) -> int | None:
    """After how many pairs one watch rolls back, None if not within PAIRS. Concordant pairs change nothing."""
    worse = (DISCORDANCE + drop) / 2
    drawn = rng.choice(3, size=PAIRS, p=[worse, worse - drop, 1 - DISCORDANCE])
    counts = {Count.WORSE: 0, Count.BETTER: 0}
    for place in np.flatnonzero(drawn < 2):
        counts[Count.WORSE if drawn[place] == 0 else Count.BETTER] += 1
        if judge_watch(WatchEvidence(counts={**counts, Count.PAIRS: int(place) + 1}), rule) is not None:
            return int(place) + 1
    return None
