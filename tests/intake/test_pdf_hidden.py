"""Words in a PDF that a reader of the page does not see are not learned, and what is seen is, however it is drawn."""

import pytest

from sealserve.intake.media_types import Defect, Parsed, Unreadable
from sealserve.intake.pdf.reading import read_pdf
from tests.intake.pdf_files import Extra, Leaf, pdf_of, stream, text

SEEN = "Kettles are repaired within six weeks."
SECRET = "The repair of kettles takes ninety weeks."
SHOWN = text(60, 700, SEEN)
BELOW = 650
_WHITE, _BLACK = "1 1 1 rg", "0 0 0 rg"

_STATES = "/ExtGState << /Faint << /ca 0 /CA 0 >> /Nearly << /ca 0.03 >> /Half << /ca 0.6 >> >>"
_LAYERS = "/Properties << /Off 100 0 R /On 101 0 R >>"
_RESOURCES = f"{_STATES} {_LAYERS} /XObject << /Image 102 0 R /Form 103 0 R /Rules 104 0 R >>"
_FORM = text(60, BELOW, SECRET, before="3 Tr").encode()
_GREY_PIXELS = bytes((17 * (n * n + 3 * n)) % 200 for n in range(64 * 64))
_EXTRA = Extra(
    catalog="/OCProperties << /OCGs [100 0 R 101 0 R] /D << /ON [101 0 R] /OFF [100 0 R] >> >>",
    objects={
        100: b"<< /Type /OCG /Name (Drafts) >>",
        101: b"<< /Type /OCG /Name (Text) >>",
        102: stream(
            b"\xff" * 16,
            "/Type /XObject /Subtype /Image /Width 4 /Height 4 /ColorSpace /DeviceGray /BitsPerComponent 8",
        ),
        103: stream(_FORM, "/Type /XObject /Subtype /Form /BBox [0 0 595 842] /Resources << /Font << /F1 10 0 R >> >>"),
        104: stream(
            _GREY_PIXELS,
            "/Type /XObject /Subtype /Image /Width 64 /Height 64 /ColorSpace /DeviceGray /BitsPerComponent 8",
        ),
    },
)

HIDDEN = {
    "render mode 3": text(60, BELOW, SECRET, before="3 Tr"),
    "render mode 7": text(60, BELOW, SECRET, before="7 Tr"),
    "white on white": text(60, BELOW, SECRET, before=_WHITE),
    "nearly white": text(60, BELOW, SECRET, before="0.96 0.97 0.96 rg"),
    "white by another colour space": text(60, BELOW, SECRET, before="0 0 0 0 k"),
    "blue on the same blue": f"0 0 0.6 rg 40 {BELOW - 20} 500 60 re f\n" + text(60, BELOW, SECRET, before="0 0 0.6 rg"),
    "white on a white picture": f"q 500 0 0 60 40 {BELOW - 20} cm /Image Do Q\n"
    + text(60, BELOW, SECRET, before=_WHITE),
    "one point": text(60, BELOW, SECRET, size=1),
    "large letters, scaled down": f"q 0.05 0 0 0.05 60 {BELOW} cm {text(0, 0, SECRET, size=12)} Q\n",
    "squeezed": text(60, BELOW, SECRET, before="1 Tz"),
    "below the page": text(60, -40, SECRET),
    "right of the page": text(700, BELOW, SECRET),
    "covered by a box": text(60, BELOW, SECRET) + f"1 1 1 rg 40 {BELOW - 20} 500 60 re f\n",
    "covered by a picture": text(60, BELOW, SECRET) + f"q 500 0 0 60 40 {BELOW - 20} cm /Image Do Q\n",
    "covered by a box with words": text(60, BELOW, SECRET)
    + f"0.9 1 0.9 rg 40 {BELOW - 20} 500 60 re f\n"
    + text(60, BELOW, "Open on every day of the week, at nine.", before=_BLACK),
    "layer off": f"/OC /Off BDC {text(60, BELOW, SECRET)} EMC\n",
    "transparent": text(60, BELOW, SECRET, before="/Faint gs"),
    "nearly transparent": text(60, BELOW, SECRET, before="/Nearly gs"),
    "clipped away": f"q 0 0 10 10 re W n {text(60, BELOW, SECRET)} Q\n",
    "invisible below what is seen": text(60, 700, SECRET, before="3 Tr"),
    "white below what is seen": text(60, 698, SECRET, before=_WHITE),
    "in a form": "/Form Do\n",
    "in place of what is drawn": f"/Span << /ActualText ({SECRET}) >> BDC {text(60, BELOW, '.')} EMC\n",
    "white between lines of a table": "".join(f"0 G 40 {BELOW + dy} m 500 {BELOW + dy} l S\n" for dy in (-3, 4, 11))
    + text(60, BELOW, SECRET, before=_WHITE),
}

VISIBLE = {
    "white on a dark box": f"0.1 0.1 0.4 rg 40 {BELOW - 20} 500 60 re f\n" + text(60, BELOW, SECRET, before=_WHITE),
    "white on a dark picture": f"q 500 0 0 60 40 {BELOW - 20} cm /Rules Do Q\n"
    + text(60, BELOW, SECRET, size=14, before=_WHITE),
    "a footnote": text(60, BELOW, SECRET, size=6),
    "grey small print": text(60, BELOW, SECRET, size=7, before="0.55 0.55 0.55 rg"),
    "outlined": text(60, BELOW, SECRET, before="1 Tr 0.5 w"),
    "layer on": f"/OC /On BDC {text(60, BELOW, SECRET)} EMC\n",
    "half transparent": text(60, BELOW, SECRET, before="/Half gs"),
    "in red on green of the same brightness": f"0 0.5 0 rg 40 {BELOW - 20} 500 60 re f\n"
    + text(60, BELOW, SECRET, before="0.98 0 0 rg"),
    "within a clip": f"q 40 {BELOW - 20} 500 60 re W n {text(60, BELOW, SECRET)} Q\n",
    "drawn twice": 2 * text(60, BELOW, SECRET),
    "with a shadow": text(61, BELOW - 1, SECRET, before="0.8 g") + text(60, BELOW, SECRET),
    "under a highlighter": text(60, BELOW, SECRET) + f"q /Half gs 1 1 0 rg 40 {BELOW - 20} 500 60 re f Q\n",
    "letter by letter": "".join(text(60 + 8 * n, BELOW, letter) for n, letter in enumerate(SECRET) if letter != " "),
}


def _read(content: str, *, entries: str = "") -> Parsed:
    found = read_pdf(pdf_of(Leaf(content=content, resources=_RESOURCES, entries=entries), extra=_EXTRA))
    assert isinstance(found, Parsed), found
    return found


@pytest.mark.parametrize("way", HIDDEN)
def test_words_that_no_reader_sees_are_left_out_and_counted(way: str) -> None:
    found = _read(SHOWN + HIDDEN[way])
    assert "ninety" not in found.text
    assert SEEN in found.text
    assert found.hidden >= (0 if way == "in place of what is drawn" else 1)


@pytest.mark.parametrize("way", VISIBLE)
def test_words_that_a_reader_sees_are_kept(way: str) -> None:
    found = _read(SHOWN + VISIBLE[way])
    assert "ninety" in found.text.replace(" ", "")
    assert (SEEN in found.text, found.hidden) == (True, 0)


def test_words_outside_the_crop_box_are_hidden() -> None:
    found = _read(SHOWN + text(60, 60, SECRET), entries="/CropBox [0 400 595 842]")
    assert (found.text, found.hidden) == (SEEN, 1)


def test_a_turned_page_is_judged_as_it_is_displayed() -> None:
    found = _read(SHOWN + text(60, BELOW, SECRET, before=_WHITE), entries="/Rotate 90")
    assert (found.text, found.hidden) == (SEEN, 1)


def test_a_part_of_a_word_can_be_hidden() -> None:
    content = "BT /F1 12 Tf 60 700 Td (Kettles take nine) Tj 1 g (ty) Tj 0 g ( weeks.) Tj ET"
    found = _read(content)
    assert (found.text, found.hidden) == ("Kettles take nine weeks.", 1)


def test_the_invisible_layer_of_a_scan_is_its_text() -> None:
    picture = "q 595 0 0 842 0 0 cm /Rules Do Q\n"
    over = picture + text(60, 700, SEEN, before="3 Tr") + text(60, 600, "Spoons are not.", before="3 Tr")
    below = text(60, 700, SEEN) + text(60, 600, "Spoons are not.") + picture
    for content in (over, below):
        found = _read(content)
        assert (found.text, found.hidden) == (f"{SEEN}\n\nSpoons are not.", 0)


def test_invisible_words_over_an_empty_picture_are_no_scan() -> None:
    content = "q 595 0 0 842 0 0 cm /Image Do Q\n" + text(60, 600, SECRET, before="3 Tr")
    found = read_pdf(pdf_of(SHOWN, Leaf(content=content, resources=_RESOURCES), extra=_EXTRA))
    assert isinstance(found, Parsed)
    assert (found.text, found.hidden) == (SEEN, 1)


def test_invisible_words_on_a_picture_beside_seen_ones_are_hidden() -> None:
    picture = "q 595 0 0 300 0 0 cm /Rules Do Q\n"
    found = _read(SHOWN + picture + text(60, 200, SECRET, before="3 Tr"))
    assert (found.text, found.hidden) == (SEEN, 1)


def test_much_invisible_text_over_a_small_picture_is_no_scan() -> None:
    picture = "q 500 0 0 300 40 40 cm /Rules Do Q\n"
    hidden = "".join(text(60, 60 + 20 * row, f"{SECRET} {SECRET}", before="3 Tr") for row in range(10))
    found = _read(SHOWN + picture + hidden)
    assert (found.text, found.hidden) == (SEEN, 10)


def test_a_layer_whose_pictures_are_gone_is_all_there_is() -> None:
    found = _read(text(60, 700, SEEN, before="3 Tr"))
    assert (found.text, found.hidden) == (SEEN, 0)


def test_a_file_of_white_words_only_is_refused() -> None:
    found = read_pdf(pdf_of(text(60, 700, SECRET, before=_WHITE)))
    assert isinstance(found, Unreadable)
    assert found.defect is Defect.HIDDEN_TEXT


_APPEARANCE = stream(
    text(2, 5, "Paid on arrival", size=10).encode(),
    "/Type /XObject /Subtype /Form /BBox [0 0 200 20] /Resources << /Font << /F1 10 0 R >> >>",
)


def test_what_notes_and_form_fields_print_is_read_and_what_they_keep_is_counted() -> None:
    objects = {
        100: b"<< /Type /Annot /Subtype /FreeText /Rect [60 500 260 520] /F 4 /Contents (x) /AP << /N 101 0 R >> >>",
        101: _APPEARANCE,
        102: b"<< /Type /Annot /Subtype /Text /Rect [300 500 320 520] /F 4 /Contents (ninety weeks) >>",
        103: b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (a) /V (Mira Holt) /Rect [60 450 260 470] /F 4"
        b" /DA (/F1 10 Tf 0 g) /AP << /N 104 0 R >> >>",
        104: _APPEARANCE.replace(b"Paid on arrival", b"Signed by Mira!"),
        105: b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (b) /V (ninety weeks) /Rect [60 400 260 420] /F 2"
        b" /DA (/F1 10 Tf 0 g) /AP << /N 101 0 R >> >>",
        106: b"<< /Type /Annot /Subtype /Link /Rect [60 695 200 710] /A << /S /URI /URI (http://ninety.weeks) >> >>",
    }
    notes = "/Annots [100 0 R 102 0 R 103 0 R 105 0 R 106 0 R]"
    extra = Extra(objects=objects, catalog="/AcroForm << /Fields [103 0 R 105 0 R] >>")
    found = read_pdf(pdf_of(Leaf(content=SHOWN, entries=notes), extra=extra))
    assert isinstance(found, Parsed)
    assert found.text.split("\n\n") == [SEEN, "Paid on arrival", "Signed by Mira!"]
    assert found.hidden == 1


def test_scripts_and_attached_files_are_counted_and_not_read() -> None:
    catalog = (
        "/Names << /JavaScript << /Names [(a) << /S /JavaScript /JS (ninety weeks) >>] >>"
        " /EmbeddedFiles << /Names [(b.txt) 100 0 R] >> >>"
    )
    objects = {
        100: b"<< /Type /Filespec /F (b.txt) /UF (b.txt) /EF << /F 101 0 R >> >>",
        101: stream(b"ninety weeks", "/Type /EmbeddedFile"),
    }
    found = read_pdf(pdf_of(SHOWN, extra=Extra(catalog=catalog, objects=objects)))
    assert isinstance(found, Parsed)
    assert (found.text, found.hidden) == (SEEN, 2)
