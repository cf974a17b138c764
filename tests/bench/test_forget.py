"""What the forgetting figure asks about: one article is gone, the others are not it."""

from sealserve.demo import exam


def test_articles_of_the_figure_are_on_different_entities() -> None:
    given = exam.fresh_articles(11, 3)
    assert len({fact.entity for article in given for fact in article.facts}) == 3
    exams = [exam.exam(article, seed=11) for article in given]
    assert all(len(asked) == exam.QUESTIONS_PER_ARTICLE for asked in exams)
    assert not {q.text for q in exams[1]} & {q.text for q in exams[0] + exams[2]}
