"""The continual figure: eight articles learned one after another, and what is left of each after every further one.

Three ways, on the same self-edits: the product's (each step rebuilds from the base on the union, with replay and
retention), the same with replay alone, and SEAL's (train on the new article alone, merge the adapter into the weights,
go on from there; arXiv 2506.10943, section 5 and figure 6) with SEAL's own settings. Over eight orders every article
stands once at every place.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from sealserve.bench.harness import plots
from sealserve.bench.harness.intervals import MIN_RESAMPLED, ROUNDS, Share, share, with_goals
from sealserve.bench.harness.learning_lab import Say, about, open_lab
from sealserve.bench.learning.continual_ways import (
    REPLAY_WAY,
    SEAL_WAY,
    Course,
    Size,
    as_seal_does,
    rebuild_on_union,
    replay_alone,
)

GOALS = {"retained_lag7": (">=", 0.90), "canary_loss": ("<=", 0.01)}
QUICK = Size(
    articles=3,
    orders=2,
    seal_orders=1,
    tried_orders=1,
    questions=12,
    max_steps=12,
    seal_max_steps=12,
    batch=8,
    steps_trained=(1, 2, 3),
)
FULL = Size(
    articles=8,
    orders=8,
    seal_orders=8,
    tried_orders=2,
    questions=20,
    max_steps=140,
    seal_max_steps=10_000,
    batch=12,
    steps_trained=(1, 2, 4, 8),
)


def run(*, quick: bool = False, out: Path | None = None, seed: int = 0, say: Say = print) -> dict[str, Any]:
    """Return the figures; heat maps go under `out`. Raises: EngineFailed, TrainingFailed, BadConfig (no matplotlib)."""
    plots.require_plots(out)
    return asyncio.run(_measure(QUICK if quick else FULL, seed=seed, out=out, say=say))


async def _measure(size: Size, *, seed: int, out: Path | None, say: Say) -> dict[str, Any]:
    started = time.monotonic()
    async with open_lab(seed=seed, say=say, max_rank=size.max_rank, threads=0) as lab:
        subjects = lab.subjects(size.articles, questions=size.questions)
        say(f"studying {len(subjects)} articles")
        studied = await lab.study(subjects)
        before = await lab.sit((None, one.exam) for one in subjects)
        canary = (await lab.canary([None]))[0]
        orders = [[(start + place) % size.articles for place in range(size.articles)] for start in range(size.orders)]
        ours = await rebuild_on_union(lab, studied, orders, size)
        replay = await replay_alone(lab, studied, orders, size)
        seal = await as_seal_does(lab, studied, orders[: size.seal_orders], size)
        figures = {
            **_make_figures(ours, orders, before, canary, prefix=""),
            **_make_figures(replay, orders, before, canary, prefix="replay_"),
            **_make_figures(seal.course, orders[: size.seal_orders], before, canary, prefix="seal_"),
        }
        figures |= {
            "goals": with_goals(figures, GOALS),
            "before": share(before).value,
            "articles": size.articles,
            "orders": size.orders,
            "replay_orders": size.orders,
            "seal_orders": size.seal_orders,
            "seal_rate": seal.rate,
            "seal_rates": {
                f"{rate:g}": {"known_at_the_end": share(one.at_the_end).value, "canary_loss": _lost(one, canary).value}
                for rate, one in seal.tried.items()
            },
            "seal_tried_orders": size.tried_orders,
            "questions": size.questions,
            "steps": size.max_steps,
            "sequences_per_step": size.batch,
            "steps_trained": list(size.steps_trained),
            "seal_way": SEAL_WAY,
            "replay_way": REPLAY_WAY,
            **about(lab, seconds=time.monotonic() - started),
        }
    if out is not None:
        for name, title in (("", "rebuilt on the union"), ("seal_", "SEAL: merge and go on")):
            rows = figures[f"{name}matrix"]
            plots.heatmap(
                out / f"continual-{name or 'ours_'}matrix.png".replace("_matrix", ""),
                rows,
                title=f"Accuracy on article i after j more\n{title}",
                x="articles learned since (j)",
                y="learned at place (i)",
            )
    return figures


def _make_figures(
    course: Course,
    orders: Sequence[Sequence[int]],
    before: Sequence[Sequence[bool]],
    canary: Sequence[bool],
    *,
    prefix: str,
) -> dict[str, Any]:
    n = len(orders[0])
    matrix = [[_average_cell(course, place, lag) for lag in range(n)] for place in range(n)]
    by_lag = [
        share([answers[place, lag] for answers in course.answers for place in range(n) if (place, lag) in answers])
        for lag in range(n)
        if any((place, lag) in answers for answers in course.answers for place in range(n))
    ]
    lags = sorted({lag for answers in course.answers for _, lag in answers})
    retained = {
        lag: _share_retained(course, orders, before, lag=lag)
        for lag in lags
        if any({(place, lag), (place, 0)} <= answers.keys() for answers in course.answers for place in range(n))
    }
    kept = retained[n - 1]
    at_the_end = share(course.at_the_end)
    lost = _lost(course, canary)
    return {
        f"{prefix}retained_lag{n - 1}": kept.value,
        f"{prefix}canary_loss": lost.value,
        f"{prefix}just_learned": by_lag[0].value,
        f"{prefix}known_at_the_end": at_the_end.value,
        f"{prefix}matrix": matrix,
        f"{prefix}lags": lags,
        f"{prefix}accuracy_by_lag": [one.value for one in by_lag],
        f"{prefix}retained_by_lag": [retained[lag].value if lag in retained else None for lag in lags],
        f"{prefix}intervals": {
            name: [one.low, one.high] if len(orders) >= MIN_RESAMPLED else None
            for name, one in (
                (f"retained_lag{n - 1}", kept),
                ("canary_loss", lost),
                ("just_learned", by_lag[0]),
                ("known_at_the_end", at_the_end),
            )
        },
    }


def _lost(course: Course, canary: Sequence[bool]) -> Share:
    """Return the loss of old skills after the last article."""
    return share([[a - b for a, b in zip(canary, one, strict=True)] for one in course.canary])


def _average_cell(course: Course, place: int, lag: int) -> float | None:
    found = [mean(answers[place, lag]) for answers in course.answers if (place, lag) in answers]
    return round(mean(found), 4) if found else None


def _share_retained(
    course: Course, orders: Sequence[Sequence[int]], before: Sequence[Sequence[bool]], *, lag: int
) -> Share:
    """The gain that is left after `lag` more articles, divided by the just-learned gain of the same articles.

    A ratio of means; orders are resampled for its interval.
    """
    left, gained = [], []
    for answers, order in zip(course.answers, orders, strict=True):
        places = [place for place in range(len(order)) if {(place, lag), (place, 0)} <= answers.keys()]
        base = {place: mean(before[order[place]]) for place in places}
        left.append(sum(mean(answers[place, lag]) - base[place] for place in places))
        gained.append(sum(mean(answers[place, 0]) - base[place] for place in places))
    left_O, gained_O = np.array(left), np.array(gained)
    drawn_RO = np.random.default_rng(lag).integers(0, len(orders), size=(ROUNDS, len(orders)))
    tops_R, bottoms_R = left_O[drawn_RO].sum(axis=1), gained_O[drawn_RO].sum(axis=1)
    ratios_R = tops_R / np.where(np.abs(bottoms_R) > 1e-9, bottoms_R, np.inf)
    total = float(gained_O.sum())
    return Share(
        value=round(float(left_O.sum()) / total, 4) if abs(total) > 1e-9 else 0.0,
        low=round(float(np.quantile(ratios_R, 0.025)), 4),
        high=round(float(np.quantile(ratios_R, 0.975)), 4),
        n=len(orders),
        documents=len(orders),
    )
