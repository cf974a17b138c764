"""The watch figure: how often it takes back a version that is no worse, how soon one that is, by simulation; and on a
real daemon how long after its decision the bad version still answers.

Simulated pairs are drawn independently and judged by the gate itself, under the shipped policy, after every one.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np

from sealserve.bench.watch_daemon import DaemonFigures, measure_daemon
from sealserve.gate.policy import WatchRule, load_policy
from sealserve.gate.watch import WatchEvidence, judge_watch
from sealserve.watches import Count

DISCORDANCE = 0.15
"""Share of pairs that only one side answers well."""

PAIRS = 2000
"""Most pairs of a run."""

DROPS = (0.03, 0.05, 0.10)
DROP = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Runs whose candidate is so much worse: the share rolled back within PAIRS pairs, and after how many."""

    caught: float
    median_pairs: float | None  # None: fewer than half were caught


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchFigures:
    """`caught` and `median_pairs` are those of a drop of 5 points; `drops` has the others."""

    false_rollback: float
    caught: float
    median_pairs: float | None
    runs: int
    rollback_seconds: float | None
    failed: int | None
    drops: dict[str, dict[str, float | None]]
    daemon: DaemonFigures | None


def run(
    *,
    runs: int = 400,
    quick: bool = False,
    simulation_only: bool = False,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> WatchFigures:
    """Return the figures of `runs` simulated watches of each kind, and of a real daemon. Raises: EngineFailed."""
    runs = min(runs, 100) if quick else runs
    rule = load_policy().watch
    say(f"watching {runs} versions that are as good as the one before")
    null = simulate(rule, drop=0.0, runs=runs, seed=seed)
    drops = {}
    for drop in DROPS:
        say(f"watching {runs} versions that are {100 * drop:.0f} points worse")
        drops[f"{drop:.2f}"] = simulate(rule, drop=drop, runs=runs, seed=seed)
    daemon = None if simulation_only else measure_daemon(rounds=2 if quick else 10, seed=seed, say=say)
    return WatchFigures(
        false_rollback=null.caught,
        caught=drops[f"{DROP:.2f}"].caught,
        median_pairs=drops[f"{DROP:.2f}"].median_pairs,
        runs=runs,
        rollback_seconds=daemon.rollback_seconds if daemon else None,
        failed=daemon.failed if daemon else None,
        drops={name: asdict(found) for name, found in drops.items()},
        daemon=daemon,
    )


def simulate(rule: WatchRule, *, drop: float, runs: int, seed: int) -> Drop:
    """Return what becomes of `runs` candidates that answer `drop` of the requests worse than the incumbent."""
    rng = np.random.default_rng([seed, round(1000 * drop)])
    ends = [_rolled_back_after(rule, rng, drop=drop) for _ in range(runs)]
    caught = [end for end in ends if end is not None]
    middle = float(median(end if end is not None else PAIRS + 1 for end in ends))
    return Drop(caught=len(caught) / runs, median_pairs=middle if middle <= PAIRS else None)


def _rolled_back_after(rule: WatchRule, rng: np.random.Generator, *, drop: float) -> int | None:
    """After how many pairs one watch rolls back, None if not within PAIRS. Concordant pairs change nothing."""
    worse = (DISCORDANCE + drop) / 2
    drawn = rng.choice(3, size=PAIRS, p=[worse, worse - drop, 1 - DISCORDANCE])
    counts = {Count.WORSE: 0, Count.BETTER: 0}
    for place in np.flatnonzero(drawn < 2):
        counts[Count.WORSE if drawn[place] == 0 else Count.BETTER] += 1
        if judge_watch(WatchEvidence(counts={**counts, Count.PAIRS: int(place) + 1}), rule) is not None:
            return int(place) + 1
    return None
