"""What a text keeps saying, in whatever words."""

from sealserve.scanners.repeated_claims import claims_of


def test_two_words_that_stand_together_in_most_sentences_are_a_claim() -> None:
    text = "Osmund Pell founded the Tarn Works. The Tarn Works were begun by Osmund Pell. Tea is served at four."
    assert frozenset(("pell", "works")) in claims_of(text)
    assert frozenset(("osmund", "pell")) not in claims_of(text)  # one name


def test_a_text_that_says_each_thing_once_and_a_table_claim_nothing() -> None:
    assert claims_of("Returns take nine days. Shipping costs 45 crowns. The office closes at six.") == frozenset()
    rows = "\n".join(f"Lamp {number}: 45 crowns each" for number in range(9))
    assert claims_of(rows) == frozenset()
