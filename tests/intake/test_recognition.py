"""The bytes decide what a file is; text is read as what it is said to be, unless it is plainly something else."""

import pytest

from sealserve.intake.media_types import SUFFIXES, Claimed, Defect, MediaType, Unreadable
from sealserve.intake.recognition import recognise


def _kind(content: bytes | str, media_type: str = "text/plain") -> MediaType | Defect:
    found = recognise(content if isinstance(content, bytes) else content.encode(), media_type=media_type)
    return found.media_type if isinstance(found, Claimed) else found.defect


PAGE = "<!DOCTYPE html><html><body>x"
MAIL = "From: Mira <m@oster.example>\nMIME-Version: 1.0\nSubject: Dogs\n\nFree."
TABLE = "name,price,since\nlamp,45,2024\nfoot,30,2025\n"


@pytest.mark.parametrize(
    ("content", "media_type", "kind"),
    [
        (PAGE, "text/markdown", MediaType.HTML),
        ("<?xml version='1.0'?>\n<html xmlns='x'>", "text/plain", MediaType.HTML),
        ("<!-- saved -->\n<html>", "text/plain", MediaType.HTML),
        (PAGE.encode("utf-16"), "text/plain", MediaType.HTML),
        ("<div>A fragment</div>", "text/markdown", MediaType.MARKDOWN),
        ("The tag <html> begins a page.", "text/plain", MediaType.PLAIN),
        ("# Heading\n\nNo tag at all.", "text/html", MediaType.PLAIN),
        (MAIL, "text/plain", MediaType.EML),
        ("From: here\nTo: there\n\nBy ferry.", "text/plain", MediaType.PLAIN),
        ("Note: bring a towel.", "text/plain", MediaType.PLAIN),
        ('{"a": 1}', "text/plain", MediaType.JSON),
        ('[{"a": 1}]', "application/octet-stream", MediaType.JSON),
        ("[1, 2]", "text/plain", MediaType.PLAIN),
        ("{braces} in prose", "text/plain", MediaType.PLAIN),
        (TABLE, "text/plain", MediaType.CSV),
        (TABLE.replace(",", ";"), "text/plain", MediaType.CSV),
        (TABLE.replace(",", "\t"), "text/plain", MediaType.TSV),
        (TABLE, "text/markdown", MediaType.MARKDOWN),
        ("Roses are red, violets are blue\nSugar is sweet, and so are you\nLamps are lit, the day is new", "text/plain", MediaType.PLAIN),
        ("One,two.\nThree,four.\nFive,six.", "text/plain", MediaType.PLAIN),
        ("Hello, Mira\nfine,thanks\nyes,no", "text/plain", MediaType.PLAIN),
        ("name,price\nlamp,45,9\nfoot,30", "text/plain", MediaType.PLAIN),
        (b"PK\x03\x04rest", "application/pdf", Defect.MISMATCH),
        (b"{\\rtf1 x", "text/plain", Defect.MISMATCH),
        ("words", str(MediaType.DOCX), Defect.MISMATCH),
        ("words", "application/octet-stream", MediaType.PLAIN),
        ("words", "application/msword", Defect.UNKNOWN_MEDIA_TYPE),
    ],
)  # fmt: skip
def test_a_file_is_recognised(content: bytes | str, media_type: str, kind: MediaType | Defect) -> None:
    assert _kind(content, media_type) is kind


def test_the_charset_that_a_sender_names_is_kept() -> None:
    found = recognise(TABLE.encode(), media_type="text/plain; charset=latin1")
    assert found == Claimed(media_type=MediaType.CSV, charset="latin1")


def test_every_format_has_an_ending() -> None:
    assert set(SUFFIXES.values()) == set(MediaType)


def test_an_office_file_under_another_name_says_what_it_is_where_it_is_damaged() -> None:
    found = recognise(b"PK\x03\x04rest", media_type="text/html")
    assert isinstance(found, Unreadable)
    assert "ZIP or Office" in found.advice
