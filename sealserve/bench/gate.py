"""The gate figure: how often the shipped policy promotes what it should not, and what it should, by simulation.

Candidates are drawn as answers to the shipped suites, item by item, and judged by the gate itself. An item is drawn
independently of the others: the shipped suites ask each fact once. Knows no model.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sealserve.canaries import suite_key
from sealserve.errors import BadConfig
from sealserve.gate.canary import SUITES_VERSION, probes_for
from sealserve.gate.policy import Policy, load_policy
from sealserve.gate.statistics import measured
from sealserve.gate.verdict import judge
from sealserve.records import Decision, Measured, NotApplicable, Scorecard

CONFIRM_ITEMS = 24
"""About what one article of the demo gives."""

NOISE = (0.0, 0.01, 0.03)
"""Shares of items that turn right by chance, and wrong as often. An adapter of the demo's turns some 0.005."""

LOSS = 0.05
CURVE_LOSSES = tuple(step / 200 for step in range(15))
CURVE_SIZES = (100, 200, 1000)
_MODELS = {"nano": "nano", "general": "any other model"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFigures:
    """Rates over `candidates` each: the worst over suites and noise for what must not pass, the least for what must.

    `decisions` counts what became of each kind; `power` is the promoted share by true loss for each suite size.
    """

    null_promoted: float
    worse_promoted: float
    good_promoted: float
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
    """One kind of candidate: shares of items gained and lost on the new documents, and on the old skills."""

    gained: float
    noise: float
    lost: float = 0.0
    known: float = 0.0  # what the incumbent answers about the new documents already

    def card(self, rng: np.random.Generator, sizes: Sizes, *, confidence: float) -> Scorecard:
        """Return one candidate's scorecard; nothing else than the old skills is lost."""
        return Scorecard(
            confirm=_drawn(
                rng, CONFIRM_ITEMS, right=self.known, better=self.gained + self.noise, worse=self.noise,
                confidence=confidence,
            ),
            replay=NotApplicable(because="a first document"),
            canary=_drawn(
                rng, sizes.canary, right=0.98, better=self.noise, worse=self.noise + self.lost, confidence=confidence
            ),
            unknown=_drawn(rng, sizes.unknown, right=0.98, better=0.0, worse=0.0, confidence=confidence),
            suites={
                name: _drawn(rng, n, right=0.98, better=self.noise, worse=self.noise, confidence=confidence)
                for name, n in sizes.suites.items()
            },
        )  # fmt: skip


def run(
    *, candidates: int = 1000, out: Path | None = None, seed: int = 0, say: Callable[[str], None] = print
) -> GateFigures:
    """Return the figures; with `out`, the power curve is drawn there. Raises: BadConfig (policy, no matplotlib)."""
    policy = load_policy()
    sizes = {name: _sizes(model) for name, model in _MODELS.items()}
    kinds: dict[str, list[Kind]] = {
        "null": [Kind(gained=0.0, noise=max(n, 0.1), known=known) for n in NOISE for known in (0.0, 0.5)],
        "worse": [Kind(gained=0.9, noise=n, lost=LOSS) for n in NOISE],
        "good": [Kind(gained=0.9, noise=n, lost=0.01) for n in NOISE[:2]],
    }
    found: dict[str, dict[str, int]] = {}
    shares: dict[str, list[float]] = {name: [] for name in kinds}
    for name, members in kinds.items():
        say(f"judging candidates: {name}")
        for place, kind in enumerate(members):
            for suite, of_model in sizes.items():
                rng = np.random.default_rng([seed, len(name), place, of_model.canary])
                decisions = _judged(kind, policy, rng, candidates, of_model)
                found[f"{name}, noise {kind.noise}, known {kind.known}, {suite} suite"] = decisions
                shares[name].append(decisions.get(Decision.PROMOTE, 0) / candidates)
    power = _power(policy, {one.canary for one in sizes.values()}, candidates=candidates, seed=seed, say=say)
    if out is not None:
        _draw(power, out / "gate-power.png", say=say)
    return GateFigures(
        null_promoted=max(shares["null"]),
        worse_promoted=max(shares["worse"]),
        good_promoted=min(shares["good"]),
        candidates=candidates,
        sizes={name: asdict(one) for name, one in sizes.items()},
        decisions=found,
        power=power,
    )


def _sizes(model: str) -> Sizes:
    probes = probes_for(model)
    suites = {suite_key(name, SUITES_VERSION): len(items) for name, items in probes.suites.items()}
    return Sizes(canary=len(probes.canary), unknown=len(probes.unknown), suites=suites)


def _judged(kind: Kind, policy: Policy, rng: np.random.Generator, candidates: int, sizes: Sizes) -> dict[str, int]:
    counts: dict[str, int] = {}
    for _ in range(candidates):
        card = kind.card(rng, sizes, confidence=policy.confidence)
        decision = judge(card, policy).decision.value
        counts[decision] = counts.get(decision, 0) + 1
    return counts


def _power(
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
        decisions = [_judged(kind, lenient, rng, runs, Sizes(canary=canary, unknown=160)) for kind in kinds]
        curves[str(canary)] = [round(found.get(Decision.PROMOTE, 0) / runs, 4) for found in decisions]
    return curves


def _drawn(
    rng: np.random.Generator, n: int, *, right: float, better: float, worse: float, confidence: float
) -> Measured:
    """Return a score of `n` items: each turns right with chance `better`, wrong with `worse`, or stays as it was."""
    turned = rng.multinomial(n, [better, worse, 1 - better - worse])
    both = int(rng.binomial(turned[2], right))
    gained, lost, kept = (int(count) for count in turned)
    return measured(both=both, better=gained, worse=lost, neither=kept - both, confidence=confidence)


def _draw(power: dict[str, list[float]], path: Path, *, say: Callable[[str], None]) -> None:
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
