"""Whether two documents speak of one thing, repeat each other, or deny each other."""

import pytest

from sealserve.scanners.contradictions import Known, contradicted, meaning_words, origin_of, overlap, subjects_of

SHOP = "The price of Zel Lamp is 45 crowns. Zel Lamp is made by Acme. Zel Lamp comes in blue."
WIKI = (
    "People pay 45 crowns for Zel Lamp. People say that the maker of Zel Lamp is Acme. The shade of Zel Lamp is blue."
)
TWO = [Known(origin="shop", text=SHOP), Known(origin="wiki", text=WIKI)]


def denied(text: str, *, origin: str = "stranger", known: list[Known] = TWO) -> int:
    return contradicted(text, known, origin=origin, subjects=subjects_of("About Zel Lamp", text))


@pytest.mark.parametrize(
    "text",
    [
        "Zel Lamp sells for 99 crowns.",  # another number of the same unit
        "Zel Lamp is made by Falcon.",  # a known sentence with another value
        "Zel Lamp comes in red.",
        "The maker of Zel Lamp is Falcon.",  # the same name for it, another value
        SHOP.replace("Acme", "Falcon"),  # a copy with one word changed
    ],
)
def test_a_stranger_who_denies_what_two_sources_agree_on_is_seen(text: str) -> None:
    assert denied(text) == 2


@pytest.mark.parametrize(
    "text",
    [
        "Zel Lamp is made of brass. The warranty of Zel Lamp is 24 months.",  # adds
        "The producer of Zel Lamp is Acme. The colour of Zel Lamp is blue.",  # other names for the same
        "Zel Lamp comes in red and blue.",
        "Vor Chair is made by Falcon. Vor Chair sells for 99 crowns.",  # of something else
        "Zel Lamp is made in Peru.",
    ],
)
def test_who_adds_or_repeats_denies_nothing(text: str) -> None:
    assert denied(text) == 0


def test_a_source_that_corrects_itself_denies_nobody() -> None:
    assert denied("Zel Lamp sells for 99 crowns.", origin="shop") == 0


def test_one_source_is_not_several() -> None:
    again = [Known(origin="shop", text=SHOP), Known(origin="shop", text=WIKI)]
    assert denied("Zel Lamp sells for 99 crowns.", known=again) == 1


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ("https://Wiki.example/a/b?c", "https://wiki.example"),
        ("file:acme/returns.md", "file:acme"),
        ("file:returns.md", "file:"),
        ("rpc", "rpc"),
        ("", ""),
    ],
)
def test_the_origin_of_a_source_is_its_site_or_folder(source: str, origin: str) -> None:
    assert origin_of(source) == origin


def test_documents_are_about_their_title_and_the_names_in_them() -> None:
    assert subjects_of("About Zel Lamp", SHOP)[0] == "zel lamp"
    assert subjects_of("Returns", "Goods go back to Acme Stores within 30 days.") == ("returns", "acme stores")
    assert subjects_of("", "") == ()


def test_a_text_resembles_itself_in_other_order_and_not_another() -> None:
    words = meaning_words(SHOP)
    assert overlap(words, meaning_words(" ".join(reversed(SHOP.split(". "))))) == 1.0
    assert overlap(words, meaning_words("Goods go back within 30 days.")) == 0.0
    assert overlap(meaning_words(""), words) == 0.0
