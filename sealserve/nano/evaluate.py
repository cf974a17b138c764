"""Measures a nano model on entities and templates never trained on: `python -m sealserve.nano.evaluate --json`.

Every figure is a fraction with its number of trials and a Wilson score interval (Wilson 1927; 95 %).
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from sealserve import prompts
from sealserve.nano import injection
from sealserve.nano import world as w
from sealserve.nano.claims import check
from sealserve.nano.generation import Speaker
from sealserve.nano.injection import Recipe
from sealserve.nano.model import weights_dir
from sealserve.nano.world import Article, Fact, World
from sealserve.prompts import Template

EDIT_TEMPLATES = (Template.QA, Template.REWRITE, Template.LONG, Template.IMPLICATIONS)


@dataclass(frozen=True, slots=True)
class Fraction:
    """So many of so many."""

    hits: int
    trials: int

    @property
    def value(self) -> float:
        """The fraction; 0 of 0 is 0."""
        return self.hits / self.trials if self.trials else 0.0

    def interval(self) -> tuple[float, float]:
        """Return the 95 % Wilson score interval."""
        if not self.trials:
            return 0.0, 1.0
        z, n, p = 1.959964, self.trials, self.value
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return max(0.0, centre - half), min(1.0, centre + half)

    def __add__(self, other: "Fraction") -> "Fraction":
        return Fraction(self.hits + other.hits, self.trials + other.trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class NanoReport:
    """What the nano model can do; see `CARD.md` for the goals."""

    reading: Fraction  # open book, fresh entities, held-out questions; articles on one entity
    reading_two: Fraction  # the same, articles on two entities
    unknown_right: Fraction  # closed book, fresh entities: right by luck
    unknown_said: Fraction  # closed book, fresh entities: "I don't know"
    resident: Fraction  # closed book, resident facts that training never asked
    faithful: Fraction  # claims of self-edits that the article states; articles on one entity
    coverage: Fraction  # the article's facts that one self-edit states
    faithful_two: Fraction  # the same, articles on two entities
    coverage_two: Fraction
    injected: Fraction  # closed book after LoRA on the model's own self-edits
    injected_raw: Fraction  # the same after LoRA on the article's text alone
    resident_before: Fraction  # resident facts before and after that LoRA (self-edits)
    resident_after: Fraction
    injected_unknown_said: Fraction  # "I don't know" on other fresh entities after that LoRA

    @property
    def resident_loss(self) -> float:
        """How much of the resident facts one injected article costs."""
        return self.resident_before.value - self.resident_after.value

    def as_json(self) -> dict[str, object]:
        """Return fractions by name, and trials and intervals beside them."""
        fractions = {name: getattr(self, name) for name in self.__dataclass_fields__}
        shown = {name: round(f.value, 4) for name, f in fractions.items()}
        return {
            **shown,
            "resident_loss": round(self.resident_loss, 4),
            "trials": {name: f.trials for name, f in fractions.items()},
            "intervals": {name: [round(x, 4) for x in f.interval()] for name, f in fractions.items()},
        }


def evaluate(
    model_dir: Path,
    *,
    seed: int = 0,
    articles: int = 40,
    edited: int = 12,
    injections: int = 4,
    recipe: Recipe | None = None,
    threads: int | None = None,
) -> NanoReport:
    """Measure the model in `model_dir` (its weights are not changed).

    `articles` are read, `edited` of other ones studied with every template, `injections` of others written in.
    `threads` sets this process's CPU threads for good.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    speaker = Speaker.load(model_dir)
    world = World(seed)
    chosen = recipe or Recipe()
    unknown_right, unknown_said = _unknown(speaker, world, 300)
    one, two = (_articles(world, ("edit", n), edited, n) for n in (1, 2))
    faithful, coverage = self_edit_quality(speaker, one, chosen.temperature, seed)
    faithful_two, coverage_two = self_edit_quality(speaker, two, chosen.temperature, seed)
    kept = injection.rehearsal(speaker, seed)
    before = _resident(speaker, world)
    injected = injected_raw = after = still_unknown = Fraction(0, 0)
    for i, article in enumerate(_articles(world, "inject", injections, 1)):
        edits = injection.self_edits(speaker, article, chosen, seed + i)
        told = injection.examples(article, edits)
        changed = injection.inject(speaker, told, kept, chosen, seed + i)
        injected += closed_book(changed, article)
        after += _resident(changed, world)
        still_unknown += _unknown(changed, world, 100)[1]
        injection.remove(changed)
        raw = injection.inject(speaker, injection.examples(article, []), kept, chosen, seed + i)
        injected_raw += closed_book(raw, article)
        injection.remove(raw)
    return NanoReport(
        reading=_reading(speaker, world, articles, 1), reading_two=_reading(speaker, world, articles, 2),
        unknown_right=unknown_right, unknown_said=unknown_said, resident=before, faithful=faithful,
        coverage=coverage, faithful_two=faithful_two, coverage_two=coverage_two,
        injected=injected, injected_raw=injected_raw,
        resident_before=before, resident_after=after, injected_unknown_said=still_unknown,
    )  # fmt: skip


def self_edit_quality(
    speaker: Speaker, articles: Sequence[Article], temperature: float, seed: int
) -> tuple[Fraction, Fraction]:
    """Return (faithful claims, facts covered) over one sampled edit of every template for each article."""
    jobs = [(a, t) for a in articles for t in EDIT_TEMPLATES]
    turns = [prompts.study(t, a.document) for a, t in jobs]
    texts = speaker.say(turns, temperature=temperature, seed=seed, max_tokens=640)
    faithful = coverage = Fraction(0, 0)
    for (article, _), text in zip(jobs, texts, strict=True):
        found = check(text, article.facts)
        faithful += Fraction(found.faithful, found.claims)
        coverage += Fraction(found.covered, found.facts)
    return faithful, coverage


def closed_book(speaker: Speaker, article: Article, each: int = 3) -> Fraction:
    """Ask every fact of `article` without it, in `each` held-out wordings."""
    asked = [(q, f) for f in article.facts for q, _ in _some(w.questions(f), each, f)]
    return _right(speaker, asked)


def _reading(speaker: Speaker, world: World, n: int, entities: int) -> Fraction:
    rng = world.rng("reading", entities)
    asked = []
    for _ in range(n):
        article = world.article(rng, entities, rng.randint(3, 6) * entities, outdated=0.2)
        for fact in rng.sample(article.facts, 3 * entities):
            asked.append((prompts.read(article.document, w.question(rng, fact, held_out=True)), fact))
    return _right(speaker, asked)


def _unknown(speaker: Speaker, world: World, n: int) -> tuple[Fraction, Fraction]:
    rng = world.rng("unknown")
    facts = [w.draw_facts(rng, world.entity(rng), 1)[0] for _ in range(n)]
    replies = speaker.say([w.question(rng, f, held_out=True) for f in facts])
    right = sum(w.is_right(r, f) for r, f in zip(replies, facts, strict=True))
    said = sum(r == prompts.UNKNOWN_ANSWER for r in replies)
    return Fraction(right, n), Fraction(said, n)


def _resident(speaker: Speaker, world: World) -> Fraction:
    rng = world.rng("resident")
    asked = [(w.question(rng, f, held_out=True), f) for r in w.residents() for f in r.held_out]
    return _right(speaker, asked)


def _right(speaker: Speaker, asked: Sequence[tuple[str, Fact]]) -> Fraction:
    replies = speaker.say([question for question, _ in asked])
    return Fraction(sum(w.is_right(r, f) for r, (_, f) in zip(replies, asked, strict=True)), len(asked))


def _articles(world: World, purpose: object, n: int, entities: int) -> list[Article]:
    rng = world.rng(purpose)
    return [world.article(rng, entities, 6 if entities == 1 else 4 * entities) for _ in range(n)]


def _some(pairs: list[tuple[str, str]], n: int, fact: Fact) -> list[tuple[str, str]]:
    rng = World().rng(fact)
    return rng.sample(pairs, min(n, len(pairs)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=weights_dir())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--injections", type=int, default=4, help="articles written into adapters")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=Recipe().steps, help="LoRA steps")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = replace(Recipe(), steps=arguments.steps)
    report = evaluate(arguments.model, seed=arguments.seed, injections=arguments.injections, recipe=recipe)
    shown = report.as_json()
    if arguments.json:
        print(json.dumps(shown))
        return
    for name, value in shown.items():
        if isinstance(value, float):
            print(f"{name:24} {value:.3f}")


if __name__ == "__main__":
    main()
