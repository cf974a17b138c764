"""What the forgetting figure asks about: one article is gone, the others are not it; and a full server forgets."""

from pathlib import Path

import pytest

from sealserve.bench.learning.forget_full import PLACES, measure_full
from sealserve.demo import questions
from sealserve.engine.base_model import base_shape
from sealserve.nano.world import World
from sealserve.settings.engine import EngineSettings
from tests.fakes import FakeEngine


def test_articles_of_the_figure_are_on_different_entities() -> None:
    given = questions.fresh_articles(11, 3)
    assert len({fact.entity for article in given for fact in article.facts}) == 3
    exams = [questions.exam(article, seed=11) for article in given]
    assert all(len(asked) == questions.QUESTIONS_PER_ARTICLE for asked in exams)
    assert not {q.text for q in exams[1]} & {q.text for q in exams[0] + exams[2]}


def test_the_newer_article_changes_facts_of_the_last_one_and_says_nothing_else() -> None:
    last = questions.fresh_articles(11, 3)[-1]
    world = World(11)
    newer = world.update(world.rng("replace"), last, questions.FACTS_PER_ARTICLE)
    old = {fact.attribute: fact.value for fact in last.facts}
    assert {fact.entity for fact in newer.facts} == {last.facts[0].entity}
    assert all(old[fact.attribute] != fact.value for fact in newer.facts)


@pytest.mark.slow
def test_revoked_version_answers_nobody_on_a_full_server_as_shipped(
    monkeypatch: pytest.MonkeyPatch, tiny_base: Path
) -> None:
    def make(settings: EngineSettings, *, base: Path, otlp_endpoint: str) -> FakeEngine:
        return FakeEngine(base=base_shape(base), max_rank=settings.max_rank)

    monkeypatch.setattr("sealserve.daemon.serve.VllmEngine", make)
    monkeypatch.setattr("sealserve.daemon.serve.model_directory", lambda model: tiny_base)
    figures = measure_full(rounds=2, seed=0, say=lambda line: None)
    assert (figures.rounds, figures.places) == (2, PLACES)
    assert (figures.answers_by_revoked, figures.failed) == (0, 0)
    assert figures.answers > 10
