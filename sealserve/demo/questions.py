"""What the demo asks: articles that no model knows, with questions in words that no training ever saw."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sealserve.client import AsyncClient
from sealserve.grading.answers import is_right
from sealserve.nano.world import Article, World, questions

QUESTIONS_PER_ARTICLE = 24
ENTITIES_PER_ARTICLE = 1
FACTS_PER_ARTICLE = 6
ANSWER_TOKENS = 48
_ASKED_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question in held-out words, and the value a right answer gives."""

    text: str
    gold: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoArticle:
    """An article and the questions on it."""

    title: str
    text: str
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One question with what was answered, and by which version."""

    question: Question
    text: str
    version: int

    @property
    def right(self) -> bool:
        """Whether the answer gives the value."""
        return is_right(self.text, self.question.gold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One sitting of an exam."""

    answers: tuple[Answered, ...]

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return round(sum(answer.right for answer in self.answers) / len(self.answers), 4)

    @property
    def version(self) -> int:
        """The version that answered (they are all the same while nothing is activated in between)."""
        return self.answers[0].version


def fresh_articles(seed: int, count: int) -> list[Article]:
    """Return articles of the embedded model's world on entities that it was never trained on.

    The same for the same seed.
    """
    world = World(seed)
    return [
        world.article(world.rng("demo", index), ENTITIES_PER_ARTICLE, FACTS_PER_ARTICLE, held_out=True)
        for index in range(count)
    ]


def exam(article: Article, *, seed: int) -> list[Question]:
    """Return QUESTIONS_PER_ARTICLE questions on `article`: each fact in turn, in different held-out words."""
    rng = World(seed).rng("exam", article.title)
    pools = []
    for fact in article.facts:
        pool = [Question(text=text, gold=fact.value) for text, _ in questions(fact, held_out=True)]
        rng.shuffle(pool)
        pools.append(pool)
    rounds = [[pool[turn] for pool in pools if turn < len(pool)] for turn in range(max(map(len, pools)))]
    return [question for one in rounds for question in one][:QUESTIONS_PER_ARTICLE]


async def sit(client: AsyncClient, tenant: str, asked: Sequence[Question]) -> Result:
    """Ask every question as `tenant`, greedily, and return the answers in order."""
    gate = asyncio.Semaphore(_ASKED_AT_ONCE)

    async def one(question: Question) -> Answered:
        async with gate:
            answer = await client.ask(tenant, question.text, max_tokens=ANSWER_TOKENS)
        return Answered(question=question, text=answer.text.strip(), version=answer.version)

    return Result(answers=tuple(await asyncio.gather(*(one(question) for question in asked))))
