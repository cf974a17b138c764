"""The shipped passages, the floors, and the result of a check that is kept by digest."""

from dataclasses import replace
from pathlib import Path

import pytest

from sealserve.base_models.fitness import (
    Fitness,
    Floors,
    Minutes,
    read_fitness,
    read_floors,
    refusal,
    sample_passages,
    save_fitness,
    unfit_reason,
)
from sealserve.base_models.profile import PROFILE_FILE, ModelProfile, profile_directory, profile_of, save_tuned
from sealserve.errors import BadConfig
from sealserve.grading.answers import is_right
from sealserve.prompts import Dialect
from sealserve.writing_systems import sentences_of

DIGEST = "a" * 64
FLOORS = Floors(questions_written=0.5, open_book=0.3)
FIT = Fitness(
    model="small",
    digest=DIGEST,
    date="2026-11-29",
    machine="2 CPU cores",
    sentences=72,
    questions=36,
    questions_written=0.8,
    open_book=0.6,
    agreement=0.7,
    abstention=0.5,
    tokens_per_second=20.0,
    training_tokens_per_second=20.0,
    minutes_per_article=Minutes(writing=3.0, training=9.0, confirming=8.0),
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def test_every_shipped_answer_stands_in_its_passage_and_every_question_names_its_subject() -> None:
    passages = sample_passages()
    assert len(passages) == 12
    for passage in passages:
        assert 4 <= len(sentences_of(passage.text)) <= 8, passage.title
        assert len(passage.questions) == 3
        for one in passage.questions:
            assert is_right(passage.text, one.answer), one
            assert not is_right(one.question, one.answer), one
        asked = [one.question for one in passage.questions] + [passage.unanswered]
        assert all(set(question.split()) & set(passage.title.split()) for question in asked), passage.title


def test_a_result_is_kept_by_the_models_digest() -> None:
    assert read_fitness(DIGEST) is None
    save_fitness(FIT)
    assert read_fitness(DIGEST) == FIT
    assert read_fitness("b" * 64) is None


def test_a_broken_result_names_its_file() -> None:
    path = save_fitness(FIT)
    path.write_text("{}")
    with pytest.raises(BadConfig, match=path.name):
        read_fitness(DIGEST)


def test_a_model_that_reads_badly_is_refused_whoever_writes() -> None:
    reason = unfit_reason(replace(FIT, open_book=0.2), FLOORS, has_teacher=True)
    assert "0.20" in reason
    assert "engine.model" in reason


def test_a_model_that_writes_badly_is_refused_unless_a_teacher_writes() -> None:
    weak = replace(FIT, questions_written=0.4)
    assert "learn.study.editor = endpoint" in unfit_reason(weak, FLOORS, has_teacher=False)
    assert unfit_reason(weak, FLOORS, has_teacher=True) == ""
    assert unfit_reason(FIT, FLOORS, has_teacher=False) == ""
    assert unfit_reason(None, FLOORS, has_teacher=False) == ""


def test_the_operator_may_allow_an_unfit_model() -> None:
    save_fitness(replace(FIT, open_book=0.0))
    assert read_floors().open_book > 0
    assert refusal(DIGEST, has_teacher=False, is_allowed=False) != ""
    assert refusal(DIGEST, has_teacher=False, is_allowed=True) == ""


def test_what_was_tuned_here_comes_before_what_the_model_ships(tmp_path: Path) -> None:
    shipped = '{"dialect": "general", "learn": {"training": {"learning_rate": 0.01}}, "origin": "shipped"}'
    (tmp_path / PROFILE_FILE).write_text(shipped)
    assert profile_of(tmp_path, digest=DIGEST).origin == "shipped"
    tuned = ModelProfile(dialect=Dialect.GENERAL, learn={"training": {"learning_rate": 0.002}}, origin="tuned")
    assert save_tuned(tuned, digest=DIGEST).parent == profile_directory()
    assert profile_of(tmp_path, digest=DIGEST) == tuned
