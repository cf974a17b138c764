"""Bytes to text and title, for good and hostile files of every format."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealserve.intake import parse as parse_module
from sealserve.intake.media_types import Defect, MediaType, Parsed, Unreadable
from sealserve.intake.normalise import NormalisedText, screen
from sealserve.intake.parse import missing_parser, parse
from sealserve.intake.readers.html.html_pages import read_html
from tests.intake.samples import SENTENCE, blank_pdf, page, pdf


def _parsed(content: bytes, media_type: str) -> Parsed:
    found = parse(content, media_type=media_type)
    assert isinstance(found, Parsed), found
    return found


def _page(content: bytes) -> Parsed:
    found = read_html(content)
    assert isinstance(found, Parsed), found
    return found


def _defect(content: bytes, media_type: str) -> Defect:
    found = parse(content, media_type=media_type)
    assert isinstance(found, Unreadable), found
    assert found.advice
    return found.defect


def test_plain_text_is_taken_as_it_is() -> None:
    assert _parsed("Größe 3\r\nrot\r".encode(), "text/plain") == Parsed(title="", text="Größe 3\nrot\n")


@pytest.mark.parametrize(
    ("text", "title", "body"),
    [
        ("---\ntitle: 'Return policy'\ntags: [a]\n---\n# Other\nText", "Return policy", "# Other\nText"),
        ("Intro\n\n## Return policy ##\nText", "Return policy", "Intro\n\n## Return policy ##\nText"),
        ("Return policy\n=====\nText", "Return policy", "Return policy\n=====\nText"),
        ("---\nno end\nText", "", "---\nno end\nText"),
        ("Text only", "", "Text only"),
    ],
)
def test_markdown_names_itself_by_front_matter_or_first_heading(text: str, title: str, body: str) -> None:
    assert _parsed(text.encode(), "text/markdown") == Parsed(title=title, text=body)


def test_html_gives_its_title_and_main_text() -> None:
    found = _parsed(page(f"<nav>Home</nav><h1>Returns</h1><p>{SENTENCE}</p>", title=" Our \n shop "), "text/html")
    assert found.title == "Our shop"
    assert SENTENCE in found.text
    assert "Home" not in found.text


@pytest.mark.parametrize(
    "hidden",
    [
        "<p style='color:#fff'>secret</p>",
        "<p style='color: rgb(254, 254, 254); background: white'>secret</p>",
        "<p style='color:#111;background-color:#121212'>secret</p>",
        "<font color=white>secret</font>",
        "<p style='color: transparent'>secret</p>",
        "<p style='font-size: 2px'>secret</p>",
        "<p style='font-size:.1em'>secret</p>",
        "<div style='position:absolute; left:-5000px'>secret</div>",
        "<p style='text-indent:-9999em'>secret</p>",
        "<p style='clip: rect(0 0 0 0)'>secret</p>",
        "<p style='clip-path: inset(100%)'>secret</p>",
        "<div style='height:0;overflow:hidden'>secret</div>",
        "<style>.fine, #x { display: none }</style><p class='big fine'>secret</p>",
        "<input type=hidden value=secret><img alt='secret' src='a.png' title='secret'>",
        "<p data-note='secret' aria-label='secret'></p>",
    ],
)
def test_no_style_hides_words_from_the_reader_alone(hidden: str) -> None:
    text = _page(page(f"<p>{SENTENCE}</p>{hidden}<p>End here.</p>")).text
    assert text.split("\n\n") == [SENTENCE, "End here."]


@pytest.mark.parametrize(
    "shown",
    [
        "<p style='color:#fff; background-color:#003366'>Shown</p>",
        "<p style='color:#777'>Shown</p>",
        "<p style='font-size:9px'>Shown</p>",
        "<p style='line-height:1px; margin-left:-10px; left: 20px'>Shown</p>",
        "<style>.menu { display: none } .text { color: black }</style><p class='text'>Shown</p>",
        "<div style='width:100%; height:10px'>Shown</div>",
    ],
)
def test_a_style_that_shows_its_words_costs_none(shown: str) -> None:
    found = _page(page(f"<p>{SENTENCE}</p>{shown}<p>End here.</p>"))
    assert (found.text.split("\n\n"), found.hidden) == ([SENTENCE, "Shown", "End here."], 0)


def test_html_that_a_reader_cannot_see_is_left_out() -> None:
    hidden = (
        "<p style='DISPLAY : none'>secret one</p><p hidden>secret two</p>"
        "<script>secret four</script><!-- secret five --><span style='font-size:0px'>secret six</span>"
        "<p style='opacity:0.0'>secret seven</p><template><p>secret eight</p></template>"
        "<noscript>secret nine</noscript>"
    )
    text = _parsed(page(f"<p>{SENTENCE}</p>{hidden}<p style='opacity:0.5'>End here.</p>"), "text/html").text
    assert text.split("\n\n") == [SENTENCE, "End here."]


def test_html_without_an_article_gives_all_its_text() -> None:
    found = _parsed(b"<aside>Red <ul><li>3 <b>kg</b></ul></aside>", "text/html")
    assert found.text == "Red\n\n- 3 kg"


def test_html_says_its_own_encoding() -> None:
    body = b"<body><p>Gr\xf6\xdfe</p></body>"
    assert "Größe" in _parsed(b"<meta charset='iso-8859-1'>" + body, "text/html").text
    assert "Größe" in _parsed(body, "text/html; charset=ISO-8859-1").text
    assert _defect(body, "text/html") is Defect.ENCODING


def test_pdf_gives_its_title_and_text_layer() -> None:
    found = _parsed(pdf(title="Return policy"), "application/pdf")
    assert (found.title, found.text) == ("Return policy", SENTENCE)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_believed(encoding: str) -> None:
    assert _parsed("Größe".encode(encoding), "text/plain").text == "Größe"


def test_a_declared_charset_is_believed() -> None:
    assert _parsed("Größe".encode("latin-1"), 'text/plain; charset="latin1"').text == "Größe"


@pytest.mark.parametrize(
    ("content", "media_type", "defect"),
    [
        ("Größe".encode("latin-1"), "text/plain", Defect.ENCODING),
        ("Größe".encode("utf-16")[:-1], "text/plain", Defect.ENCODING),
        (b"words", "text/plain; charset=idna", Defect.ENCODING),
        (b"words", "text/plain; charset=klingon", Defect.ENCODING),
        (b"6869", "text/plain; charset=hex", Defect.ENCODING),
        (bytes(range(256)) * 8, "text/plain", Defect.BINARY),
        (b"\x01\x02\x03 abc", "text/markdown", Defect.BINARY),
        (b"\x89PNG\r\n\x1a\n0000", "text/plain", Defect.MISMATCH),
        (b"PK\x03\x04rest", "text/html", Defect.MISMATCH),
        (b"just words", "application/pdf", Defect.MISMATCH),
        (b"words", "application/msword", Defect.UNKNOWN_MEDIA_TYPE),
        (b"words", "", Defect.UNKNOWN_MEDIA_TYPE),
        (b"words", "\x00\xff;;=;charset", Defect.UNKNOWN_MEDIA_TYPE),
    ],
)
def test_what_is_no_text_is_named_without_starting_a_parser(content: bytes, media_type: str, defect: Defect) -> None:
    assert _defect(content, media_type) is defect


@pytest.mark.parametrize("media_type", ["text/plain", "text/html", "application/octet-stream", "application/msword"])
def test_a_file_is_what_its_bytes_say(media_type: str) -> None:
    assert _parsed(pdf(), media_type).text == SENTENCE
    assert SENTENCE in _parsed(page(f"<p>{SENTENCE}</p>"), media_type.replace("msword", "pdf")).text


@pytest.mark.parametrize(
    ("content", "media_type", "defect"),
    [
        (b"%PDF-1.4 rubbish", "application/pdf", Defect.BROKEN),
        (pdf()[:200], "application/pdf", Defect.BROKEN),
        (pdf(password="s3cret"), "application/pdf", Defect.ENCRYPTED),
        (blank_pdf(), "application/pdf", Defect.NO_TEXT),
        (b"<!-- nothing -->", "text/html", Defect.NO_TEXT),
    ],
)
def test_a_damaged_or_locked_file_says_what_to_do(content: bytes, media_type: str, defect: Defect) -> None:
    assert _defect(content, media_type) is defect


def test_a_file_its_parser_cannot_cope_with_is_broken_and_not_a_crash() -> None:
    odd = pdf().replace(b"/Kids [3 0 R]", b"/Kids [9 0 R]")
    assert _defect(odd, "application/pdf") is Defect.BROKEN


def test_formats_without_their_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [name for one in MediaType if (name := missing_parser(one.value))] == []
    monkeypatch.setattr(parse_module, "find_spec", lambda _: None)
    missing = {name for one in MediaType if (name := missing_parser(one.value))}
    assert missing == {"HTML", "PDF", "DOCX", "PPTX", "XLSX", "EPUB", "EML"}
    found = parse(pdf(), media_type="text/plain")
    assert isinstance(found, Unreadable)
    assert (found.defect, "reads no PDF" in found.advice) == (Defect.UNKNOWN_MEDIA_TYPE, True)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["text/plain", "text/markdown", "text/plain; charset=utf-16"]))
def test_any_bytes_are_read_or_named(content: bytes, media_type: str) -> None:
    found = parse(content, media_type=media_type)
    if isinstance(found, Parsed):
        screened = screen(found.text, max_bytes=10_000)
        assert isinstance(screened, NormalisedText | Unreadable)
    else:
        assert found.advice


@given(st.text(max_size=80))
def test_any_media_type_is_known_or_named(media_type: str) -> None:
    found = parse(b"words", media_type=media_type)
    assert isinstance(found, Parsed) or found.defect in (Defect.UNKNOWN_MEDIA_TYPE, Defect.ENCODING, Defect.MISMATCH)
