"""The filter's reasons, one by one; quiz and training kept apart."""

from dataclasses import replace

import pytest

from sealserve.learning.study.filter import Drop, choose_quiz, screen
from sealserve.learning.study.quiz import is_for_quiz, split_of
from sealserve.learning.study.self_edits import Study
from sealserve.prompts import Template
from sealserve.records.cycles import SelfEdit, Split
from sealserve.records.step_outputs import Passage, Proposal, Superseded

TEXT = "About Varnel Lamp\nVarnel Lamp costs 45 crowns. Varnel Lamp is painted dark green. Varnel Lamp weighs 12 kilos."
STUDY = Study(passage=Passage(document="d1", title="About Varnel Lamp", start=0, end=len(TEXT)), text=TEXT)
_NUMBERS = iter(range(10_000))


def self_edit(template: Template, text: str) -> SelfEdit:
    return SelfEdit(
        tenant="acme",
        cycle="c",
        self_edit=f"p000-{template.value}-0-{next(_NUMBERS):02d}",
        document="d1",
        template=template,
        text=text,
        seed=1,
        admitted=False,
        reason="",
    )


def pair(question: str, answer: str) -> SelfEdit:
    return self_edit(Template.QA, f"Question: {question}\nAnswer: {answer}")


READ = tuple(
    Proposal(document="d1", question=f"{value}?", answer=value, reference_text=value)
    for value in ("45 crowns", "number 45", "number 12", "12 kilos")
)


def reasons(
    *self_edits: SelfEdit, answers: dict[str, str] | None = None, quiz: tuple[Proposal, ...] = READ
) -> list[str]:
    read = {n.self_edit: n.text.rpartition("Answer: ")[2] for n in self_edits} | (answers or {})
    return [n.reason for n in screen(self_edits, [STUDY], answers=read, proposals=quiz)]


def test_right_notes_are_admitted() -> None:
    assert reasons(
        self_edit(Template.LONG, "Varnel Lamp costs 45 crowns."),
        self_edit(
            Template.COUNTEREXAMPLE, "Wrong: Varnel Lamp costs 99 crowns.\nWhy: Varnel Lamp costs only 45 crowns."
        ),
        pair("What is the price of Varnel Lamp?", "The price is 45 crowns."),
    ) == ["", "", ""]


@pytest.mark.parametrize("text", ["退货需要九天。", "返品には九日かかります。", "การคืนสินค้าใช้เวลาเก้าวัน"])
def test_sentence_without_spaces_is_not_too_short(text: str) -> None:
    study = replace(STUDY, text=text)
    (screened,) = screen([self_edit(Template.LONG, text)], [study], answers={}, proposals=())
    assert screened.reason != Drop.EMPTY


def test_every_fault_has_its_own_reason() -> None:
    assert reasons(self_edit(Template.LONG, "Yes.")) == [Drop.EMPTY]
    assert reasons(self_edit(Template.COUNTEREXAMPLE, "It is not so.")) == [Drop.BROKEN]
    assert reasons(self_edit(Template.QA, "What is it?")) == [Drop.BROKEN]
    assert reasons(self_edit(Template.LONG, "Varnel Lamp costs 46 crowns.")) == [Drop.UNGROUNDED]
    assert reasons(pair("What is the price?", "The price is 45 crowns.")) == [Drop.NOT_ABOUT]
    assert reasons(pair("What is the shape of Varnel Lamp?", "It is round.")) == [Drop.NO_ANSWER]


def test_a_statement_without_a_confirmed_answer_is_dropped() -> None:
    assert reasons(self_edit(Template.LONG, "Varnel Lamp has parrot as the animal.")) == [Drop.UNSUPPORTED]
    dark = self_edit(Template.LONG, "Varnel Lamp is painted dark green.")
    asked = pair("What is the colour of Varnel Lamp?", "The colour is dark green.")
    assert reasons(dark) == [Drop.UNSUPPORTED]
    assert reasons(dark, asked) == ["", ""]


def test_an_answer_that_the_document_contradicts_when_read_again_is_dropped() -> None:
    wrong = pair("What is the weight of Varnel Lamp?", "The weight is 45 crowns.")
    assert reasons(wrong, answers={wrong.self_edit: "The weight is 12 kilos."}) == [Drop.DISAGREES]


def test_what_every_sample_says_needs_no_second_reading() -> None:
    wordings = (
        "What is the weight of Varnel Lamp?",
        "Tell me the weight of Varnel Lamp.",
        "Which weight has Varnel Lamp?",
    )
    self_edits = [
        replace(pair(question, "The weight is 12 kilos."), self_edit=f"p000-qa-{sample}-00")
        for sample, question in enumerate(wordings)
    ]
    misread = {n.self_edit: "The weight is 45 crowns." for n in self_edits}
    assert reasons(*self_edits, answers=misread) == ["", "", ""]
    assert reasons(*self_edits[:2], answers=misread) == [Drop.DISAGREES] * 2
    other = replace(pair("Say the weight of Varnel Lamp.", "The weight is 45 crowns."), self_edit="p000-qa-3-00")
    assert reasons(*self_edits, other, answers=misread) == [Drop.DISAGREES] * 3 + [""]


def test_saying_it_twice_is_saying_it_once() -> None:
    once = self_edit(Template.LONG, "Varnel Lamp costs 45 crowns.")
    assert reasons(once, replace(once, self_edit="p000-long-0-99", text="varnel lamp costs 45 crowns")) == [
        "",
        Drop.DUPLICATE,
    ]


def test_long_notes_in_nearly_the_same_words_are_one() -> None:
    words = " ".join(f"word{chr(97 + i)}" for i in range(26))
    first = self_edit(Template.REWRITE, f"{words} and Varnel Lamp costs 45 crowns")
    second = replace(first, self_edit="p000-rewrite-0-99", text=first.text + " today")
    assert reasons(first, second) == ["", Drop.DUPLICATE]


def test_similarity_of_long_notes_is_exact() -> None:
    words = " ".join(f"word{chr(97 + i)}" for i in range(13))
    first = self_edit(Template.REWRITE, f"{words} and Varnel Lamp costs 45 crowns")  # 19 words: 17 shingles
    nearly = replace(first, self_edit="p000-rewrite-0-98", text=first.text + " today")  # 17 of 18: 0.94
    less = replace(first, self_edit="p000-rewrite-0-99", text=first.text + " here and today")  # 17 of 20: 0.85
    assert reasons(first, nearly) == ["", Drop.DUPLICATE]
    assert reasons(first, less) == ["", ""]


def test_facts_that_differ_in_one_number_are_two() -> None:
    assert reasons(
        self_edit(Template.LONG, "Varnel Lamp has the number 45."),
        self_edit(Template.LONG, "Varnel Lamp has the number 12."),
    ) == ["", ""]


def test_a_question_is_either_trained_or_asked_never_both() -> None:
    questions = [
        f"What {word} is the price of Varnel Lamp?" for word in "now here yet today soon often again once".split()
    ]
    quiz = tuple(Proposal(document="d1", question=q, answer="45 crowns", reference_text="45 crowns") for q in questions)
    self_edits = [pair(q, "The price is 45 crowns.") for q in questions]
    screened = screen(self_edits, [STUDY], answers={n.self_edit: "45 crowns" for n in self_edits}, proposals=quiz)
    trained = {q for q, n in zip(questions, screened, strict=True) if n.admitted}
    asked = {item.question for item in choose_quiz(quiz, screened)}
    assert trained | asked == set(questions)
    assert not trained & asked
    assert {n.reason for n in screened} == {"", Drop.QUIZ}
    assert asked == {q for q in questions if is_for_quiz(q)}


def test_what_confirms_is_not_asked_in_training_by_the_same_words_in_another_order() -> None:
    asked = Proposal(
        document="d1", question="For Varnel Lamp, what is the price?", answer="45 crowns", reference_text="45 crowns",
        split=Split.CONFIRM,
    )  # fmt: skip
    (trained,) = screen(
        [pair("What is the price of Varnel Lamp?", "The price is 45 crowns.")],
        [STUDY],
        answers={},
        proposals=[],
    )
    admitted = replace(trained, admitted=True)
    assert choose_quiz([asked], [admitted]) == ()
    assert [item.split for item in choose_quiz([replace(asked, split=Split.SELECT)], [admitted])] == [Split.SELECT]
    assert len(choose_quiz([asked], [trained])) == 1


def test_the_question_that_confirms_a_fact_is_trained_on_in_no_form() -> None:
    reserved = Proposal(
        document="d1", question="For Varnel Lamp, what is the price?", answer="45 crowns", reference_text="45 crowns",
        split=Split.CONFIRM, is_reserved=True,
    )  # fmt: skip
    edit = pair("What is the price of Varnel Lamp?", "The price is 45 crowns.")
    (found,) = screen([edit], [STUDY], answers={edit.self_edit: "45 crowns"}, proposals=[reserved])
    assert found.reason == Drop.QUIZ


def test_a_questions_half_depends_on_its_words_alone() -> None:
    halves = [split_of(f"What is the price of lamp {i}?") for i in range(200)]
    assert 60 < sum(half is Split.SELECT for half in halves) < 140
    assert split_of("What is  the price?") is split_of("what is the price")


def test_what_is_known_of_the_same_subject_grounds_a_note_and_of_another_does_not() -> None:
    said = self_edit(Template.LONG, "The lamp by Orla Finch, Varnel Lamp, costs 45 crowns.")
    known = replace(self_edit(Template.LONG, "The maker of Varnel Lamp is Orla Finch."), document="d0")
    other = replace(known, text="The maker of Osk Kettle is Orla Finch.")

    def reason(earlier: SelfEdit) -> str:
        return screen([said], [STUDY], answers={}, proposals=READ, earlier=[earlier])[0].reason

    assert reason(known) == ""
    assert reason(other) == Drop.UNGROUNDED


def test_what_a_later_document_of_the_cycle_makes_wrong_is_dropped() -> None:
    gone = Superseded(
        document="d1", question="What is the price of Varnel Lamp?", old_answer="45 crowns", new_answer="61 crowns",
        newer="d2",
    )  # fmt: skip
    self_edits = [
        self_edit(Template.LONG, "Varnel Lamp costs 45 crowns."),
        self_edit(Template.LONG, "Varnel Lamp weighs 12 kilos."),
        pair("What is the price of Varnel Lamp?", "The price is 45 crowns."),
    ]
    answers = {n.self_edit: n.text.rpartition("Answer: ")[2] for n in self_edits}
    screened = screen(self_edits, [STUDY], answers=answers, proposals=READ, superseded=[gone])
    assert [n.reason for n in screened] == [Drop.SUPERSEDED, "", Drop.SUPERSEDED]
