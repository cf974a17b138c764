"""Word files, slides, workbooks and e-books: what they show is read with its structure, what they hide is counted."""

from typing import Any

import pytest
from docx.enum.style import WD_STYLE_TYPE
from openpyxl.comments import Comment
from openpyxl.styles import Font, PatternFill
from pptx.dml.color import RGBColor
from pptx.util import Inches, Pt

from sealserve.intake.media_types import Defect, MediaType, Parsed, Unreadable
from sealserve.intake.parse import parse
from tests.intake.readers.office_samples import (
    changed,
    ebook,
    package,
    slides,
    text_box,
    word,
    word_xml,
    workbook,
)  # fmt: skip

SEEN, SECRET = "The ferry leaves at noon.", "Dogs pay two crowns."


def _read(content: bytes, media_type: str = "text/plain") -> Parsed:
    found = parse(content, media_type=media_type)
    assert isinstance(found, Parsed), found
    return found


def _defect(content: bytes, media_type: str = "text/plain") -> Defect:
    found = parse(content, media_type=media_type)
    assert isinstance(found, Unreadable), found
    assert found.advice
    return found.defect


def test_a_word_file_keeps_its_structure() -> None:
    def write(document: Any) -> None:
        document.add_heading("Ferry", 0)
        document.add_heading("Fares", 2)
        document.add_paragraph(SEEN)
        document.add_paragraph("dogs", style="List Bullet")
        document.add_paragraph("cats", style="List Bullet")
        document.add_paragraph("Pay", style="List Number")
        document.add_paragraph("Board", style="List Number")
        code = document.styles.add_style("Source Code", WD_STYLE_TYPE.PARAGRAPH)
        for line in ("ferry --book", "  --dogs 2"):
            document.add_paragraph(line, style=code)
        table = document.add_table(rows=3, cols=3)
        for row, words in enumerate((("Who", "Price", "Price"), ("Adult", "one way", "9"), ("", "return", "16"))):
            for column, one in enumerate(words):
                table.cell(row, column).text = one
        table.cell(0, 1).merge(table.cell(0, 2)).text = "Price"
        table.cell(1, 0).merge(table.cell(2, 0)).text = "Adult"

    found = _read(word(write))
    assert (found.title, found.hidden) == ("Ferry", 0)
    assert found.text.split("\n\n") == [
        "# Ferry",
        "## Fares",
        SEEN,
        "- dogs\n- cats\n1. Pay\n2. Board",
        "```\nferry --book\n  --dogs 2\n```",
        "| Who | Price | Price |\n| --- | --- | --- |\n| Adult | one way | 9 |\n| Adult | return | 16 |",
    ]


HIDDEN_RUNS = {
    "hidden": "<w:rPr><w:vanish/></w:rPr>",
    "white": '<w:rPr><w:color w:val="FFFFFF"/></w:rPr>',
    "nearly white": '<w:rPr><w:color w:val="FDFDFD"/></w:rPr>',
    "white by the theme": '<w:rPr><w:color w:themeColor="background1"/></w:rPr>',
    "black on black": '<w:rPr><w:color w:val="000000"/><w:shd w:fill="000000"/></w:rPr>',
    "one point": '<w:rPr><w:sz w:val="2"/></w:rPr>',
}
SHOWN_RUNS = {
    "not hidden after all": '<w:rPr><w:vanish w:val="0"/></w:rPr>',
    "white on blue": '<w:rPr><w:color w:val="FFFFFF"/><w:shd w:fill="003366"/></w:rPr>',
    "white on a marker": '<w:rPr><w:color w:val="FFFFFF"/><w:highlight w:val="darkBlue"/></w:rPr>',
    "grey": '<w:rPr><w:color w:val="808080"/></w:rPr>',
    "automatic": '<w:rPr><w:color w:val="auto"/></w:rPr>',
}


@pytest.mark.parametrize("kind", [*HIDDEN_RUNS, *SHOWN_RUNS])
def test_letters_of_a_word_file_that_no_reader_sees_are_taken_out_and_counted(kind: str) -> None:
    look = {**HIDDEN_RUNS, **SHOWN_RUNS}[kind]
    found = _read(word_xml(f"<w:p><w:r><w:t>{SEEN}</w:t></w:r><w:r>{look}<w:t>{SECRET}</w:t></w:r></w:p>"))
    assert SEEN in found.text
    assert (SECRET in found.text, found.hidden) == ((True, 0) if kind in SHOWN_RUNS else (False, 1))


def test_tracked_changes_are_read_as_accepted() -> None:
    found = _read(
        word_xml(
            f"<w:p><w:r><w:t>{SEEN} </w:t></w:r><w:del><w:r><w:delText>{SECRET}</w:delText></w:r></w:del>"
            "<w:ins><w:r><w:t>Cats are free.</w:t></w:r></w:ins></w:p>",
            "<w:p><w:r><w:fldChar/><w:instrText>HYPERLINK secret</w:instrText><w:t>Fares</w:t></w:r></w:p>",
        )
    )
    assert (found.text, found.hidden) == (f"{SEEN} Cats are free.\n\nFares", 1)


def test_comments_and_styles_that_hide_are_counted() -> None:
    def write(document: Any) -> None:
        style = document.styles.add_style("Quiet", WD_STYLE_TYPE.PARAGRAPH)
        style.font.hidden = True
        document.add_paragraph(SECRET, style=style)
        run = document.add_paragraph(SEEN).runs[0]
        document.add_comment(run, text="Ask Mira", author="Otto", initials="O")

    found = _read(word(write))
    assert (found.text, found.hidden) == (SEEN, 2)


def test_text_in_boxes_and_content_controls_is_read() -> None:
    found = _read(
        word_xml(
            f"<w:sdt><w:sdtContent><w:p><w:r><w:t>{SEEN}</w:t></w:r></w:p></w:sdtContent></w:sdt>",
            f"<w:p><w:r><w:pict><w:txbxContent><w:p><w:r><w:t>{SECRET}</w:t></w:r></w:p></w:txbxContent></w:pict></w:r></w:p>",
        )
    )
    assert found.text == f"{SEEN}\n\n{SECRET}"


def test_slides_keep_titles_lists_and_tables() -> None:
    def write(slide: Any) -> None:
        text_box(slide, SEEN, top=2)
        grid = slide.shapes.add_table(2, 2, Inches(1), Inches(4), Inches(4), Inches(1)).table
        for row, words in enumerate((("Who", "Price"), ("Adult", "9"))):
            for column, one in enumerate(words):
                grid.cell(row, column).text = one

    found = _read(slides(write))
    assert (found.title, found.hidden) == ("Fares", 0)
    assert found.text == f"## Fares\n\n{SEEN}\n\n| Who | Price |\n| --- | --- |\n| Adult | 9 |"


def _note(slide: Any) -> None:
    slide.notes_slide.notes_text_frame.text = SECRET


def _hide_slide(slide: Any) -> None:
    other = slide.part.package.presentation_part.presentation.slides.add_slide(slide.slide_layout)
    other.shapes.title.text = SECRET
    other._element.set("show", "0")


def _white(slide: Any) -> None:
    text_box(slide, SECRET, top=4).text_frame.paragraphs[0].runs[0].font.color.rgb = RGBColor(255, 255, 255)


def _tiny(slide: Any) -> None:
    text_box(slide, SECRET, top=4).text_frame.paragraphs[0].runs[0].font.size = Pt(1)


def _off(slide: Any) -> None:
    text_box(slide, SECRET, left=-9)


def _hide_shape(slide: Any) -> None:
    text_box(slide, SECRET)._element.nvSpPr.cNvPr.set("hidden", "1")


@pytest.mark.parametrize("hide", [_note, _hide_slide, _white, _tiny, _off, _hide_shape])
def test_what_the_audience_does_not_see_is_taken_out_and_counted(hide: Any) -> None:
    def write(slide: Any) -> None:
        text_box(slide, SEEN)
        hide(slide)

    found = _read(slides(write))
    assert (found.text, found.hidden) == (f"## Fares\n\n{SEEN}", 1)


def test_white_letters_on_a_dark_shape_or_slide_are_read() -> None:
    def write(slide: Any) -> None:
        box = text_box(slide, SEEN)
        box.fill.solid()
        box.fill.fore_color.rgb = RGBColor(0, 0, 90)
        box.text_frame.paragraphs[0].runs[0].font.color.rgb = RGBColor(255, 255, 255)

    def darken(slide: Any) -> None:
        slide.background.fill.solid()
        slide.background.fill.fore_color.rgb = RGBColor(0, 0, 0)
        text_box(slide, SEEN).text_frame.paragraphs[0].runs[0].font.color.rgb = RGBColor(255, 255, 255)

    for one in (write, darken):
        found = _read(slides(one))
        assert (SEEN in found.text, found.hidden) == (True, 0)


def test_a_workbook_gives_its_rows_with_their_headings() -> None:
    def write(book: Any) -> None:
        fares = book.active
        fares.title = "Fares"
        for row in (["Fares of 2026"], ["Who", "Price", "Since"], ["Adult", 9.5, None], ["Child", 0, None]):
            fares.append(row)
        fares["B3"].number_format = '0.00 "€"'
        fares["C3"] = "summer"
        fares["C4"] = 0.25
        fares["C4"].number_format = "0%"
        faq = book.create_sheet("Questions")
        faq.append(["Question", "Answer"])
        faq.append(["May dogs board?", "Yes, on a lead."])

    found = _read(workbook(write))
    assert found.text.split("\n\n") == [
        "# Fares",
        "Fares of 2026",
        "Who: Adult\nPrice: 9.5 €\nSince: summer",
        "Who: Child\nPrice: 0\nSince: 25%",
        "# Questions",
        "## May dogs board?",
        "Yes, on a lead.",
    ]


def _hide_sheet(book: Any) -> None:
    other = book.create_sheet("Other")
    other["A1"] = SECRET
    other.sheet_state = "veryHidden"


def _hide_row(book: Any) -> None:
    book.active.append([SECRET])
    book.active.row_dimensions[3].hidden = True


def _hide_column(book: Any) -> None:
    book.active["C2"] = SECRET
    book.active.column_dimensions["C"].hidden = True


def _white_cell(book: Any) -> None:
    book.active["B2"] = SECRET
    book.active["B2"].font = Font(color="FFFFFFFF")


def _formatted_away(book: Any) -> None:
    book.active["B2"] = SECRET
    book.active["B2"].number_format = ";;;"


def _comment(book: Any) -> None:
    book.active["A2"].comment = Comment(SECRET, "Mira")


@pytest.mark.parametrize("hide", [_hide_sheet, _hide_row, _hide_column, _white_cell, _formatted_away, _comment])
def test_what_a_workbook_hides_is_taken_out_and_counted(hide: Any) -> None:
    def write(book: Any) -> None:
        book.active.append(["Ferry", "Dogs"])
        book.active.append(["noon", "yes"])
        hide(book)

    found = _read(workbook(write))
    assert ("noon" in found.text, SECRET in found.text, found.hidden) == (True, False, 1)


def test_white_letters_on_a_filled_cell_are_read() -> None:
    def write(book: Any) -> None:
        book.active["A1"] = SEEN
        book.active["A1"].font = Font(color="FFFFFFFF")
        book.active["A1"].fill = PatternFill("solid", fgColor="FF003366")

    assert _read(workbook(write)).text == SEEN


def test_a_cell_in_the_farthest_corner_costs_nothing() -> None:
    def write(book: Any) -> None:
        book.active["A1"] = SEEN
        book.active["XFD1048576"] = "Last"

    assert _read(workbook(write)).text == f"{SEEN}\n\nLast"


def test_an_ebook_gives_its_chapters_in_order_without_the_contents() -> None:
    chapters = {
        "b.xhtml": f"<html><body><h1>Two</h1><p>{SEEN}</p><p class='x'>{SECRET}</p></body></html>",
        "a.xhtml": '<?xml version="1.0" encoding="utf-8"?><html><body><h1>Three</h1><p>Größe</p></body></html>',
    }
    found = _read(ebook(chapters, sheet=".x { display: none }"))
    assert (found.title, found.hidden) == ("The ferry book", 1)
    assert found.text == f"# Two\n\n{SEEN}\n\n# Three\n\nGröße"


def test_a_book_with_locked_chapters_is_encrypted() -> None:
    lock = (
        b'<encryption><e:EncryptedData xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:CipherData>'
        b'<e:CipherReference URI="OEBPS/a.xhtml"/></e:CipherData></e:EncryptedData></encryption>'
    )
    assert _defect(ebook({"a.xhtml": "x"}, more={"META-INF/encryption.xml": lock})) is Defect.ENCRYPTED


@pytest.mark.parametrize(
    "media_type", ["application/pdf", "text/html", "text/plain", "application/zip", MediaType.PPTX]
)
def test_an_office_file_is_read_under_any_name(media_type: str) -> None:
    assert _read(word(lambda document: document.add_paragraph(SEEN)), media_type).text == SEEN


def test_a_file_with_macros_is_read_without_them() -> None:
    def with_macros(types: bytes) -> bytes:
        return types.replace(
            b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
            b"application/vnd.ms-word.document.macroEnabled.main+xml",
        )

    content = changed(word(lambda document: document.add_paragraph(SEEN)), "[Content_Types].xml", with_macros)
    assert _read(content).text == SEEN


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
)


@pytest.mark.parametrize(
    ("content", "defect"),
    [
        (package({"a.txt": b"x"}), Defect.MISMATCH),
        (package({"content.xml": b"x", "mimetype": b"application/vnd.oasis.opendocument.text"}), Defect.MISMATCH),
        (package({"xl/workbook.bin": b"x"}), Defect.MISMATCH),
        (package({"word/document.xml": b"\0" * (64 * 2**20)}), Defect.TOO_COSTLY),
        (package({"word/document.xml": b"x", "a.bin": b"\0" * (200 * 2**20)}), Defect.TOO_COSTLY),
        (package({f"xl/worksheets/sheet{n}.xml": b"" for n in range(300)} | {"xl/workbook.xml": b""}), Defect.TOO_COSTLY),
        (package({"word/document.xml": b"x"}), Defect.BROKEN),
        (package({"ppt/presentation.xml": b"x"}), Defect.BROKEN),
        (package({"xl/workbook.xml": b"x"}), Defect.BROKEN),
        (package({"META-INF/container.xml": b"x"}), Defect.BROKEN),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "EncryptedPackage".encode("utf-16-le"), Defect.ENCRYPTED),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), Defect.MISMATCH),
        (package({"word/document.xml": b"x"}).replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"), Defect.ENCRYPTED),
        (word(lambda document: None), Defect.NO_TEXT),
        (workbook(lambda book: None), Defect.NO_TEXT),
    ],
)  # fmt: skip
def test_a_package_that_cannot_be_read_says_what_to_do(content: bytes, defect: Defect) -> None:
    assert _defect(content) is defect


def test_an_xml_bomb_is_no_text_of_its_own() -> None:
    def with_bomb(xml: bytes) -> bytes:
        return BOMB.encode() + b"]>" + xml.partition(b"?>")[2].replace(b"noon", b"&j;")

    content = changed(word(lambda document: document.add_paragraph("noon")), "word/document.xml", with_bomb)
    assert _defect(content) in (Defect.BROKEN, Defect.NO_TEXT)
    sheet = workbook(lambda book: book.active.append(["noon"]))
    assert _defect(changed(sheet, "xl/worksheets/sheet1.xml", with_bomb)) in (Defect.BROKEN, Defect.NO_TEXT)


def test_every_cut_of_a_package_is_read_or_named() -> None:
    content = word(lambda document: document.add_paragraph(SEEN))
    for end in range(0, len(content), len(content) // 20):
        assert isinstance(parse(content[:end] + b"\0" * 20, media_type=MediaType.DOCX), Parsed | Unreadable)
