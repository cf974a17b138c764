"""Bytes to text as browsers read them."""

import pytest

from sealserve.intake.charsets import declared_charset, decode
from sealserve.intake.media_types import Claimed, Defect, MediaType, Unreadable


def _plain(content: bytes, charset: str) -> str | Unreadable:
    return decode(content, Claimed(media_type=MediaType.PLAIN, charset=charset))


def _page(content: bytes) -> str | Unreadable:
    return decode(content, Claimed(media_type=MediaType.HTML, charset=""))


@pytest.mark.parametrize(
    ("label", "content", "text"),
    [
        ("latin1", b"45 \x80 \x93so\x94 \x96 \x85", "45 € “so” – …"),
        ("us-ascii", b"caf\xe9 \x92", "café ’"),
        ("iso-8859-1", b"\x81", "\x81"),
        ("iso-8859-15", b"\xa4", "€"),
        ("shift_jis", b"\x87\x40 \x87\x8a", "① ㈱"),
        ("x-sjis", "髙".encode("cp932"), "髙"),
        ("windows-31j", b"\x81\x60", "～"),
        ("euc-jp", b"\xad\xa1 \xb7\xeb a \x8e\xb1 \x8f\xb0\xa1", "① 結 a ｱ 丂"),
        ("iso-2022-jp", b"a \x1b$B-!F|\x1b(B b", "a ①日 b"),
        ("gb2312", b"\x80\xc4\xe3\xe9F", "€你镕"),
        ("gbk", "𠮷".encode("gb18030"), "𠮷"),
        ("euc-kr", "똠".encode("cp949"), "똠"),
        ("big5", "嘅".encode("big5hkscs"), "嘅"),
        ("tis-620", "ไทย €".encode("cp874"), "ไทย €"),
        ("macintosh", b"caf\x8e", "café"),
        ("koi8-r", "дом".encode("koi8-r"), "дом"),
        ("windows-1253", b"\x81\xe1", "\x81α"),
        ("iso-8859-8-i", b"\xe0", "א"),
        ("utf-16", "Größe".encode("utf-16-le"), "Größe"),
        ("utf-16be", "Größe".encode("utf-16-be"), "Größe"),
        ("utf-16", "Größe 3".encode(), "Größe 3"),
        ("UTF8", "Größe".encode(), "Größe"),
        ("latin1", "\ufeffGröße".encode(), "Größe"),
    ],
)
def test_a_label_means_what_browsers_take_it_for(label: str, content: bytes, text: str) -> None:
    assert _plain(content, label.lower()) == text


@pytest.mark.parametrize(
    "label", ["x-user-defined", "iso-2022-kr", "hz-gb-2312", "utf-7", "idna", "unicode_escape", "x"]
)
def test_what_no_browser_decodes_is_refused_by_name(label: str) -> None:
    found = _plain(b"word", label)
    assert isinstance(found, Unreadable)
    assert (found.defect, label in found.advice) == (Defect.ENCODING, True)


@pytest.mark.parametrize(
    ("content", "label"),
    [
        (b"<meta charset=shift_jis>", "shift_jis"),
        (b'<meta content="text/html; charset=koi8-r" http-equiv="Content-Type">', "koi8-r"),
        (b'<meta name="d" content="charset=koi8-r"><meta charset="gbk">', "gbk"),
        (b"<!-- <meta charset=gbk> --><meta charset='big5'>", "big5"),
        (b"<?xml version='1.0' encoding='windows-1252'?><html>", "windows-1252"),
        (b"<?xml version='1.0' encoding='latin1'?><meta charset=gbk>", "gbk"),
        (b"<p>" + b"x" * 2000 + b"<meta charset=gbk>", "gbk"),
        (b"<p>charset=gbk", ""),
    ],
)
def test_a_page_declares_its_charset(content: bytes, label: str) -> None:
    assert declared_charset(content) == label


def test_a_page_that_says_utf_16_in_ascii_is_utf_8() -> None:
    assert _page("<meta charset=utf-16><p>Größe".encode()) == "<meta charset=utf-16><p>Größe"


def test_a_page_with_an_unknown_label_is_utf_8_or_refused() -> None:
    assert _page("<meta charset=klingon><p>Größe".encode()) == "<meta charset=klingon><p>Größe"
    assert isinstance(_page(b"<meta charset=klingon><p>Gr\xf6\xdfe"), Unreadable)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_known_by_its_zeros(encoding: str) -> None:
    assert _plain("Größe 3 – rot".encode(encoding), "") == "Größe 3 – rot"


@pytest.mark.parametrize("content", ["Größe".encode("latin-1"), "日本".encode("shift_jis"), b"\xff"])
def test_an_encoding_is_never_guessed(content: bytes) -> None:
    found = _plain(content, "")
    assert isinstance(found, Unreadable)
    assert found.defect is Defect.ENCODING
