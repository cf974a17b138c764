"""Which self-edits stand on their document."""

import pytest

from sealserve.learning.study.grounding import answer_span, is_about, is_quoted, share_of_roots, ungrounded

DOCUMENT = (
    "About Varnel Lamp\nNotice: the cost of Varnel Lamp is 45 crowns. It comes in dark green. "
    "Mira Stone leads the workshop. Brelvanta opened in 1987."
)


@pytest.mark.parametrize(
    ("answer", "question", "span"),
    [
        ("The price is 45 crowns.", "How much does Varnel Lamp cost?", "45 crowns"),
        ("The colour is dark green.", "Which colour does Varnel Lamp come in?", "dark green"),
        ("Varnel Lamp comes in dark green.", "Which colour does Varnel Lamp come in?", "dark green"),
        ("Mira Stone", "Who leads the workshop of Varnel Lamp?", "mira stone"),
        ("The colour is red.", "Which colour does Varnel Lamp come in?", ""),
        ("The price is 46 crowns.", "How much does Varnel Lamp cost?", "crowns"),
        ("It opened in May.", "When did it open?", ""),
        ("", "How much?", ""),
    ],
)
def test_the_span_is_what_answers_and_stands_in_the_document(answer: str, question: str, span: str) -> None:
    assert answer_span(answer, question=question, document=DOCUMENT) == span


def test_a_number_or_name_that_the_document_lacks_is_found() -> None:
    assert ungrounded("The price is 46 crowns.", DOCUMENT) == "46"
    assert ungrounded("The workshop of Mira Kent is open.", DOCUMENT) == "Kent"
    assert ungrounded("Varnel Lamp costs 45 crowns and is led by Mira Stone.", DOCUMENT) == ""


def test_a_capital_at_the_start_of_a_sentence_is_no_name() -> None:
    assert ungrounded("Shops sell it for 45 crowns. Nobody knows why.", DOCUMENT) == ""


def test_a_question_must_name_something_of_the_document() -> None:
    assert is_about("How much does Varnel Lamp cost?", DOCUMENT)
    assert is_about("Brelvanta opened when?", DOCUMENT)
    assert is_about("What happened in 1987?", DOCUMENT)
    assert not is_about("What is the price?", DOCUMENT)
    assert not is_about("What is the price of Oskar Vase?", DOCUMENT)


@pytest.mark.parametrize(
    ("self_edit", "stray"),
    [
        ("It opened on 12 May 2023.", ""),
        ("It opened on May 12th, 2023.", ""),
        ("It opened on 2023-05-12.", ""),
        ("It opened on 12 May.", ""),
        ("It opened on the 3rd of June 2024.", ""),
        ("It opened on 12 May 2024.", "12 May 2024"),  # day and year of two dates
        ("It opened on 12 June 2023.", "12 June 2023"),
        ("It opened on 2023-12-05.", "2023-12-05"),
    ],
)
def test_a_date_is_grounded_as_a_whole_however_it_is_written(self_edit: str, stray: str) -> None:
    document = "The hall opened on 12 May 2023 and closed on 3 June. It was sold in 2024."
    assert ungrounded(self_edit, document) == stray


def test_what_is_known_of_the_subject_already_grounds_too() -> None:
    self_edit = "The lamp, made by Orla Finch, costs 45 crowns."
    assert ungrounded(self_edit, "The lamp costs 45 crowns.") == "Orla"
    assert ungrounded(self_edit, "The lamp costs 45 crowns.", earlier="The lamp is by Orla Finch.") == ""


def test_another_ending_of_a_known_word_is_known_where_words_have_endings() -> None:
    text = "Die Rückgabe dauert in der Regel neun Tage."
    assert ungrounded("Nach wie vielen Tagen endet die Rückgabe?", text) == "Tagen"
    assert ungrounded("Nach wie vielen Tagen endet die Rückgabe?", text, is_inflected=True) == ""
    assert ungrounded("Nach wie vielen Wochen endet sie?", text, is_inflected=True) == "Wochen"


def test_a_statement_has_its_content_words_from_the_document() -> None:
    text = "Customers may return goods within nine days."
    assert share_of_roots("Goods may be returned within nine days.", text) == 1.0
    assert share_of_roots("The bakery opens before seven.", text) == 0.0
    assert share_of_roots("", text) == 0.0
    assert is_quoted("Return goods within nine DAYS", text)
    assert not is_quoted("nine goods", text)
