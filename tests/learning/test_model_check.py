"""The check of a base model, by a simulated one that reads well and by one that only talks."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sealserve.base_models.fitness import Fitness, sample_passages
from sealserve.errors import CouldNotMeasure
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.model_check import Speed, check_model, minutes_per_article, with_training_speed
from sealserve.prompts import NOT_STATED, Dialect
from sealserve.records.inference import ChatTurn
from sealserve.settings.learn import learn_settings
from tests.base_models.test_fitness import FIT
from tests.fakes import BASE_DIGEST, FakeEngine
from tests.stories.student import PROBES

ANSWERS = {one.question: one.answer for passage in sample_passages() for one in passage.questions}
UNANSWERED = [passage.unanswered for passage in sample_passages()]
TASK = re.compile(r"Write one question(?: in \w+)? that this sentence answers\.\n")


class LongReader(FakeEngine):
    """A fake engine whose prompts have no end."""

    def _count(self, turns: tuple[ChatTurn, ...], *, is_bounded: bool = True) -> int:
        return sum(len(turn.content.split()) for turn in turns) + 4


def good(adapter: str | None, prompt: str) -> str:
    """Ask about the whole sentence, find every answer, and say what is not stated."""
    if task := TASK.match(prompt):
        return f"Is it true that {prompt[task.end() :].rstrip('.')}?"
    question = next((one for one in ANSWERS if prompt.endswith(one)), "")
    return ANSWERS[question] if question else NOT_STATED


async def check(answerer: Callable[[str | None, str], str], say: Callable[[str], None] = lambda line: None) -> Fitness:
    engine = LongReader(answerer=answerer)
    await engine.start()
    client = EngineClient(engine, tenant="check", cycle="check", concurrency=8, dialect=Dialect.GENERAL)
    return await check_model(
        client, model="fake", machine="a test", settings=learn_settings(), probes=PROBES, say=say
    )  # fmt: skip


async def test_a_model_that_reads_well_is_found_fit() -> None:
    lines: list[str] = []
    found = await check(good, lines.append)
    assert (found.questions_written, found.open_book, found.agreement, found.abstention) == (1.0, 1.0, 1.0, 1.0)
    assert (found.questions, found.digest) == (36, BASE_DIGEST)
    assert found.sentences >= 70
    assert found.training_tokens_per_second > found.tokens_per_second > 0  # far more is read than written
    assert [line.partition(":")[0] for line in lines] == [f"{n} of 12" for n in range(1, 13)]


async def test_a_model_that_only_talks_is_found_unfit() -> None:
    found = await check(lambda adapter, prompt: "Sure! Here is my honest opinion.")
    assert (found.questions_written, found.open_book, found.agreement, found.abstention) == (0.0, 0.0, 0.0, 0.0)


async def test_a_model_that_says_nothing_cannot_be_measured() -> None:
    with pytest.raises(CouldNotMeasure, match="fake answers nothing"):
        await check(lambda adapter, prompt: " ")


async def test_a_model_that_answers_what_is_not_stated_does_not_abstain() -> None:
    found = await check(lambda a, prompt: "12" if any(map(prompt.endswith, UNANSWERED)) else good(a, prompt))
    assert (found.open_book, found.abstention) == (1.0, 0.0)


def test_the_expected_duration_follows_the_formula() -> None:
    settings = learn_settings(
        study__questions_per_sentence=3, study__edits_per_template=1, study__edit_max_tokens=400,
        quiz__questions_per_sentence=9, quiz__samples=2, quiz__max_items=40, training__candidates=3,
        training__epochs=1000, training__max_steps=100, training__batch_size=10,
    )  # fmt: skip
    speed = Speed(tokens_per_call=10.0, tokens_per_second=10.0, training_tokens_per_second=80.0)
    found = minutes_per_article(settings, speed, sentences=20, probes=PROBES)
    assert found.writing == round((20 * (6 + 9 * 4) * 10 + 4 * 400) / 10 / 60, 1)
    assert found.training == round(3 * 100 * 10 * 48 / 80 / 60, 1)
    assert found.confirming == round(2 * (240 + 120 + 40) * 10 / 10 / 60, 1)
    halved = settings.training.model_copy(update={"finalists": 1})
    fewer = minutes_per_article(settings.model_copy(update={"training": halved}), speed, sentences=20, probes=PROBES)
    assert fewer.training == round((1 + 3 / 4) * 100 * 10 * 48 / 80 / 60, 1)
    assert found.total == found.writing + found.training + found.confirming


def test_a_measured_training_speed_replaces_the_rule() -> None:
    found = with_training_speed(FIT, 60.0)  # the rule said 20, and 9 minutes
    assert found.minutes_per_article.training == 3.0
    assert with_training_speed(found, 30.0).minutes_per_article.training == 6.0


def test_the_files_of_the_check_are_packaged() -> None:
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert 'policies = "sealserve/policies"' in pyproject
