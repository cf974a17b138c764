"""The quiz: questions on the new documents, with answers that the model agrees on while it reads them.

A question is kept when every open-book sample gives the same answer, that answer stands in the document, and the base
does not give it with the book closed (self-consistency, arXiv 2203.11171; here as a filter, never as a reward).
`filter.py` keeps quiz and training apart.
"""

import asyncio
import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace

from sealserve import prompts
from sealserve.grading.answers import is_right, normalised
from sealserve.learning.engine_client import EngineClient, seed_of
from sealserve.learning.study.grounding import answer_span, is_about, sentences_of, ungrounded
from sealserve.learning.study.notes import Pair, parse_pairs
from sealserve.learning.study.passages import with_title
from sealserve.learning.study.self_edits import Study, sample_notes
from sealserve.prompts import Template
from sealserve.records.cycles import Split
from sealserve.records.inference import Sampling
from sealserve.records.step_outputs import Proposal
from sealserve.settings.learn import LearnSettings

ANSWER_TOKENS = 48
AGREEMENT_TEMPERATURE = 0.5
"""Warm enough that a guess wavers, cool enough that a reading does not."""

AGAIN_SHARE, REWORDINGS = 0.25, 2
"""How a passage is asked about again: what nothing asked about alone, and so many rewordings of the whole, with this
share of the samples each. Embedded model, 80 articles: of 480 facts nothing asks about 13; alone 5 of them are asked
about, in rewordings 10, in either 12 (looked at by hand; no command repeats it)."""


async def propose(
    client: EngineClient, studies: Sequence[Study], *, settings: LearnSettings, cycle: str
) -> tuple[Proposal, ...]:
    """Return the quiz of every passage, at most `max_quiz_items` a document, no question twice."""
    found = await asyncio.gather(
        *(
            _of_passage(client, study, place=place, settings=settings, cycle=cycle)
            for place, study in enumerate(studies)
        )
    )
    kept: dict[tuple[str, str], Proposal] = {}
    room = dict.fromkeys((study.passage.document for study in studies), settings.max_quiz_items)
    for proposal in sorted((p for proposals in found for p in proposals), key=_draw):
        key = (proposal.document, normalised(proposal.question))
        if key not in kept and room[proposal.document] > 0:
            kept[key] = proposal
            room[proposal.document] -= 1
    return tuple(kept.values())


async def read_answer(
    client: EngineClient, study: Study, question: str, *, temperature: float = 0.0, seed: int = 0
) -> str:
    """Return the model's answer to `question` with the passage at hand."""
    sampling = Sampling(max_tokens=ANSWER_TOKENS, temperature=temperature, seed=seed)
    return (await client.ask(prompts.read(study.text, question), sampling=sampling)).text


def split_of(question: str) -> Split:
    """Return which half a question belongs to: by its words alone, so that no re-run moves it."""
    return Split.SELECT if _digest(question) & 1 else Split.CONFIRM


def is_for_quiz(question: str) -> bool:
    """Return whether a question that both quiz and training want goes to the quiz: a coin thrown by its words."""
    return bool(_digest(question) & 2)


async def _of_passage(
    client: EngineClient, study: Study, *, place: int, settings: LearnSettings, cycle: str
) -> list[Proposal]:
    """What is asked about the passage, and then about those of its sentences that nothing asked about.

    What nothing asks about nobody would miss if it was not learned, so that the confirmed share would be too high.
    """
    found = await _asked_of(client, study, shown=study, settings=settings, key=(cycle, "quiz", place))
    title = study.passage.title
    left = [one for one in sentences_of(study.text.removeprefix(f"{title}\n")) if not _give(one, found)]
    if left:
        alone = replace(study, text=with_title(title, " ".join(left)))
        again = [alone, *await _reworded(client, study, settings=settings, key=(cycle, "reworded", place))]
        fewer = settings.model_copy(update={"quiz_edits": math.ceil(settings.quiz_edits * AGAIN_SHARE)})
        more = await asyncio.gather(
            *(
                _asked_of(client, study, shown=shown, settings=fewer, key=(cycle, "quiz-again", place, way))
                for way, shown in enumerate(again)
            )
        )
        found += [one for part in more for one in part if any(_give(sentence, [one]) for sentence in left)]
    return await _unknown(client, found)


async def _unknown(client: EngineClient, proposals: Sequence[Proposal]) -> list[Proposal]:
    """What the base does not answer with the book closed: what it knows shows nothing of what is learned."""
    sampling = Sampling(max_tokens=ANSWER_TOKENS)
    replies = await asyncio.gather(*(client.ask(one.question, sampling=sampling) for one in proposals))
    return [one for one, reply in zip(proposals, replies, strict=True) if not is_right(reply.text, one.answer)]


async def _reworded(
    client: EngineClient, study: Study, *, settings: LearnSettings, key: tuple[object, ...]
) -> tuple[Study, ...]:
    """The passage in the model's own words, REWORDINGS times: what it overlooks in one form it sees in another."""
    seeds = [seed_of(*key, sample) for sample in range(REWORDINGS)]
    written = await asyncio.gather(
        *(sample_notes(client, study, Template.REWRITE, settings=settings, seed=seed) for seed in seeds)
    )
    return tuple(replace(study, text=with_title(study.passage.title, note)) for notes in written for note in notes)


def _give(sentence: str, proposals: Sequence[Proposal]) -> bool:
    return any(is_right(sentence, proposal.answer) for proposal in proposals)


async def _asked_of(
    client: EngineClient, study: Study, *, shown: Study, settings: LearnSettings, key: tuple[object, ...]
) -> list[Proposal]:
    """What is asked by who was `shown` some of the passage, as far as reading all of it answers so."""
    seeds = [seed_of(*key, sample) for sample in range(settings.quiz_edits)]
    samples = await asyncio.gather(
        *(sample_notes(client, shown, Template.QA, settings=settings, seed=seed) for seed in seeds)
    )
    pairs = {normalised(pair.question): pair for notes in samples for note in notes for pair in parse_pairs(note)}
    asked = sorted((p for p in pairs.values() if is_about(p.question, study.text)), key=lambda p: _digest(p.question))
    chosen = asked[: 2 * settings.max_quiz_items]
    agreed = await asyncio.gather(
        *(_agreed(client, study, pair, samples=settings.quiz_samples, cycle=str(key[0])) for pair in chosen)
    )
    return [proposal for proposal in agreed if proposal is not None]


async def _agreed(client: EngineClient, study: Study, pair: Pair, *, samples: int, cycle: str) -> Proposal | None:
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
    return Proposal(document=study.passage.document, question=pair.question, answer=span, spoken=answers[0].strip())


def _draw(proposal: Proposal) -> tuple[str, int]:
    return proposal.document, _digest(proposal.question)


def _digest(question: str) -> int:
    return int.from_bytes(hashlib.sha256(normalised(question).encode()).digest()[:4])
