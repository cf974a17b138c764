"""The gate figure: how often the shipped policy promotes what it should not, and what it should, by simulation.

Candidates are drawn as answers to the shipped suites, item by item, and judged by the gate itself. An item is drawn
independently of the others: the shipped suites ask each fact once.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sealserve.canaries.probes import SUITES_VERSION, probes_for
from sealserve.errors import BadConfig
from sealserve.gate.retest import RETESTS, is_right_mostly
from sealserve.gate.statistics import measured
from sealserve.gate.thresholds import Policy, SafetyRule, load_policy
from sealserve.gate.verdict import judge
from sealserve.records.canary_suites import suite_key
from sealserve.records.scores import Decision, Measured, NotApplicable, Scorecard

CONFIRM_ITEMS = 24
"""Facts on the new documents, each asked about once."""

NOISE = (0.0, 0.01, 0.03)
"""Shares of items that turn right by chance, and wrong as often. An adapter of the demo's turns some 0.005."""

LOSS, GOOD_LOSS = 0.05, 0.01
_FACTS, _UNKNOWN = "canary", "unknown"
CURVE_LOSSES = tuple(step / 200 for step in range(15))
CURVE_SIZES = (100, 200, 1000)
_MODELS = {"nano": "nano", "general": "any other model"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFigures:
    """Rates over `candidates` each: the worst over models and noise for what must not pass, the least for what must.

    `worse_promoted` loses LOSS on the facts, the suite "canary"; `worse_promoted_by_suite` as much on another suite
    alone, whose margin is wider and whose items are few. Good candidates lose GOOD_LOSS on the facts. Good and worse
    ones meet the same noise, and `promoted_by_noise` has the promoted share of both for each level and model.
    `decisions` counts what became of each kind; `power` is the promoted share by true loss for each suite size.
    """

    null_promoted: float
    worse_promoted: float
    worse_promoted_by_suite: dict[str, float]
    good_promoted: float
    promoted_by_noise: dict[str, dict[str, float]]
    candidates: int
    sizes: dict[str, Any]
    decisions: dict[str, dict[str, int]]
    power: dict[str, list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many items a model's shipped suites have; `suites` are those beside facts, by name."""

    canary: int
    unknown: int
    suites: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of candidate: shares of items gained on the new documents, and lost on the suite `loses`."""

    gained: float
    noise: float
    lost: float = 0.0
    known: float = 0.0  # what the incumbent answers about the new documents already
    loses: str = _FACTS

    def card(self, rng: np.random.Generator, sizes: Sizes, policy: Policy) -> Scorecard:
        """Return one candidate's scorecard; nothing else than `loses` loses more than it gains."""
        confidence = policy.confidence
        return Scorecard(
            confirm=_draw_score(
                rng, CONFIRM_ITEMS, right=self.known, better=self.gained + self.noise, worse=self.noise,
                confidence=confidence,
            ),
            replay=NotApplicable(because="a first document"),
            canary=self._draw_suite(rng, _FACTS, sizes.canary, confidence=confidence),
            unknown=_draw_score(
                rng, sizes.unknown, right=0.98, better=0.0, worse=self._lost_in(_UNKNOWN), confidence=confidence
            ),
            suites={
                name: self._draw_safety(rng, name, n, confidence=confidence)
                if isinstance(policy.rule_of(name), SafetyRule)
                else self._draw_suite(rng, name, n, confidence=confidence)
                for name, n in sizes.suites.items()
            },
        )  # fmt: skip

    def _draw_suite(self, rng: np.random.Generator, suite: str, n: int, *, confidence: float) -> Measured:
        worse = self.noise + self._lost_in(suite)
        return _draw_score(rng, n, right=0.98, better=self.noise, worse=worse, confidence=confidence)

    def _draw_safety(self, rng: np.random.Generator, suite: str, n: int, *, confidence: float) -> Measured:
        """As `_draw_suite`, with answers that seem lost asked for again: chance turns each of those as often again."""
        lost = self._lost_in(suite)
        turned = rng.multinomial(n, [self.noise, self.noise, lost, 1 - 2 * self.noise - lost])
        gained, slipped, gone, kept = (int(count) for count in turned)
        again = rng.random((slipped, RETESTS)) >= self.noise
        settled = sum(is_right_mostly(0.0, answers.tolist()) for answers in again)
        both = int(rng.binomial(kept, 0.98))
        return measured(
            both=both + settled,
            better=gained,
            worse=slipped - settled + gone,
            neither=kept - both,
            confidence=confidence,
        )

    def _lost_in(self, suite: str) -> float:
        return self.lost if suite == self.loses else 0.0


def run(
    *, candidates: int = 1000, out: Path | None = None, seed: int = 0, say: Callable[[str], None] = print
) -> GateFigures:
    """Return the figures; with `out`, the power curve is drawn there. Raises: BadConfig (policy, no matplotlib)."""
    policy = load_policy()
    sizes = {name: _read_sizes(model) for name, model in _MODELS.items()}
    kinds: dict[str, list[Kind]] = {
        "null": [Kind(gained=0.0, noise=max(n, 0.1), known=known) for n in NOISE for known in (0.0, 0.5)],
        "worse": [Kind(gained=0.9, noise=n, lost=LOSS) for n in NOISE],
        "good": [Kind(gained=0.9, noise=n, lost=GOOD_LOSS) for n in NOISE],
    }
    found: dict[str, dict[str, int]] = {}
    shares: dict[str, list[float]] = {name: [] for name in kinds}
    by_noise: dict[str, dict[str, float]] = {f"{noise}": {} for noise in NOISE}
    for name, members in kinds.items():
        say(f"judging candidates: {name}")
        for place, kind in enumerate(members):
            for suite, of_model in sizes.items():
                rng = np.random.default_rng([seed, len(name), place, of_model.canary])
                decisions = _judge_candidates(kind, policy, rng, candidates, of_model)
                found[f"{name}, noise {kind.noise}, known {kind.known}, {suite} suite"] = decisions
                shares[name].append(decisions.get(Decision.PROMOTE, 0) / candidates)
                if name != "null":
                    by_noise[f"{kind.noise}"][f"{name}, {suite}"] = shares[name][-1]
    by_suite = _measure_worse_by_suite(policy, sizes, candidates=candidates, seed=seed, say=say)
    power = _measure_power(policy, {one.canary for one in sizes.values()}, candidates=candidates, seed=seed, say=say)
    if out is not None:
        _plot_power(power, out / "gate-power.png", say=say)
    return GateFigures(
        null_promoted=max(shares["null"]),
        worse_promoted=max(shares["worse"]),
        worse_promoted_by_suite=by_suite,
        good_promoted=min(shares["good"]),
        promoted_by_noise=by_noise,
        candidates=candidates,
        sizes={name: asdict(one) for name, one in sizes.items()},
        decisions=found,
        power=power,
    )


def _measure_worse_by_suite(
    policy: Policy, sizes: dict[str, Sizes], *, candidates: int, seed: int, say: Callable[[str], None]
) -> dict[str, float]:
    """The promoted share of candidates that lose LOSS on one suite other than the facts: the worst over noise."""
    found = {}
    for model, of_model in sizes.items():
        for place, suite in enumerate((_UNKNOWN, *of_model.suites)):
            say(f"judging candidates worse on {suite}, {model}")
            rng = np.random.default_rng([seed, place, of_model.canary])
            kinds = [Kind(gained=0.9, noise=noise, lost=LOSS, loses=suite) for noise in NOISE]
            decisions = [_judge_candidates(kind, policy, rng, candidates, of_model) for kind in kinds]
            promoted = max(one.get(Decision.PROMOTE, 0) for one in decisions)
            found[f"{suite}, {model}"] = promoted / candidates
    return found


def _read_sizes(model: str) -> Sizes:
    probes = probes_for(model)
    suites = {suite_key(name, SUITES_VERSION): len(items) for name, items in probes.suites.items()}
    return Sizes(canary=len(probes.canary), unknown=len(probes.unknown), suites=suites)


def _judge_candidates(
    kind: Kind, policy: Policy, rng: np.random.Generator, candidates: int, sizes: Sizes
) -> dict[str, int]:
    counts: dict[str, int] = {}
    for _ in range(candidates):
        card = kind.card(rng, sizes, policy)
        decision = judge(card, policy).decision.value
        counts[decision] = counts.get(decision, 0) + 1
    return counts


def _measure_power(
    policy: Policy, shipped: set[int], *, candidates: int, seed: int, say: Callable[[str], None]
) -> dict[str, list[float]]:
    """The promoted share at each of CURVE_LOSSES; smaller suites are judged as if the policy let them be."""
    lenient = policy.model_copy(update={"canary": policy.canary.model_copy(update={"min_items": 1})})
    curves = {}
    for canary in sorted({*shipped, *CURVE_SIZES}):
        say(f"power with {canary} items")
        rng = np.random.default_rng([seed, canary])
        kinds = [Kind(gained=0.9, noise=0.005, lost=loss) for loss in CURVE_LOSSES]
        runs = max(candidates // 4, 1)
        decisions = [_judge_candidates(kind, lenient, rng, runs, Sizes(canary=canary, unknown=160)) for kind in kinds]
        curves[str(canary)] = [round(found.get(Decision.PROMOTE, 0) / runs, 4) for found in decisions]
    return curves


def _draw_score(
    rng: np.random.Generator, n: int, *, right: float, better: float, worse: float, confidence: float
) -> Measured:
    """Return a score of `n` items: each turns right with chance `better`, wrong with `worse`, or stays as it was."""
    turned = rng.multinomial(n, [better, worse, 1 - better - worse])
    both = int(rng.binomial(turned[2], right))
    gained, lost, kept = (int(count) for count in turned)
    return measured(both=both, better=gained, worse=lost, neither=kept - both, confidence=confidence)


def _plot_power(power: dict[str, list[float]], path: Path, *, say: Callable[[str], None]) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BadConfig("the plot needs matplotlib: pip install 'sealserve[bench]', or leave --out away") from error
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    losses: Sequence[float] = [100 * loss for loss in CURVE_LOSSES]
    for items, shares in power.items():
        axes.plot(losses, shares, label=f"{items} items")
    axes.axvline(100 * LOSS, color="grey", linestyle=":")
    axes.set(xlabel="true loss on old skills, points", ylabel="promoted without a human", ylim=(0, 1.02))
    axes.legend(title="suite")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    say(f"drawn: {path}")
