"""The override figure: articles correct facts that the embedded model knows by heart. Are they answered anew?

Whole cycles, each for a tenant of its own. An article corrects one attribute of each of several residents, whose other
facts must stay. The arm `plain` runs the same cycles without overrides: all is rehearsed, and nothing is excused.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sealserve.bench.harness.intervals import MIN_RESAMPLED, share, with_goals
from sealserve.bench.harness.learning_lab import Lab, Question, Say, about, open_lab
from sealserve.engine.engine import AdapterFiles
from sealserve.gate.statistics import compare
from sealserve.gate.verdict import judge
from sealserve.nano import world as w
from sealserve.nano.world import Fact
from sealserve.records.cycles import Cycle, CycleState, Step
from sealserve.records.documents import NewDocument
from sealserve.records.scores import Decision, Measured, Scorecard
from sealserve.records.step_outputs import Confirmed, Filtered, Overridden, from_json

GOALS = {
    "override": (">=", 0.95),
    "override_weak": (">=", 0.95),
    "override_middle": (">=", 0.95),
    "override_strong": (">=", 0.95),
    "refused_for_correction": ("<=", 0.0),
    "other_residents_lost": ("<=", 0.01),
    "siblings_lost": ("<=", 0.01),
}
THIRDS = ("weak", "middle", "strong")
"""Of all facts that the base knows, by the log-probability of its answer."""

WORDINGS = 3
"""Held-out questions on each corrected fact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    cycles: int
    articles: int  # of a cycle
    residents: int  # of an article; one attribute of each is corrected
    max_steps: int
    candidates: int


QUICK = Size(cycles=1, articles=2, residents=3, max_steps=60, candidates=1)
FULL = Size(cycles=3, articles=4, residents=4, max_steps=140, candidates=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A resident's fact, what an article says instead, and how sure the base is of the old answer."""

    old: Fact
    new: Fact
    prior: float  # mean log p(old answer) in nats
    third: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One cycle: its corrections, what it came to, and the answers of its winner, right (1) or wrong (0)."""

    corrections: tuple[Correction, ...]
    state: CycleState
    reason: str
    is_refused_for_correction: bool
    found: float  # of the canary's corrected items, the share that is excused
    wrongly_excused: int
    new: list[list[float]]  # by correction
    old: list[list[float]]
    siblings_lost: list[list[float]]  # by resident
    others_lost: list[list[float]]

    @property
    def answered(self) -> list[list[float]]:
        """Return what the tenant is answered: by the winner once it is promoted, else by the base."""
        return self.new if self.state is CycleState.PROMOTED else [[0.0] * len(one) for one in self.new]


def run(*, quick: bool = False, seed: int = 0, say: Say = print) -> dict[str, Any]:
    """Return the figures of both arms. Raises: EngineFailed, TrainingFailed."""
    return asyncio.run(_measure(QUICK if quick else FULL, seed=seed, say=say))


async def _measure(size: Size, *, seed: int, say: Say) -> dict[str, Any]:
    started = time.monotonic()
    training: dict[str, Any] = {"training__max_steps": size.max_steps, "training__candidates": size.candidates}
    async with open_lab(seed=seed, say=say, **training) as lab:
        batches = await _draw(lab, size)
        ours = [
            await _play(lab, f"override{place}", batch, residents=size.residents) for place, batch in enumerate(batches)
        ]
        plain_lab = _without_overrides(lab)
        plain = [
            await _play(plain_lab, f"plain{place}", batch, residents=size.residents)
            for place, batch in enumerate(batches)
        ]
        figures = {**_figures(ours, prefix=""), **_figures(plain, prefix="plain_")}
        return {
            **figures,
            "goals": with_goals(figures, GOALS),
            "corrections": sum(map(len, batches)),
            "priors": {third: _mean_prior(batches, third) for third in THIRDS},
            **asdict(size),
            **about(lab, seconds=time.monotonic() - started),
        }


def _without_overrides(lab: Lab) -> Lab:
    """Return a lab on the same engine whose cycles rehearse and measure every old answer."""
    settings = lab.context.settings
    study = settings.learn.study.model_copy(update={"overrides": False})
    learn = settings.learn.model_copy(update={"study": study})
    context = replace(lab.context, settings=settings.model_copy(update={"learn": learn}))
    return Lab(context, seed=lab.seed, say=lab.say)


async def _draw(lab: Lab, size: Size) -> list[list[Correction]]:
    """Return the corrections of each cycle: of each third as many, and of each resident one at most."""
    rng = random.Random(f"override:{lab.seed}")
    facts = [fact for resident in w.residents() for fact in resident.facts]
    priors = await asyncio.gather(*(_prior(lab, fact) for fact in facts))
    ranked = sorted(zip(facts, priors, strict=True), key=lambda pair: pair[1])
    third = len(ranked) // len(THIRDS)
    pools = [ranked[start : start + third] for start in range(0, third * len(THIRDS), third)]
    for pool in pools:
        rng.shuffle(pool)
    wanted, taken = size.cycles * size.articles * size.residents, set[str]()
    drawn: list[Correction] = []
    while len(drawn) < wanted:
        pool, name = pools[len(drawn) % len(THIRDS)], THIRDS[len(drawn) % len(THIRDS)]
        fact, prior = next(pair for pair in pool if pair[0].entity not in taken)
        taken.add(fact.entity)
        drawn.append(Correction(old=fact, new=w.changed_fact(rng, fact), prior=prior, third=name))
    rng.shuffle(drawn)
    each = size.articles * size.residents
    return [drawn[start : start + each] for start in range(0, wanted, each)]


async def _prior(lab: Lab, fact: Fact) -> float:
    asked = [question for question, _ in w.questions(fact)[:WORDINGS]]
    found = await asyncio.gather(*(lab.client.log_likelihood(question, w.answer(fact)) for question in asked))
    return sum(found) / len(found)


async def _play(lab: Lab, tenant: str, corrections: Sequence[Correction], *, residents: int) -> Played:
    """Hand in the articles, on so many residents each, run their cycle, and ask its winner."""
    registry = lab.context.registry
    await asyncio.to_thread(registry.tenants.create, tenant, actor="bench")
    cycle = await lab.run_cycle(tenant, _articles(corrections, residents=residents, seed=lab.seed))
    lab.say(f"{tenant}: {cycle.state.value}: {cycle.reason}")
    outputs = {record.step: record.output for record in await asyncio.to_thread(registry.cycles.steps, cycle.cycle)}
    overridden = from_json(Filtered, outputs[Step.FILTER]).overridden if Step.FILTER in outputs else ()
    winner = await _winner(lab, cycle)
    corrected = {question for one in corrections for question, _ in w.questions(one.old)}
    is_refused = False
    if cycle.state is not CycleState.PROMOTED and Step.CONFIRM in outputs and winner is not None:
        card = from_json(Confirmed, outputs[Step.CONFIRM]).scorecard
        is_refused = await _is_promoted_without(lab, card, winner, corrected)
    named = {one.old.entity for one in corrections}
    facts = [fact for resident in w.residents() for fact in resident.facts]
    changed = [one.old for one in corrections]
    siblings = [fact for fact in facts if fact.entity in named and fact not in changed]
    others = [fact for fact in facts if fact.entity not in named]
    found, wrongly = _count_excused(lab, overridden, corrected)
    return Played(
        corrections=tuple(corrections),
        state=cycle.state,
        reason=cycle.reason,
        is_refused_for_correction=is_refused,
        found=found,
        wrongly_excused=wrongly,
        new=await _sit(lab, winner, [[one.new] for one in corrections], wordings=WORDINGS),
        old=await _sit(lab, winner, [[one.old] for one in corrections], wordings=WORDINGS),
        siblings_lost=await _lost(lab, winner, siblings),
        others_lost=await _lost(lab, winner, others),
    )


def _articles(corrections: Sequence[Correction], *, residents: int, seed: int) -> list[NewDocument]:
    """Return articles that state the new values, and nothing else."""
    rng = random.Random(f"articles:{seed}:{corrections[0].new}")
    found = []
    for start in range(0, len(corrections), residents):
        facts = [one.new for one in corrections[start : start + residents]]
        names = [fact.entity for fact in facts]
        text = w.with_opener(rng, [w.statement(rng, fact, held_out=True) for fact in facts])
        title = f"Update about {', '.join(names)}"
        found.append(NewDocument(title=title, text=text, source=f"bench:{title}", media_type="text/plain"))
    return found


async def _winner(lab: Lab, cycle: Cycle) -> AdapterFiles | None:
    """Return the winner's files, whatever the verdict; None if nothing was trained."""
    registry = lab.context.registry
    candidates = await asyncio.to_thread(registry.cycles.candidates, cycle.cycle)
    report = await asyncio.to_thread(registry.cycles.steps, cycle.cycle)
    ranked = next((record.output for record in report if record.step is Step.RANK), None)
    chosen = next((one for one in candidates if ranked and one.index == ranked["winner"]), None)
    if chosen is None:
        return None
    path = await asyncio.to_thread(registry.artifacts.directory, chosen.artifact)
    return AdapterFiles(name=f"winner-{cycle.cycle}", path=path)


async def _is_promoted_without(lab: Lab, card: Scorecard, winner: AdapterFiles, corrected: set[str]) -> bool:
    """Return whether the gate would promote the winner if the corrected facts were not among the old skills."""
    mine, theirs = await lab.canary([winner, None])
    kept = [place for place, probe in enumerate(lab.probes.canary) if probe.question not in corrected]
    score = compare(
        [mine[place] for place in kept], [theirs[place] for place in kept], confidence=lab.context.policy.confidence
    )
    left_out = len(mine) - len(kept)
    clean = replace(card, canary=replace(score, excused_before=left_out))
    return isinstance(card.canary, Measured) and judge(clean, lab.context.policy).decision is Decision.PROMOTE


def _count_excused(lab: Lab, overridden: Sequence[Overridden], corrected: set[str]) -> tuple[float, int]:
    """Return the share of the canary's corrected items that is excused, and how many others are."""
    excused = {one.question for one in overridden if one.items}
    wanted = {probe.question for probe in lab.probes.canary if probe.question in corrected}
    return len(wanted & excused) / max(1, len(wanted)), len(excused - wanted)


async def _sit(
    lab: Lab, files: AdapterFiles | None, groups: Sequence[Sequence[Fact]], *, wordings: int
) -> list[list[float]]:
    exams = [
        [Question(text=text, gold=fact.value) for fact in facts for text, _ in w.questions(fact)[:wordings]]
        for facts in groups
    ]
    return [[float(answer) for answer in answers] for answers in await lab.sit_together(files, exams)]


async def _lost(lab: Lab, files: AdapterFiles | None, facts: Sequence[Fact]) -> list[list[float]]:
    """Return, by resident, what the base answers rightly and the winner does not (1), or the other way round (-1)."""
    groups: dict[str, list[Fact]] = {}
    for fact in facts:
        groups.setdefault(fact.entity, []).append(fact)
    before = await _sit(lab, None, list(groups.values()), wordings=1)
    after = await _sit(lab, files, list(groups.values()), wordings=1)
    return [[one - other for one, other in zip(*pair, strict=True)] for pair in zip(before, after, strict=True)]


def _figures(played: Sequence[Played], *, prefix: str) -> dict[str, Any]:
    shares = {
        "override": [answers for one in played for answers in one.answered],
        "learned": [answers for one in played for answers in one.new],
        "old_answers": [answers for one in played for answers in one.old],
        "siblings_lost": [lost for one in played for lost in one.siblings_lost],
        "other_residents_lost": [lost for one in played for lost in one.others_lost],
    }
    for third in THIRDS:
        shares[f"override_{third}"] = [
            answers
            for one in played
            for correction, answers in zip(one.corrections, one.answered, strict=True)
            if correction.third == third
        ]
    found = {name: share(answers) for name, answers in shares.items() if answers}
    return {
        **{f"{prefix}{name}": one.value for name, one in found.items()},
        f"{prefix}refused_for_correction": sum(one.is_refused_for_correction for one in played) / len(played),
        f"{prefix}promoted": sum(one.state is CycleState.PROMOTED for one in played),
        f"{prefix}found": round(sum(one.found for one in played) / len(played), 4),
        f"{prefix}wrongly_excused": sum(one.wrongly_excused for one in played),
        f"{prefix}verdicts": [{"state": one.state.value, "reason": one.reason} for one in played],
        f"{prefix}intervals": {
            name: [one.low, one.high] for name, one in found.items() if one.documents >= MIN_RESAMPLED
        },
    }


def _mean_prior(batches: Sequence[Sequence[Correction]], third: str) -> float:
    found = [one.prior for batch in batches for one in batch if one.third == third]
    return round(sum(found) / max(1, len(found)), 4)
