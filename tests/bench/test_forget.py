"""What the forgetting figure asks about: one article is gone, the others are not it."""

from sealserve.demo import questions
from sealserve.nano.world import World


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
