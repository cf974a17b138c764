"""What may be learned: visible, normalised, not empty, not endless."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealserve.intake.media_types import Defect, Unreadable
from sealserve.intake.normalise import NormalisedText, clean_title, screen


def _screened(text: str) -> NormalisedText:
    found = screen(text, max_bytes=1000)
    assert isinstance(found, NormalisedText), found
    return found


def _defect(text: str, *, max_bytes: int = 1000) -> Defect:
    found = screen(text, max_bytes=max_bytes)
    assert isinstance(found, Unreadable), found
    return found.defect


def test_text_comes_out_in_one_form() -> None:
    assert (
        _screened("  Gro\u0308\u00dfe  \r\n\r\n\r\n\r\nrot\u2028blau\x85 ").text
        == "Gröẞe".replace("ẞ", "ß") + "\n\nrot\nblau"
    )


@pytest.mark.parametrize("hiding", ["\u200b", "\ufeff", "\u2060", "\u200d", "\u034f"])
def test_characters_that_only_hide_are_taken_out(hiding: str) -> None:
    assert _screened(f"pass{hiding}word") == NormalisedText(text="password", removed=1)


@pytest.mark.parametrize("left", ["\u00ad", "\u202a", "\u202c", "\u2067", "\u200e", "\u061c", "\x00", "\x08", "\x9b"])
def test_what_typesetting_leaves_is_taken_out_without_being_called_hidden(left: str) -> None:
    assert _screened(f"\ufeffpass{left}word") == NormalisedText(text="password", removed=0)


@pytest.mark.parametrize(
    ("glyphs", "letters"),
    [
        ("oﬃce ﬁnance reﬂex ﬅ ﬆ", "office finance reflex st st"),
        ("ﻻ ﺏ", "لا ب"),
        ("\ufb2a", "ש\u05c1"),
        ("½ ２ ㈱ ①", "½ ２ ㈱ ①"),
    ],
)
def test_ligatures_are_the_letters_that_they_show_and_other_signs_stay(glyphs: str, letters: str) -> None:
    assert _screened(f"word {glyphs}").text == f"word {letters}"


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ("The manage-\nment met.", "The management met."),
        ("a refer-\n  ence to it", "a reference to it"),
        ("Olden-\nburg", "Oldenburg"),
        ("a soft\u00ad\nware", "a software"),
        ("Kunden\u2010\nservice", "Kundenservice"),
        ("a well-\nknown pier", "a well-known pier"),
        ("a state-\nof-the-art pier", "a state-of-the-art pier"),
        ("an E-Mail-\nAdresse", "an E-Mail-Adresse"),
        ("the pier-\nhead, a pier-head", "the pier-head, a pier-head"),
        ("the self-\nish pier, selfish", "the selfish pier, selfish"),
        ("pier and pole, a pole-\npier", "pier and pole, a pole-pier"),
        ("Vor-\nund Nachteile", "Vor-\nund Nachteile"),
        ("a\n\n    x = pier-\n    pole", "a\n\n    x = pier-\n    pole"),
        ("| pier-\npole", "| pier-\npole"),
        ("- pier-\n- pole", "- pier-\n- pole"),
        ("pages 3-\n4", "pages 3-\n4"),
        ("ab-\ncd-\nef", "abcdef"),
    ],
)
def test_words_broken_at_line_ends_are_joined_and_real_hyphens_stay(broken: str, whole: str) -> None:
    assert _screened(broken).text == whole
    assert _screened(whole).text == whole


@pytest.mark.parametrize("shown", ["می\u200cخواهم", "👩\u200d🚀", "❤\ufe0f", "🏴\U000e0067\U000e0062\U000e007f"])
def test_joiners_and_selectors_that_shape_writing_stay(shown: str) -> None:
    assert _screened(f"word {shown}") == NormalisedText(text=f"word {shown}", removed=0)


@pytest.mark.parametrize(
    "carrier",
    ["".join(chr(0xE0000 + ord(letter)) for letter in "obey"), "\U000e0101\U000e0140", "\ufe00\ufe01", "\u202e"],
    ids=["tags", "selector supplement", "selectors", "override"],
)
def test_characters_that_carry_a_hidden_message_quarantine_the_text(carrier: str) -> None:
    assert _defect(f"Lamps{carrier} may be returned.") is Defect.HIDDEN_TEXT


@pytest.mark.parametrize("text", ["", "   \n", "?!…", "\u200b\u200b"])
def test_text_without_a_word_is_refused(text: str) -> None:
    assert _defect(text) is Defect.NO_TEXT


def test_text_above_the_limit_is_refused_by_its_bytes() -> None:
    assert _defect("ß" * 51, max_bytes=101) is Defect.TOO_LONG
    assert isinstance(screen("ß" * 50, max_bytes=101), NormalisedText)


def test_lone_surrogates_are_refused() -> None:
    assert _defect("word \ud800") is Defect.ENCODING


@pytest.mark.parametrize("title", ["می\u200cخواهم بروم", "क्\u200dष", "👩\u200d🚀 crew"])
def test_a_title_keeps_the_joiners_of_its_script(title: str) -> None:
    assert clean_title(title) == title
    assert clean_title("Ret\u200durns\u200c") == "Returns"


def test_a_title_is_one_short_clean_line() -> None:
    assert clean_title(" Return\n\tpolicy\u200b \u202e" + "x" * 500) == ("Return policy " + "x" * 500)[:200]


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_screening_twice_is_screening_once(text: str) -> None:
    once = screen(text, max_bytes=10_000)
    if isinstance(once, NormalisedText):
        assert screen(once.text, max_bytes=10_000) == NormalisedText(text=once.text, removed=0)
    assert clean_title(text).replace("\u200c", "").replace("\u200d", "").isprintable()
