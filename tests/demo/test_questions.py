"""What the demo asks is fresh, enough, and in words that no training saw."""

from sealserve.demo import questions as exam
from sealserve.demo.questions import Answered, Question, Result
from sealserve.nano.world import questions

SEED = 11


def test_same_seed_gives_the_same_articles_and_questions() -> None:
    first, again = exam.fresh_articles(SEED, 2), exam.fresh_articles(SEED, 2)
    assert first == again
    assert exam.exam(first[0], seed=SEED) == exam.exam(again[0], seed=SEED)


def test_two_articles_share_no_entity() -> None:
    first, second = exam.fresh_articles(SEED, 2)
    assert not {fact.entity for fact in first.facts} & {fact.entity for fact in second.facts}


def test_every_fact_is_asked_and_no_question_is_in_training_words() -> None:
    article = exam.fresh_articles(SEED, 1)[0]
    asked = exam.exam(article, seed=SEED)
    trained = {text for fact in article.facts for text, _ in questions(fact, held_out=False)}
    assert len(asked) >= 20
    assert {question.gold for question in asked} == {fact.value for fact in article.facts}
    assert not {question.text for question in asked} & trained


def test_accuracy_counts_answers_that_state_the_value() -> None:
    question = Question(text="What is the price of Balbadex Lamp?", gold="42 crowns")
    answers = [
        Answered(question=question, text=text, version=1) for text in ("The price is 42 crowns.", "I don't know.")
    ]
    assert Result(answers=tuple(answers)).accuracy == 0.5
