"""The quiz: questions on the new documents, with answers that the model agrees on while it reads them.

A question is kept when every open-book sample gives the same answer, that answer stands in the document, and the base
does not give it with the book closed (self-consistency, arXiv 2203.11171; here as a filter, never as a reward).
"""

import asyncio
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from sealserve import prompts
from sealserve.concurrency import together
from sealserve.grading.answers import is_right, normalised
from sealserve.learning.engine_client import EngineClient, seed_of
from sealserve.learning.sentences import whole_sentences
from sealserve.learning.study.grounding import answer_span, is_about, ungrounded
from sealserve.learning.study.passages import with_title
from sealserve.learning.study.self_edit_text import Pair, parse_pairs
from sealserve.learning.study.self_edits import Study, sample_self_edits
from sealserve.prompts import Template
from sealserve.records.cycles import Split
from sealserve.records.inference import Sampling
from sealserve.records.step_outputs import Proposal
from sealserve.settings.learn import LearnSettings

ANSWER_TOKENS = 48


@dataclass(slots=True, kw_only=True)
class Readings:
    """How the base read: questions asked with the passage at hand, and those whose samples agreed.

    `known` are proposals that are left out because the base answers them with the book closed.
    """

    asked: int = 0
    agreed: int = 0
    known: list[Proposal] = field(default_factory=list)


AGREEMENT_TEMPERATURE = 0.5
"""High enough for a guess to vary, low enough for a reading to stay the same."""

AGAIN_SHARE, REWORDINGS = 0.25, 2
"""The second round of questions on a passage: on its uncovered sentences alone, and on REWORDINGS of the whole, with
AGAIN_SHARE of the samples each. Embedded model, 80 articles: 13 of 480 facts have no question after the first round;
the sentences alone give questions on 5 of them, rewordings on 10, both together on 12 (counted by hand; no command
repeats it)."""


async def propose(
    client: EngineClient,
    studies: Sequence[Study],
    *,
    settings: LearnSettings,
    cycle: str,
    readings: Readings | None = None,
) -> tuple[Proposal, ...]:
    """Return the quiz of every passage, at most `learn.quiz.max_items` a document, no question twice.

    Adds to `readings` how often the base was asked and agreed with itself.
    """
    counted = readings if readings is not None else Readings()
    found = await asyncio.gather(
        *(
            _propose_for_passage(client, study, place=place, settings=settings, cycle=cycle, readings=counted)
            for place, study in enumerate(studies)
        )
    )
    kept: dict[tuple[str, str], Proposal] = {}
    room = dict.fromkeys((study.passage.document for study in studies), settings.quiz.max_items)
    for proposal in sorted((p for proposals in found for p in proposals), key=_order_of):
        key = (proposal.document, normalised(proposal.question))
        if key not in kept and room[proposal.document] > 0:
            kept[key] = proposal
            room[proposal.document] -= 1
    return tuple(kept.values())


async def read_answer(
    client: EngineClient,
    study: Study,
    question: str,
    *,
    temperature: float = 0.0,
    seed: int = 0,
    may_abstain: bool = False,
) -> str:
    """Return the model's open-book answer to `question`; `may_abstain` where the passage need not answer it."""
    sampling = Sampling(max_tokens=ANSWER_TOKENS, temperature=temperature, seed=seed)
    return (
        await client.ask(
            prompts.read(study.text, question, dialect=client.dialect, may_abstain=may_abstain), sampling=sampling
        )
    ).text


def split_of(question: str) -> Split:
    """Return which half a question belongs to: by its words alone, and therefore the same in every re-run."""
    return Split.SELECT if order_of(question) & 1 else Split.CONFIRM


def is_for_quiz(question: str) -> bool:
    """Return whether a question that both quiz and training want goes to the quiz: by a hash of its words."""
    return bool(order_of(question) & 2)


async def drop_known(
    client: EngineClient, proposals: Sequence[Proposal], readings: Readings, *, max_tokens: int = ANSWER_TOKENS
) -> list[Proposal]:
    """Return the proposals that the base cannot answer closed-book: what it knows already does not measure learning."""
    unknown = await unknown_to(client, proposals, adapter=None, max_tokens=max_tokens)
    readings.known += [one for one in proposals if one not in unknown]
    return unknown


async def unknown_to(
    client: EngineClient, proposals: Sequence[Proposal], *, adapter: str | None, max_tokens: int = ANSWER_TOKENS
) -> list[Proposal]:
    """Return the proposals that `adapter` (None: the base) cannot answer closed-book."""
    sampling = Sampling(max_tokens=max_tokens)
    replies = await together(client.ask(one.question, sampling=sampling, adapter=adapter) for one in proposals)
    return [one for one, reply in zip(proposals, replies, strict=True) if not is_right(reply.text, one.answer)]


async def _propose_for_passage(
    client: EngineClient, study: Study, *, place: int, settings: LearnSettings, cycle: str, readings: Readings
) -> list[Proposal]:
    """Return questions on the passage, and then on those of its sentences that no question covers yet.

    Facts without a question would not lower the score if they were not learned, and so inflate the measured accuracy.
    """
    propose_from = partial(_propose_from, client, study, settings=settings, readings=readings)
    found = await propose_from(shown=study, samples=settings.quiz.edits, key=(cycle, "quiz", place))
    title = study.passage.title
    left = [one for one in whole_sentences(study.text.removeprefix(f"{title}\n")) if not _is_answer_of_any(one, found)]
    if left:
        alone = replace(study, text=with_title(title, " ".join(left)))
        again = [alone, *await _reword(client, study, settings=settings, key=(cycle, "reworded", place))]
        fewer = math.ceil(settings.quiz.edits * AGAIN_SHARE)
        more = await asyncio.gather(
            *(
                propose_from(shown=shown, samples=fewer, key=(cycle, "quiz-again", place, way))
                for way, shown in enumerate(again)
            )
        )
        found += [one for part in more for one in part if any(_is_answer_of_any(sentence, [one]) for sentence in left)]
    return await drop_known(client, found, readings)


async def _reword(
    client: EngineClient, study: Study, *, settings: LearnSettings, key: tuple[object, ...]
) -> tuple[Study, ...]:
    """Return REWORDINGS rewordings of the passage by the model: a fact overlooked in one form is seen in another."""
    seeds = [seed_of(*key, sample) for sample in range(REWORDINGS)]
    written = await asyncio.gather(
        *(sample_self_edits(client, study, Template.REWRITE, settings=settings.study, seed=seed) for seed in seeds)
    )
    return tuple(
        replace(study, text=with_title(study.passage.title, self_edit))
        for self_edits in written
        for self_edit in self_edits
    )


def _is_answer_of_any(sentence: str, proposals: Sequence[Proposal]) -> bool:
    return any(is_right(sentence, proposal.answer) for proposal in proposals)


async def _propose_from(
    client: EngineClient,
    study: Study,
    *,
    shown: Study,
    samples: int,
    settings: LearnSettings,
    key: tuple[object, ...],
    readings: Readings,
) -> list[Proposal]:
    """Return questions written from `shown`, a part of the passage, whose answers the whole passage confirms."""
    seeds = [seed_of(*key, sample) for sample in range(samples)]
    sampled = await asyncio.gather(
        *(sample_self_edits(client, shown, Template.QA, settings=settings.study, seed=seed) for seed in seeds)
    )
    pairs = {normalised(pair.question): pair for texts in sampled for text in texts for pair in parse_pairs(text)}
    asked = sorted((p for p in pairs.values() if is_about(p.question, study.text)), key=lambda p: order_of(p.question))
    chosen = asked[: 2 * settings.quiz.max_items]
    agreed = await asyncio.gather(
        *(_propose_if_agreed(client, study, pair, samples=settings.quiz.samples, cycle=str(key[0])) for pair in chosen)
    )
    found = [proposal for proposal in agreed if proposal is not None]
    readings.asked += len(chosen)
    readings.agreed += len(found)
    return found


async def _propose_if_agreed(
    client: EngineClient, study: Study, pair: Pair, *, samples: int, cycle: str
) -> Proposal | None:
    span = answer_span(pair.answer, question=pair.question, document=study.text)
    if not span or ungrounded(pair.text, study.text):
        return None
    seeds = [seed_of(cycle, "read", pair.question, sample) for sample in range(samples)]
    answers = await asyncio.gather(
        *(
            read_answer(client, study, pair.question, temperature=AGREEMENT_TEMPERATURE if sample else 0.0, seed=seed)
            for sample, seed in enumerate(seeds)
        )
    )
    if not all(is_right(answer, span) for answer in answers):
        return None
    return Proposal(
        document=study.passage.document, question=pair.question, answer=span, reference_text=answers[0].strip()
    )


def _order_of(proposal: Proposal) -> tuple[str, int]:
    return proposal.document, order_of(proposal.question)


def order_of(question: str) -> int:
    """Return a number that the words of a question alone decide, of 32 bits: an order without preference."""
    return int.from_bytes(hashlib.sha256(normalised(question).encode()).digest()[:4])
