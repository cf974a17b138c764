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


@pytest.mark.parametrize(
    "hiding", ["\u200b", "\u00ad", "\ufeff", "\u2060", "\u200d", "\u202a", "\u2067", "\x08", "\x9b"]
)
def test_characters_that_only_hide_are_taken_out(hiding: str) -> None:
    assert _screened(f"pass{hiding}word") == NormalisedText(text="password", removed=1)


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


def test_a_title_is_one_short_clean_line() -> None:
    assert clean_title(" Return\n\tpolicy\u200b \u202e" + "x" * 500) == ("Return policy " + "x" * 500)[:200]


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_screening_twice_is_screening_once(text: str) -> None:
    once = screen(text, max_bytes=10_000)
    if isinstance(once, NormalisedText):
        assert screen(once.text, max_bytes=10_000) == NormalisedText(text=once.text, removed=0)
    assert clean_title(text).isprintable()
