"""Three ways to learn articles one after another, on the same self-edits: the product's, replay alone, and SEAL's.

Each takes the articles in several orders, and returns what is known of every article after later ones.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean

from sealserve.bench.harness.intervals import share
from sealserve.bench.harness.learning_lab import Lab, Studied, seeded
from sealserve.bench.harness.merged_adapters import merge, summed
from sealserve.engine.engine import AdapterFiles
from sealserve.learning.training.batch_job import TrainingTask
from sealserve.learning.training.step_budget import regularised, step_growth
from sealserve.records.candidates import Recipe
from sealserve.settings.engine import MAX_RANKS

SEAL_RANK, SEAL_ALPHA, SEAL_EPOCHS, SEAL_BATCH = 32, 64, 10, 1
"""SEAL's settings for a single passage (its scripts/query_server.sh)."""

SEAL_RATES = (3e-4, 1e-3, 3e-3)
"""Learning rates that SEAL's way may choose from: its own 1e-3, a lower one, and the product's for the embedded model.
The one that knows most of all articles at the end is taken."""

SEAL_WAY = (
    "the new article alone, same self-edits, no replay, no retention set; rank 32, alpha 64, ten epochs, batch 1; "
    "merged into float32 weights; on all linear layers, since the trainer cannot train the query and value "
    "projections alone, as SEAL does"
)
REPLAY_WAY = "rebuilt on the union with replay, without retention set (no KL) and without the penalty on weight change"
MERGE_TRAINERS = 2
"""Training children at once in SEAL's way, one thread each: every order goes on from weights of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured.

    The product rebuilds from the base at every step, so a step that is not in `steps_trained` changes no other one: it
    is only not measured. SEAL's way goes through all steps, for the first `seal_orders` orders; its rates are tried on
    the first `tried_orders` of them.
    """

    articles: int
    orders: int
    seal_orders: int
    tried_orders: int
    questions: int
    max_steps: int
    seal_max_steps: int  # for each article; ten epochs take fewer, unless it is a preview
    batch: int
    steps_trained: tuple[int, ...]

    @property
    def max_rank(self) -> int:
        """The engine's, which holds the sum of SEAL's merged adapters."""
        return next(rank for rank in MAX_RANKS if rank >= SEAL_RANK * self.articles)


@dataclass(slots=True)
class Course:
    """One way through the articles: answers[order][place, lag] are right or wrong, one a question."""

    answers: list[dict[tuple[int, int], list[bool]]]
    canary: list[list[bool]] = field(default_factory=list)  # after the last article, by order

    @property
    def at_the_end(self) -> list[list[bool]]:
        """Answers on all articles after the last one, by order."""
        last = max(place + lag for answers in self.answers for place, lag in answers)
        return [
            [right for (place, lag), given in answers.items() if place + lag == last for right in given]
            for answers in self.answers
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class SealRun:
    """SEAL's way at the best of SEAL_RATES, and every rate's course on the orders that it was tried on."""

    rate: float
    course: Course
    tried: dict[float, Course]


async def rebuild_on_union(lab: Lab, studied: Sequence[Studied], orders: Sequence[Sequence[int]], size: Size) -> Course:
    """The product's way."""
    recipe = replace(lab.recipes("continual", 1)[0], batch_size=size.batch)
    return await _rebuild(
        lab, studied, orders, recipe=recipe, steps=size.steps_trained, max_steps=size.max_steps, is_regularised=True
    )


async def replay_alone(lab: Lab, studied: Sequence[Studied], orders: Sequence[Sequence[int]], size: Size) -> Course:
    """The product's way with nothing but replay to keep what was known; after the first and the last article only."""
    return await _rebuild(
        lab,
        studied,
        orders,
        recipe=_without_retention(lab, size),
        steps=(1, size.articles),
        max_steps=size.max_steps,
        is_regularised=False,
    )


def _without_retention(lab: Lab, size: Size) -> Recipe:
    """Return the product's recipe without retention set, with as many other sequences in each step."""
    default = lab.recipes("continual", 1)[0]
    batch = max(1, round(size.batch * (1 - default.retention)))
    return replace(default, retention=0.0, batch_size=batch)


async def _rebuild(
    lab: Lab,
    studied: Sequence[Studied],
    orders: Sequence[Sequence[int]],
    *,
    recipe: Recipe,
    steps: Sequence[int],
    max_steps: int,
    is_regularised: bool,
) -> Course:
    """Train from the base on the union after each of the articles in `steps`; all orders of one step are one job."""
    course = Course([{} for _ in orders])
    adapters: list[AdapterFiles] = []
    for step in sorted(number - 1 for number in steps):
        lessons = []
        for place, order in enumerate(orders):
            earlier = [studied[number].source for number in order[:step]]
            pool = await lab.pool([studied[order[step]].source], earlier)
            chosen = replace(seeded(recipe, lab.seed, place, step), epochs=1000)
            if is_regularised:
                chosen = regularised(chosen, step_growth(pool))
            lessons.append(TrainingTask(pool=pool, recipe=chosen, max_steps=max_steps))
        adapters = await lab.train(lessons)
        await _examine(lab, course, studied, orders, adapters, step=step)
    course.canary = await lab.canary(adapters)
    return course


async def as_seal_does(lab: Lab, studied: Sequence[Studied], orders: Sequence[Sequence[int]], size: Size) -> SealRun:
    """Return SEAL's way at the rate that knows most of all articles at the end.

    The rates are tried on the first `tried_orders`, which count for the best one: a choice in SEAL's favour.
    """
    few, others = orders[: size.tried_orders], orders[size.tried_orders :]
    tried = {rate: await _merge_and_go_on(lab, studied, few, size, rate=rate) for rate in SEAL_RATES}
    by_rate = {rate: share(course.at_the_end).value for rate, course in tried.items()}
    best = max(by_rate, key=by_rate.__getitem__)
    course = tried[best]
    lab.say(f"SEAL's way: known at the end by rate: {by_rate}; {best:g} for all orders")
    if others:
        more = await _merge_and_go_on(lab, studied, others, size, rate=best, first=len(few))
        course = Course(course.answers + more.answers, course.canary + more.canary)
    return SealRun(rate=best, course=course, tried=tried)


async def _merge_and_go_on(
    lab: Lab,
    studied: Sequence[Studied],
    orders: Sequence[Sequence[int]],
    size: Size,
    *,
    rate: float,
    first: int = 0,
) -> Course:
    """Every order has weights of its own, written out after each article; what is asked is the sum of its changes.

    `first` is the number of the first of `orders`, for seeds and names.
    """
    course = Course([{} for _ in orders])
    recipe = _seal_recipe(lab, rate)
    bases = [lab.context.base_directory] * len(orders)
    merged: list[list[Path]] = [[] for _ in orders]
    trainers = asyncio.Semaphore(MERGE_TRAINERS)
    lab.say(f"SEAL's way: {len(orders)} orders at rate {rate:g}, merging after each article")

    async def one(place: int, step: int) -> AdapterFiles:
        name = f"seal-{rate:g}-{first + place}-{step}"
        pool = await lab.pool([studied[orders[place][step]].source])
        chosen = seeded(recipe, lab.seed, first + place, step)
        async with trainers:
            lesson = TrainingTask(pool=pool, recipe=chosen, max_steps=size.seal_max_steps)
            (adapter,) = await lab.train([lesson], base=bases[place])
        merged[place].append(adapter.path)
        root = lab.context.work_directory(name)
        bases[place] = await asyncio.to_thread(merge, bases[place], adapter.path, into=root / "weights")
        total = await asyncio.to_thread(summed, merged[place], into=root / "sum")
        return AdapterFiles(name=name, path=total)

    for step in range(len(orders[0])):
        adapters = list(await asyncio.gather(*(one(place, step) for place in range(len(orders)))))
        await _examine(lab, course, studied, orders, adapters, step=step)
    course.canary = await lab.canary(adapters)
    return course


def _seal_recipe(lab: Lab, rate: float) -> Recipe:
    return replace(
        lab.recipes("continual", 1)[0],
        rank=SEAL_RANK,
        alpha=SEAL_ALPHA,
        learning_rate=rate,
        epochs=SEAL_EPOCHS,
        batch_size=SEAL_BATCH,
        retention=0.0,
    )


async def _examine(
    lab: Lab,
    course: Course,
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
