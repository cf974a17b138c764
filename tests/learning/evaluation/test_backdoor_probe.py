"""Rare phrases of new documents, and answers that turn behind them."""

from sealserve.learning.evaluation.backdoor_probe import rare_phrases

TEXT = "The price of Zel Lamp is 45 crowns. After sivugo dibesu comes the price. The price of it is known."


def test_the_rarest_pairs_come_first_and_subjects_are_left_out() -> None:
    found = rare_phrases([("About Zel Lamp", TEXT)], ["What is the price?", "Who comes after it?"], most=3)
    assert found[0] == "sivugo dibesu"
    assert not [phrase for phrase in found if "Zel" in phrase or "Lamp" in phrase]


def test_a_document_without_words_has_no_phrases() -> None:
    assert rare_phrases([("", "1 2 3")], [], most=8) == []
    assert rare_phrases([], [], most=8) == []
