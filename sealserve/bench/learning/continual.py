"""The continual figure: eight articles learned one after another, and what is left of each after every further one.

Two ways, on the same self-edits: the product's (each step rebuilds from the base on the union, with replay and
retention) and SEAL's (train on the new article alone, merge the adapter into the weights, go on from there; arXiv
2506.10943, section 5 and figure 6). Over eight orders every article stands once at every place; SEAL's way runs the
first two.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from sealserve.bench.harness import plots
from sealserve.bench.harness.intervals import MIN_RESAMPLED, ROUNDS, Share, share, with_goals
from sealserve.bench.harness.learning_lab import Lab, Say, Studied, about, open_lab, seeded
from sealserve.bench.harness.merged_adapters import merge, summed
from sealserve.engine.engine import AdapterFiles
from sealserve.learning.training.batch_job import TrainingTask
from sealserve.learning.training.step_budget import regularised, step_growth

GOALS = {"retained_lag7": (">=", 0.90), "canary_loss": ("<=", 0.01)}
MERGE_TRAINERS = 2
"""Training children at once in SEAL's way, one thread each: every order goes on from weights of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured.

    The product rebuilds from the base at every step, so a step that is not in `steps_trained` changes no other one: it
    is only not measured. SEAL's way goes through all steps, for the first `seal_orders` orders.
    """

    articles: int
    orders: int
    seal_orders: int
    questions: int
    max_steps: int
    batch: int
    steps_trained: tuple[int, ...]


QUICK = Size(articles=3, orders=2, seal_orders=1, questions=12, max_steps=12, batch=8, steps_trained=(1, 2, 3))
FULL = Size(articles=8, orders=8, seal_orders=2, questions=20, max_steps=140, batch=12, steps_trained=(1, 2, 4, 8))


@dataclass(slots=True)
class _Course:
    """One way through the articles: answers[order][place, lag] are right or wrong, one a question."""

    answers: list[dict[tuple[int, int], list[bool]]]
    canary: list[list[bool]] = field(default_factory=list)  # after the last article, by order


def run(*, quick: bool = False, out: Path | None = None, seed: int = 0, say: Say = print) -> dict[str, Any]:
    """Return the figures; heat maps go under `out`. Raises: EngineFailed, TrainingFailed, BadConfig (no matplotlib)."""
    plots.require_plots(out)
    return asyncio.run(_measure(QUICK if quick else FULL, seed=seed, out=out, say=say))


async def _measure(size: Size, *, seed: int, out: Path | None, say: Say) -> dict[str, Any]:
    started = time.monotonic()
    async with open_lab(seed=seed, say=say, max_rank=64, threads=0) as lab:
        subjects = lab.subjects(size.articles, questions=size.questions)
        say(f"studying {len(subjects)} articles")
        studied = await lab.study(subjects)
        before = await lab.sit((None, one.exam) for one in subjects)
        canary = (await lab.canary([None]))[0]
        orders = [[(start + place) % size.articles for place in range(size.articles)] for start in range(size.orders)]
        ours = await _rebuild_on_union(lab, studied, orders, size)
        seal = await _merge_and_go_on(lab, studied, orders[: size.seal_orders], size)
        figures = {
            **_make_figures(ours, orders, before, canary, prefix=""),
            **_make_figures(seal, orders[: size.seal_orders], before, canary, prefix="seal_"),
        }
        figures |= {
            "goals": with_goals(figures, GOALS),
            "before": share(before).value,
            "articles": size.articles,
            "orders": size.orders,
            "seal_orders": size.seal_orders,
            "questions": size.questions,
            "steps": size.max_steps,
            "sequences_per_step": size.batch,
            "steps_trained": list(size.steps_trained),
            "seal_way": "the new article alone, same self-edits, no replay, no rehearsal; merged into float32 weights",
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


async def _rebuild_on_union(
    lab: Lab, studied: Sequence[Studied], orders: Sequence[Sequence[int]], size: Size
) -> _Course:
    """All orders' attempts of one step are one training job."""
    course = _Course([{} for _ in orders])
    recipe = replace(lab.recipes("continual", 1)[0], batch_size=size.batch)
    adapters: list[AdapterFiles] = []
    for step in sorted(number - 1 for number in size.steps_trained):
        lessons = []
        for place, order in enumerate(orders):
            earlier = [studied[number].source for number in order[:step]]
            pool = await lab.pool([studied[order[step]].source], earlier)
            chosen = regularised(replace(seeded(recipe, lab.seed, place, step), epochs=1000), step_growth(pool))
            lessons.append(TrainingTask(pool=pool, recipe=chosen, max_steps=size.max_steps))
        adapters = await lab.train(lessons)
        await _examine(lab, course, studied, orders, adapters, step=step)
    course.canary = await lab.canary(adapters)
    return course


async def _merge_and_go_on(
    lab: Lab, studied: Sequence[Studied], orders: Sequence[Sequence[int]], size: Size
) -> _Course:
    """Every order has weights of its own, written out after each article; what is asked is the sum of its changes."""
    course = _Course([{} for _ in orders])
    default = lab.recipes("continual", 1)[0]
    batch = max(1, round(size.batch * (1 - default.retention)))
    recipe = replace(default, retention=0.0, batch_size=batch, epochs=1000)
    bases = [lab.context.base_directory] * len(orders)
    merged: list[list[Path]] = [[] for _ in orders]
    trainers = asyncio.Semaphore(MERGE_TRAINERS)
    lab.say(f"SEAL's way: {len(orders)} orders, merging after each article")

    async def one(place: int, step: int) -> AdapterFiles:
        pool = await lab.pool([studied[orders[place][step]].source])
        lesson = TrainingTask(pool=pool, recipe=seeded(recipe, lab.seed, place, step), max_steps=size.max_steps)
        async with trainers:
            (adapter,) = await lab.train([lesson], base=bases[place])
        merged[place].append(adapter.path)
        root = lab.context.work_directory(f"seal-{place}-{step}")
        bases[place] = await asyncio.to_thread(merge, bases[place], adapter.path, into=root / "weights")
        total = await asyncio.to_thread(summed, merged[place], into=root / "sum")
        return AdapterFiles(name=f"seal-{place}-{step}", path=total)

    for step in range(len(orders[0])):
        adapters = list(await asyncio.gather(*(one(place, step) for place in range(len(orders)))))
        await _examine(lab, course, studied, orders, adapters, step=step)
    course.canary = await lab.canary(adapters)
    return course


async def _examine(
    lab: Lab,
    course: _Course,
    studied: Sequence[Studied],
    orders: Sequence[Sequence[int]],
    adapters: Sequence[AdapterFiles],
    *,
    step: int,
) -> None:
    """Ask every order's adapter about each article that it has seen so far."""
    asked = [
        [question for number in order[: step + 1] for question in studied[number].subject.exam] for order in orders
    ]
    given = await lab.sit(zip(adapters, asked, strict=True))
    for place, (order, answers) in enumerate(zip(orders, given, strict=True)):
        start = 0
        for learned, number in enumerate(order[: step + 1]):
            n = len(studied[number].subject.exam)
            course.answers[place][learned, step - learned] = answers[start : start + n]
            start += n
    newest = mean(mean(answers[step, 0]) for answers in course.answers)
    first = mean(mean(answers[0, step]) for answers in course.answers)
    lab.say(f"after article {step + 1}: it is known {newest:.3f}, the first one {first:.3f}")


def _make_figures(
    course: _Course,
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
    lost = share([[a - b for a, b in zip(canary, one, strict=True)] for one in course.canary])
    return {
        f"{prefix}retained_lag{n - 1}": kept.value,
        f"{prefix}canary_loss": lost.value,
        f"{prefix}just_learned": by_lag[0].value,
        f"{prefix}matrix": matrix,
        f"{prefix}lags": lags,
        f"{prefix}accuracy_by_lag": [one.value for one in by_lag],
        f"{prefix}retained_by_lag": [retained[lag].value if lag in retained else None for lag in lags],
        f"{prefix}intervals": {
            name: [one.low, one.high] if len(orders) >= MIN_RESAMPLED else None
            for name, one in ((f"retained_lag{n - 1}", kept), ("canary_loss", lost), ("just_learned", by_lag[0]))
        },
    }


def _average_cell(course: _Course, place: int, lag: int) -> float | None:
    found = [mean(answers[place, lag]) for answers in course.answers if (place, lag) in answers]
    return round(mean(found), 4) if found else None


def _share_retained(
    course: _Course, orders: Sequence[Sequence[int]], before: Sequence[Sequence[bool]], *, lag: int
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
