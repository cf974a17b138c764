"""Measures whether a base model can learn at all: it writes questions on the shipped passages and answers theirs.

The model does what a cycle asks of it, with a cycle's own prompts, and nothing is trained.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from sealserve import prompts
from sealserve.base_models.fitness import Fitness, Minutes, SamplePassage, sample_passages
from sealserve.canaries.probes import Probes
from sealserve.concurrency import together
from sealserve.errors import CouldNotMeasure
from sealserve.grading.answers import is_right, is_unknown
from sealserve.learning.engine_client import EngineClient, Reply, seed_of
from sealserve.learning.steps.successive_halving import SHORT_SHARE
from sealserve.learning.study.generators import EngineEditor
from sealserve.learning.study.grounding import answer_span
from sealserve.learning.study.self_edits import Study
from sealserve.learning.study.sentence_questions import (
    MAX_QUESTIONS_PER_SENTENCE,
    QUESTIONS_WANTED,
    READING_TEMPERATURE,
    READING_TOKENS,
    ask_about,
    studied_sentences,
)
from sealserve.prompts import BUILT_IN, Dialect
from sealserve.records.inference import Sampling
from sealserve.records.step_outputs import Passage
from sealserve.settings.learn import LearnSettings

ARTICLE_TOKENS = 400
"""Length of the article that a duration is given for: about 300 English words."""

FORWARDS_PER_TRAINED_TOKEN = 3
"""A token costs some 2 operations per weight to read or write and 6 to train: forward, backward through the
activations, and the forward again where activations are not kept (Kaplan et al., arXiv 2001.08361, section 2.1, for
the counts). SmolLM2-135M on two CPU cores: 47 tokens a second by the rule while others used the cores, 90 measured
while they were idle."""

SEQUENCE_TOKENS = 48
"""Mean length of a training sequence of one question or sentence, chat template included."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageResult:
    """What the model did on one passage; a boolean per sentence, question or reading."""

    written: tuple[bool, ...]
    open_book: tuple[bool, ...]
    agreement: tuple[bool, ...]
    abstains: bool


@dataclass(slots=True)
class _Recorder:
    """An editor that notes what the base model read and wrote."""

    client: EngineClient
    read: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    @property
    def dialect(self) -> Dialect:
        """As `Editor.dialect`."""
        return self.client.dialect

    async def ask(self, prompt: str, *, sampling: Sampling, examples: Sequence[tuple[str, str]] = ()) -> Reply:
        """As `Editor.ask`."""
        editor = EngineEditor(self.client, adapter=None)
        reply = await editor.ask(prompt, sampling=sampling, examples=examples)
        self.read.append("\n".join([text for example in examples for text in example] + [prompt]))
        self.written.append(reply.text)
        return reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What the check took. Tokens per call and per second are generated ones; of training they follow by the rule."""

    tokens_per_call: float
    tokens_per_second: float
    training_tokens_per_second: float


async def check_model(
    client: EngineClient, *, model: str, machine: str, settings: LearnSettings, probes: Probes, say: Say
) -> Fitness:
    """Return what the base model did on the shipped passages. `say` gets a line per passage.

    Raises: as `EngineClient.ask`; CouldNotMeasure (it said nothing at all).
    """
    passages = sample_passages()
    editor, started = _Recorder(client), time.monotonic()
    results: list[PassageResult] = []

    async def check(place: int, passage: SamplePassage) -> None:
        result = await _check_passage(editor, passage, place=place)
        results.append(result)
        say(
            f"{len(results)} of {len(passages)}: {passage.title}: questions on {sum(result.written)} of "
            f"{len(result.written)} sentences, {sum(result.open_book)} of {len(result.open_book)} answers right"
        )

    await together(check(place, passage) for place, passage in enumerate(passages))
    speed = await _speed(editor, seconds=max(time.monotonic() - started, 1e-6))
    if not speed.tokens_per_second:
        raise CouldNotMeasure(f"{model} answers nothing")
    lengths = await together(_count(client, passage.text) for passage in passages)
    density = sum(len(result.written) for result in results) / sum(lengths)
    return Fitness(
        model=model,
        digest=await client.base_digest(),
        date=date.today().isoformat(),
        machine=machine,
        sentences=sum(len(result.written) for result in results),
        questions=sum(len(result.open_book) for result in results),
        questions_written=_share(one for result in results for one in result.written),
        open_book=_share(one for result in results for one in result.open_book),
        agreement=_share(one for result in results for one in result.agreement),
        abstention=_share(result.abstains for result in results),
        tokens_per_second=round(speed.tokens_per_second, 1),
        training_tokens_per_second=round(speed.training_tokens_per_second, 1),
        minutes_per_article=minutes_per_article(settings, speed, sentences=density * ARTICLE_TOKENS, probes=probes),
    )


def study_of_sample(passage: SamplePassage) -> Study:
    """Return the passage as a document of one piece, called by its title."""
    whole = Passage(document=passage.title, title=passage.title, start=0, end=len(passage.text))
    return Study(passage=whole, text=f"{passage.title}\n{passage.text}")


def minutes_per_article(settings: LearnSettings, speed: Speed, *, sentences: float, probes: Probes) -> Minutes:
    """Return the expected duration of a cycle on one article of `sentences` sentences.

    Writing: calls x tokens per call / tokens per second. A sentence costs `questions_per_sentence` questions, each
    read once by the filter, and quiz questions (see `sentence_questions.propose`), each read `quiz.samples` times and
    once with the book closed; a template costs `edit_max_tokens` a sample. Training: runs x steps x batch size x
    SEQUENCE_TOKENS / training tokens per second, where a candidate that is no finalist runs for SHORT_SHARE of the
    steps, as finalists do before. Confirming: every probe and quiz question for the winner and for the incumbent.
    """
    study, quiz, training = settings.study, settings.quiz, settings.training
    enough = min(math.ceil(QUESTIONS_WANTED / max(1.0, sentences)), MAX_QUESTIONS_PER_SENTENCE)
    quizzed = max(quiz.questions_per_sentence, enough)
    calls = sentences * (2 * study.questions_per_sentence + quizzed * (2 + quiz.samples))
    written = calls * speed.tokens_per_call + (len(BUILT_IN) - 1) * study.edits_per_template * study.edit_max_tokens
    examples = sentences * (study.questions_per_sentence + 2)
    wanted = math.ceil(training.epochs * examples / (1 - training.retention) / training.batch_size)
    is_halved = training.candidates > training.finalists
    runs = training.finalists + SHORT_SHARE * training.candidates if is_halved else training.candidates
    trained = runs * min(training.max_steps, wanted) * training.batch_size * SEQUENCE_TOKENS
    asked = len(probes.canary) + len(probes.unknown) + sum(map(len, probes.suites.values())) + quiz.max_items
    return Minutes(
        writing=round(written / speed.tokens_per_second / 60, 1),
        training=round(trained / speed.training_tokens_per_second / 60, 1),
        confirming=round(2 * asked * speed.tokens_per_call / speed.tokens_per_second / 60, 1),
    )


async def _check_passage(editor: _Recorder, passage: SamplePassage, *, place: int) -> PassageResult:
    study = study_of_sample(passage)
    asking = together(
        ask_about(editor, study, sentence, temperature=0.0, seed=seed_of("check", place, number))
        for number, sentence in enumerate(studied_sentences(study))
    )
    reading = together(_read(editor, study, one.question, one.answer) for one in passage.questions)
    declining = _abstains(editor, study, passage.unanswered)
    questions, readings, declined = await asyncio.gather(asking, reading, declining)
    return PassageResult(
        written=tuple(bool(question) for question in questions),
        open_book=tuple(is_correct for is_correct, _ in readings),
        agreement=tuple(is_repeated for _, is_repeated in readings),
        abstains=declined,
    )


async def _read(editor: _Recorder, study: Study, question: str, answer: str) -> tuple[bool, bool]:
    """Return whether the greedy reading is right, and whether a sampled one gives the same words of the passage."""
    prompt = prompts.read(study.text, question, dialect=editor.dialect)
    seed = seed_of("check", question)
    greedy = Sampling(max_tokens=READING_TOKENS)
    sampled = Sampling(max_tokens=READING_TOKENS, temperature=READING_TEMPERATURE, seed=seed)
    first, second = await together((editor.ask(prompt, sampling=greedy), editor.ask(prompt, sampling=sampled)))
    span = answer_span(first.text, question=question, document=study.text)
    return is_right(first.text, answer), bool(span) and is_right(second.text, span)


async def _abstains(editor: _Recorder, study: Study, question: str) -> bool:
    prompt = prompts.read(study.text, question, dialect=editor.dialect, may_abstain=True)
    text = (await editor.ask(prompt, sampling=Sampling(max_tokens=READING_TOKENS))).text
    return is_unknown(text)


async def _speed(editor: _Recorder, *, seconds: float) -> Speed:
    written = sum(await together(_count(editor.client, text) for text in editor.written))
    read = sum(await together(_count(editor.client, text) for text in editor.read))
    return Speed(
        tokens_per_call=written / len(editor.written),
        tokens_per_second=written / seconds,
        training_tokens_per_second=(read + written) / seconds / FORWARDS_PER_TRAINED_TOKEN,
    )


async def _count(client: EngineClient, text: str) -> int:
    """Return the tokens of `text` alone: the chat template's own, measured on one word, are taken off."""
    if not text.strip():
        return 0
    return max(1, await client.count_tokens(text) - await client.count_tokens("a") + 1)


def _share(marks: Iterable[bool]) -> float:
    found = tuple(marks)
    return round(sum(found) / len(found), 4) if found else 0.0


def with_training_speed(fitness: Fitness, tokens_per_second: float) -> Fitness:
    """Return the result with the measured training speed and the duration that follows from it."""
    minutes = fitness.minutes_per_article
    ratio = fitness.training_tokens_per_second / tokens_per_second
    return replace(
        fitness,
        training_tokens_per_second=round(tokens_per_second, 1),
        minutes_per_article=replace(minutes, training=round(minutes.training * ratio, 1)),
    )
