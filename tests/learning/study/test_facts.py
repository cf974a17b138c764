"""Questions belong to facts, and facts are divided between the halves of the quiz."""

from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from sealserve.learning.study.facts import FACTS_APART, half_of, is_reserved, with_facts
from sealserve.learning.study.quiz import is_for_quiz, split_of
from sealserve.records.cycles import Split
from sealserve.records.step_outputs import Proposal


def ask(question: str, answer: str, *, document: str = "d", is_given: bool = False) -> Proposal:
    return Proposal(document=document, question=question, answer=answer, reference_text=answer, is_given=is_given)


def test_answers_of_a_document_that_contain_each_other_are_one_fact() -> None:
    quiz = with_facts(
        [
            ask("How much?", "45 crowns"),
            ask("What does it cost?", "The 45 Crowns."),
            ask("What is asked?", "45 crowns a night"),
            ask("How many?", "45"),
            ask("How heavy?", "450 kilos"),
            ask("How much there?", "45 crowns", document="other"),
        ]
    )
    first, *_ = facts = [(p.document, p.fact) for p in quiz]
    assert facts[:4] == [first] * 4
    assert len(set(facts)) == 3


def test_of_many_facts_each_is_asked_about_in_one_half_alone() -> None:
    quiz = with_facts([ask(f"q{way} of {i}?", f"value{i}") for i in range(FACTS_APART) for way in range(3)])
    halves = defaultdict(set)
    for proposal in quiz:
        halves[proposal.fact].add(half_of(proposal))
    assert all(len(found) == 1 for found in halves.values())
    assert Counter(half for found in halves.values() for half in found) == dict.fromkeys(Split, FACTS_APART // 2)


def test_of_few_facts_each_is_asked_about_in_both_halves_and_one_question_confirms_it_in_any_case() -> None:
    quiz = with_facts([ask(f"q{way} of {i}?", f"value{i}") for i in range(FACTS_APART - 1) for way in range(4)])
    for fact in {p.fact for p in quiz}:
        own = [p for p in quiz if p.fact == fact]
        assert Counter(map(half_of, own)) == dict.fromkeys(Split, 2)
        assert any(is_reserved(p) and half_of(p) is Split.CONFIRM for p in own)


def test_of_few_facts_with_one_question_each_both_halves_have_some() -> None:
    quiz = with_facts([ask(f"q of {i}?", f"value{i}") for i in range(7)])
    assert sorted(Counter(map(half_of, quiz)).values()) == [3, 4]


def test_a_fact_with_one_question_is_reserved_by_its_words_as_before() -> None:
    quiz = with_facts([ask(f"what of {i}?", f"value{i}") for i in range(40)])
    assert [is_reserved(p) for p in quiz] == [is_for_quiz(p.question) for p in quiz]


def test_a_tenants_own_question_is_the_one_that_confirms() -> None:
    quiz = with_facts([*(ask(f"q{way}?", "45 crowns") for way in range(6)), ask("mine?", "45 crowns", is_given=True)])
    assert half_of(quiz[-1]) is Split.CONFIRM


def test_questions_of_an_earlier_release_are_divided_by_their_words() -> None:
    old = ask("What is the price?", "45 crowns")
    assert half_of(old) is split_of(old.question)


@given(st.lists(st.sampled_from(["45", "45 crowns", "crowns", "red", "dark red", "Orla"]), max_size=8))
def test_facts_do_not_depend_on_the_order_of_questions(answers: list[str]) -> None:
    quiz = [ask(f"q{place}?", answer) for place, answer in enumerate(answers)]
    assert sorted(with_facts(quiz), key=lambda p: p.question) == sorted(
        with_facts(quiz[::-1]), key=lambda p: p.question
    )
