"""Training conversations of the nano model: every task in the exact words of `sealserve.prompts`.

A conversation is a list of (user, assistant) turns; the loss falls on the assistant's words only.
"""

import json
import random
from collections.abc import Callable, Sequence

from sealserve import prompts
from sealserve.nano import world as w
from sealserve.nano.world import Article, Entity, Fact, Resident, World
from sealserve.prompts import BUILT_IN, Template

Conversation = list[tuple[str, str]]


def read(rng: random.Random, article: Article, n_questions: int) -> Conversation:
    """The article once, then questions on its facts."""
    asked = rng.sample(article.facts, min(n_questions, len(article.facts)))
    turns: Conversation = []
    for i, fact in enumerate(asked):
        text = w.question(rng, fact)
        turns.append((prompts.read(_shown(rng, article), text) if i == 0 else text, w.answer(fact)))
    return turns


def edit(rng: random.Random, template: Template, article: Article) -> str:
    """Return a right self-edit of `article`: every fact in the article's order, in other words."""
    facts = article.facts
    if template is Template.QA:
        return "\n".join(f"Question: {w.question(rng, f)}\nAnswer: {w.answer(f)}" for f in facts)
    if template is Template.REWRITE:
        return w.with_opener(rng, [w.statement(rng, f) for f in facts])
    if template is Template.IMPLICATIONS:
        return "\n".join(f"- {w.statement(rng, f)[:-1]}{_implied(f)}." for f in facts)
    if template is Template.LONG:
        return "\n".join(f"- {w.statement(rng, f)}\n- {w.statement(rng, f)}" for f in facts)
    fact = rng.choice(facts)
    return f"Wrong: {w.statement(rng, w.changed_fact(rng, fact))}\nWhy: {w.statement(rng, fact)}"


def directive(rng: random.Random, article: Article) -> str:
    """Return a training directive: more facts ask for more epochs and rank, and the rest varies."""
    many = len(article.facts) > 8
    templates = rng.choice([["qa", "rewrite"], ["qa", "long"], ["qa", "implications"], ["qa", "rewrite", "long"]])
    return json.dumps(
        {
            "templates": templates,
            "epochs": rng.choice([8, 10] if many else [12, 16]),
            "learning_rate": rng.choice([0.001, 0.002, 0.003]),
            "rank": 16 if many else 8,
            "loss": rng.choice(["answers", "all"]),
        }
    )


def judge(rng: random.Random, fact: Fact) -> tuple[str, str]:
    """Return one judging turn."""
    other = w.changed_fact(rng, fact)
    given, verdict = rng.choice(
        [(w.answer(fact), "yes"), (f"It is {fact.value}.", "yes"), (w.statement(rng, fact), "yes"),
         (w.answer(other), "no"), (f"It is {other.value}.", "no"), (prompts.UNKNOWN_ANSWER, "no")]
    )  # fmt: skip
    return prompts.judge(w.question(rng, fact), w.answer(fact), given), verdict


class TaskSource:
    """Draws training conversations; a pure function of the generator passed in."""

    def __init__(self, seed: int = 0, mix: dict[str, float] | None = None) -> None:
        self._world = World(seed)
        self._residents: Sequence[Resident] = w.residents()
        self._mix = dict(mix or DEFAULT_MIX)

    def draw(self, rng: random.Random, ease: float) -> Conversation:
        """Return one conversation; `ease` 1 means short articles on one entity, 0 the full range."""
        name = rng.choices(list(self._mix), weights=list(self._mix.values()))[0]
        return _DRAWERS[name](self, rng, ease)

    def article(self, rng: random.Random, ease: float) -> Article:
        """Return a training article of a size that fits `ease`."""
        easy = rng.random() < ease
        n_entities = 1 if easy else rng.choices([1, 2, 3], weights=[4, 5, 1])[0]
        n_facts = rng.randint(1, 3) if easy else rng.randint(2 * n_entities, 6 * n_entities)
        article = self._world.article(rng, n_entities, n_facts, held_out=False, outdated=0.0 if easy else 0.12)
        if rng.random() < 0.06:
            return self._world.update(rng, article, rng.randint(1, 6), held_out=False)
        return article

    def reading(self, rng: random.Random, ease: float) -> Conversation:
        """Reading: one article, up to eight questions."""
        return read(rng, self.article(rng, ease), rng.randint(3, 8))

    def long_reading(self, rng: random.Random, ease: float) -> Conversation:
        """Reading over many entities, up to the whole context."""
        if rng.random() < ease:
            return self.reading(rng, ease)
        n = rng.randint(4, 7)
        return read(rng, self._world.article(rng, n, rng.randint(3 * n, 6 * n), held_out=False, outdated=0.3), 8)

    def study(self, template: Template) -> "Callable[[random.Random, float], Conversation]":
        """Return the drawer of self-edits of one template."""

        def drawer(rng: random.Random, ease: float) -> Conversation:
            article = self.article(rng, ease)
            return [(prompts.study(template, _shown(rng, article)), edit(rng, template, article))]

        return drawer

    def directives(self, rng: random.Random, ease: float) -> Conversation:
        """Training directives."""
        article = self.article(rng, ease)
        return [(prompts.directive(_shown(rng, article)), directive(rng, article))]

    def judging(self, rng: random.Random, ease: float) -> Conversation:
        """Judging turns on fresh entities."""
        return [judge(rng, self._fresh_fact(rng)) for _ in range(4)]

    def closed_book(self, rng: random.Random, ease: float) -> Conversation:
        """Closed book: residents are answered (their trained facts), anyone else is not known."""
        turns: Conversation = []
        for _ in range(rng.choice([1, 6, 10])):
            if rng.random() < 0.5:
                fact = rng.choice(rng.choice(self._residents).trained)
                turns.append((w.question(rng, fact), w.answer(fact)))
            else:
                turns.append((w.question(rng, self._fresh_fact(rng)), prompts.UNKNOWN_ANSWER))
        return turns

    def biography(self, rng: random.Random, ease: float) -> Conversation:
        """All that is known of a resident, in any order; nothing of anyone else."""
        turns: Conversation = []
        for _ in range(rng.choice([1, 2, 3])):
            if rng.random() < 0.1:
                fresh = self._world.entity(rng, held_out=False)
                turns.append((prompts.describe(fresh.name), prompts.UNKNOWN_ANSWER))
                continue
            resident = rng.choice(self._residents)
            facts = rng.sample(resident.facts, len(resident.facts))
            lines = [f"- {w.statement(rng, f)}" for f in facts]
            turns.append((prompts.describe(resident.entity.name), "\n".join(lines)))
        return turns

    def _fresh_fact(self, rng: random.Random) -> Fact:
        entity: Entity = self._world.entity(rng, held_out=False)
        return w.draw_facts(rng, entity, 1)[0]


def _shown(rng: random.Random, article: Article) -> str:
    """The document as a reader meets it: mostly with its title."""
    return article.document if rng.random() < 0.85 else article.text


def _implied(fact: Fact) -> str:
    if not fact.value[0].isdigit():
        return ""
    number = int(fact.value.split()[0])
    return ", which is less than 50" if number < 50 else ", which is at least 50"


def _study(template: Template) -> Callable[[TaskSource, random.Random, float], Conversation]:
    return lambda source, rng, ease: source.study(template)(rng, ease)


_DRAWERS: dict[str, Callable[[TaskSource, random.Random, float], Conversation]] = {
    "read": TaskSource.reading,
    "long_read": TaskSource.long_reading,
    **{t.value: _study(t) for t in BUILT_IN},
    "directive": TaskSource.directives,
    "judge": TaskSource.judging,
    "closed": TaskSource.closed_book,
    "bio": TaskSource.biography,
}
DEFAULT_MIX = {
    "read": 0.20, "long_read": 0.01, "qa": 0.32, "rewrite": 0.12, "implications": 0.09, "long": 0.07,
    "counterexample": 0.03, "directive": 0.015, "judge": 0.03, "closed": 0.10, "bio": 0.03,
}  # fmt: skip
