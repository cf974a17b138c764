"""Studies a passage sentence by sentence: questions that each sentence answers, and what the model reads there.

For base models other than the embedded one. A small task that any instruct model can do takes the place of a large one:
one question a call, after worked examples. The answer is read from the sentence, never invented with the question.
"""

import asyncio
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sealserve import prompts
from sealserve.concurrency import together
from sealserve.grading.answers import is_right, is_unknown, normalised
from sealserve.learning.engine_client import EngineClient, seed_of
from sealserve.learning.sentences import whole_sentences
from sealserve.learning.study.generators import Editor, EngineEditor
from sealserve.learning.study.grounding import answer_span, has_number, roots, ungrounded
from sealserve.learning.study.passages import with_title
from sealserve.learning.study.quiz import Readings, drop_known
from sealserve.learning.study.self_edit_text import Pair
from sealserve.learning.study.self_edits import TOP_P, Study
from sealserve.prompts import Template
from sealserve.records.cycles import SelfEdit
from sealserve.records.inference import Sampling
from sealserve.records.step_outputs import Proposal
from sealserve.settings.learn import LearnSettings, StudySettings
from sealserve.writing_systems import count_words, language_of

QUESTION_TOKENS = 48
READING_TOKENS = 40
QUESTIONS_WANTED, MAX_QUESTIONS_PER_SENTENCE = 48, 6
"""Questions sampled for a quiz: a short document gives too few at the usual number a sentence, since readings of a
small model agree on less than half of them."""

ITEMS_WANTED = 96
"""Quiz items of a cycle: half of them select, and half confirm."""

LEAST_BLANKS, MOST_BLANKS, WORDS_PER_BLANK = 2, 4, 6
WORDS_BEFORE, WORDS_AFTER = 6, 3
"""Blanks taken from one sentence, by its length, and the words of it that are shown around each."""

_EDGES = ".,;:!?()[]\"'“”‘’«»"

QUIZ_TEMPERATURE, READING_TEMPERATURE = 0.8, 0.5
MIN_SENTENCE_WORDS, MAX_SENTENCE_WORDS = 4, 80
"""Shorter sentences state nothing by themselves; longer ones are tables and lists without stops, cut into parts."""

MAX_SPAN_WORDS = 8
"""Longest answer that a closed-book answer can be expected to contain word for word."""

_QUESTION = re.compile(r"[^\n?？؟]{4,300}[?？؟]")
_LABEL = re.compile(r"^(?:\W*(?:question|q)\s*(?:\d+\s*)?[:.]\W*|\W+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence of a passage, and the one before it, which says what its pronouns mean."""

    text: str
    before: str = ""

    @property
    def shown(self) -> str:
        """The sentence after the one before it."""
        return f"{self.before} {self.text}".strip()


def studied_sentences(study: Study) -> list[Sentence]:
    """Return the sentences of the passage that can state something; long ones in parts."""
    text = study.text.removeprefix(f"{study.passage.title}\n")
    parts = [part for whole in whole_sentences(text) for part in _cut(whole)]
    return [
        Sentence(text=part, before=parts[place - 1] if place else "")
        for place, part in enumerate(parts)
        if count_words(part) >= MIN_SENTENCE_WORDS
    ]


async def ask_about(editor: Editor, study: Study, sentence: Sentence, *, temperature: float, seed: int) -> str:
    """Return one question that the sentence answers; "" if the editor wrote none that can be asked."""
    sampling = Sampling(max_tokens=QUESTION_TOKENS, temperature=temperature, top_p=TOP_P, seed=seed, stop=("\n",))
    examples = [(prompts.question_about(shown), question) for shown, question in prompts.QUESTION_EXAMPLES]
    prompt = prompts.question_about(sentence.text, language=_foreign_language(study.text))
    reply = await editor.ask(prompt, sampling=sampling, examples=examples)
    return usable_question(reply.text, sentence, title=study.passage.title, passage=study.text)


def usable_question(text: str, sentence: Sentence, *, title: str, passage: str) -> str:
    """Return the first question in `text`; "" if it names nothing of the sentence, or a number or name of its own.

    A question that names nothing of the title is asked after it, so that it can be asked with the book closed.
    """
    found = _QUESTION.search(_LABEL.sub("", text.strip()))
    question = found[0].strip() if found else ""
    if (
        not question
        or not roots(question) & roots(sentence.text)
        or ungrounded(question, f"{title}\n{passage}", is_inflected=True)
    ):
        return ""
    if roots(question) & roots(title):
        return question
    return f"{title}: {question}" if _foreign_language(passage) else f"About {title}: {question}"


def _foreign_language(text: str) -> str:
    """Return the language of `text`; "" if it is English, as the prompts are, or cannot be told."""
    language = language_of(text)
    return "" if language == "English" else language


async def read_span(
    client: EngineClient, study: Study, sentence: Sentence, question: str, *, samples: int, key: object
) -> str:
    """Return the words of the sentence that answer the question; "" unless every sampled reading gives the same.

    Only the sentence and the one before it are at hand: a small model reads a short text far better than a long one.
    """
    prompt = prompts.read(with_title(study.passage.title, sentence.shown), question, dialect=client.dialect)
    seeds = [seed_of(key, "read", question, sample) for sample in range(samples)]
    readings = await asyncio.gather(
        *(
            client.ask(
                prompt,
                sampling=Sampling(
                    max_tokens=READING_TOKENS, temperature=READING_TEMPERATURE if sample else 0.0, seed=seed
                ),
            )
            for sample, seed in enumerate(seeds)
        )
    )
    first = readings[0].text.split("\n")[0]
    if is_unknown(first):
        return ""
    span = answer_span(first, question=question, document=sentence.text)
    if not span or count_words(span) > MAX_SPAN_WORDS or not all(is_right(one.text, span) for one in readings):
        return ""
    return span


def quoting(question: str, sentence: Sentence) -> Pair:
    """Return the question with the sentence itself for an answer: right whatever part of it was asked for."""
    return Pair(question=question, answer=_said(sentence))


def _said(sentence: Sentence) -> str:
    """Return the right answer as a model says it that has learned the sentence; its likelihood ranks candidates."""
    return " ".join(sentence.text.split())


def _cut(sentence: str) -> list[str]:
    words = sentence.split()
    if count_words(sentence) <= MAX_SENTENCE_WORDS:
        return [sentence.strip()]
    if len(words) < MAX_SENTENCE_WORDS // 2:  # of a script without spaces
        return [sentence[at : at + MAX_SENTENCE_WORDS] for at in range(0, len(sentence), MAX_SENTENCE_WORDS)]
    return [" ".join(words[at : at + MAX_SENTENCE_WORDS // 2]) for at in range(0, len(words), MAX_SENTENCE_WORDS // 2)]


async def write_pairs(
    editor: Editor, studies: Sequence[Study], *, settings: StudySettings, tenant: str, cycle: str
) -> tuple[SelfEdit, ...]:
    """Return question-answer self-edits on every sentence, `questions_per_sentence` sampled; none admitted yet.

    The answer is the sentence itself: a small model's own reading is too often wrong to be trained on.
    """

    async def ask(place: int, study: Study, number: int, sentence: Sentence, sample: int) -> SelfEdit | None:
        seed = seed_of(cycle, "question", place, number, sample)
        question = await ask_about(editor, study, sentence, temperature=settings.edit_temperature, seed=seed)
        if not question:
            return None
        return SelfEdit(
            tenant=tenant,
            cycle=cycle,
            self_edit=f"p{place:03d}-{Template.QA.value}-{sample}-{number:02d}",
            document=study.passage.document,
            template=Template.QA,
            text=quoting(question, sentence).text,
            seed=seed,
            admitted=False,
            reason="",
        )

    found = await together(
        ask(place, study, number, sentence, sample)
        for place, study in enumerate(studies)
        for number, sentence in enumerate(studied_sentences(study))
        for sample in range(settings.questions_per_sentence)
    )
    return tuple(edit for edit in found if edit is not None)


async def propose(
    client: EngineClient,
    studies: Sequence[Study],
    *,
    settings: LearnSettings,
    cycle: str,
    readings: Readings | None = None,
) -> tuple[Proposal, ...]:
    """Return the quiz: questions on every sentence whose answer the base reads there and does not know otherwise.

    At most `learn.quiz.max_items` a document; questions are the base's own, whoever writes the self-edits. A base that
    reads too badly for ITEMS_WANTED of them is asked to fill in blanks as well, whose answers are right by themselves.
    Adds to `readings` how often the base was asked and agreed with itself.
    """
    counted = readings if readings is not None else Readings()
    asked_of = [
        (place, study, *one) for place, study in enumerate(studies) for one in enumerate(studied_sentences(study))
    ]
    enough = math.ceil(QUESTIONS_WANTED / max(1, len(asked_of)))
    samples = max(settings.quiz.questions_per_sentence, min(enough, MAX_QUESTIONS_PER_SENTENCE))
    asked = await together(
        _propose_one(
            client,
            study,
            sentence,
            samples=settings.quiz.samples,
            key=(cycle, "quiz", place, number, sample),
            readings=counted,
        )
        for place, study, number, sentence in asked_of
        for sample in range(samples)
    )
    found = [proposal for proposal in asked if proposal is not None]
    if len(found) < ITEMS_WANTED:
        blanks = [blank for _, study, _, sentence in asked_of for blank in blanks_of(study, sentence)]
        blanks.sort(key=lambda blank: seed_of(cycle, blank.question))
        found += await drop_known(client, blanks[: ITEMS_WANTED - len(found)], counted, max_tokens=READING_TOKENS)
    kept: dict[tuple[str, str], Proposal] = {}
    room = dict.fromkeys((study.passage.document for study in studies), settings.quiz.max_items)
    for proposal in found:
        key = (proposal.document, normalised(proposal.question))
        if key not in kept and room[proposal.document] > 0:
            kept[key] = proposal
            room[proposal.document] -= 1
    return tuple(kept.values())


def blanks_of(study: Study, sentence: Sentence) -> list[Proposal]:
    """Return up to MOST_BLANKS questions for a word of the sentence: its last numbers, names or other words.

    Only the words around the blank are shown: who sees all of the sentence has little left to remember. What the title
    says is never left out.
    """
    words = sentence.text.split()
    title = roots(study.passage.title)
    places = [place for place in range(1, len(words)) if roots(words[place]) and not roots(words[place]) & title]
    kinds: tuple[Callable[[str], bool], ...] = (has_number, lambda word: word[:1].isupper(), lambda word: len(word) > 3)
    ranked = [place for is_kind in kinds for place in reversed(places) if is_kind(words[place])]
    found: dict[str, Proposal] = {}
    for place in ranked:
        gold = words[place].strip(_EDGES)
        shown = [
            *words[max(0, place - WORDS_BEFORE) : place],
            words[place].replace(gold, prompts.BLANK, 1),
            *words[place + 1 : place + 1 + WORDS_AFTER],
        ]
        question = prompts.fill_in(study.passage.title, " ".join(shown))
        proposal = Proposal(
            document=study.passage.document, question=question, answer=gold, reference_text=_said(sentence)
        )
        found.setdefault(normalised(gold), proposal)
    wanted = min(MOST_BLANKS, max(LEAST_BLANKS, len(words) // WORDS_PER_BLANK))
    return list(found.values())[:wanted]


async def _propose_one(
    client: EngineClient,
    study: Study,
    sentence: Sentence,
    *,
    samples: int,
    key: tuple[object, ...],
    readings: Readings,
) -> Proposal | None:
    question = await ask_about(
        EngineEditor(client, adapter=None), study, sentence, temperature=QUIZ_TEMPERATURE, seed=seed_of(*key)
    )
    span = question and await read_span(client, study, sentence, question, samples=samples, key=key)
    readings.asked += 1
    if not span:
        return None
    readings.agreed += 1
    proposal = Proposal(document=study.passage.document, question=question, answer=span, reference_text=_said(sentence))
    return next(iter(await drop_known(client, [proposal], readings, max_tokens=READING_TOKENS)), None)
