"""The words of a PDF come in the order in which a person reads them, with headings, lists, tables and paragraphs."""

import pytest

from sealserve.intake.media_types import Defect, Parsed, Unreadable
from sealserve.intake.pdf.reading import read_pdf
from tests.intake.pdf_files import Extra, Leaf, coded, lines, pdf_of, stream, text, unicode_font

LEFT = (
    "The mill by the river grinds",
    "oats and barley for the whole",
    "valley. It was built of oak in",
    "1911 and works to this day.",
)
RIGHT = (
    "Visitors are welcome on every",
    "Sunday between two and five.",
    "Groups of ten and more write",
    "to the miller a week before.",
)
MILL, VISIT = " ".join(LEFT), " ".join(RIGHT)


def _read(*leaves: Leaf | str, extra: Extra | None = None) -> Parsed:
    found = read_pdf(pdf_of(*leaves, extra=extra))
    assert isinstance(found, Parsed), found
    return found


def _paragraphs(*leaves: Leaf | str, extra: Extra | None = None) -> list[str]:
    return _read(*leaves, extra=extra).text.split("\n\n")


def _by_row(*columns: tuple[str, ...], places: tuple[float, ...], top: float = 700) -> str:
    return "".join(
        text(x, top - 14 * row, words)
        for row, found in enumerate(zip(*columns, strict=True))
        for x, words in zip(places, found, strict=True)
    )


def test_two_columns_are_read_one_after_the_other_however_they_are_drawn() -> None:
    by_column = lines(60, 700, *LEFT) + lines(320, 700, *RIGHT)
    by_row = _by_row(LEFT, RIGHT, places=(60, 320))
    shifted = lines(320, 693, *RIGHT) + lines(60, 700, *LEFT)
    for content in (by_column, by_row, shifted):
        assert _paragraphs(content) == [MILL, VISIT]


def test_three_columns_are_read_from_left_to_right() -> None:
    middle = (
        "Flour is sold in the yard, in",
        "bags of two pounds. The price",
        "follows the harvest and hangs",
        "at the gate of the old barn.",
    )
    content = _by_row(LEFT, middle, RIGHT, places=(40, 215, 390))
    assert _paragraphs(content)[0] == MILL
    assert _paragraphs(content)[1].startswith("Flour is sold in the yard, in bags")
    assert _paragraphs(content)[2] == VISIT


def test_headings_across_columns_part_what_is_above_from_what_is_below() -> None:
    content = (
        text(60, 760, "Mills of the northern valley and their visitors", size=18)
        + _by_row(LEFT, RIGHT, places=(60, 320), top=730)
        + text(60, 650, "How to come here by boat, by tram and on foot", size=14)
        + _by_row(RIGHT, LEFT, places=(60, 320), top=620)
    )
    assert _paragraphs(content) == [
        "# Mills of the northern valley and their visitors", MILL, VISIT,
        "## How to come here by boat, by tram and on foot", VISIT, MILL,
    ]  # fmt: skip
    assert _read(content).title == "Mills of the northern valley and their visitors"


def test_a_table_is_read_row_by_row_below_its_heading() -> None:
    rows = [
        ("Grain", "Days", "Price"),
        ("Oats", "2", "14 crowns"),
        ("Barley", "3", "17 crowns"),
        ("Rye", "", "9 crowns"),
    ]
    drawn = "".join(
        text(x, 660 - 16 * number, cell)
        for column, x in enumerate((60, 200, 300))
        for number, row in enumerate(rows)
        if (cell := row[column])
    )
    content = lines(60, 730, MILL[:58], MILL[59:]) + text(60, 690, "What grinding costs", font="F2") + drawn
    assert _paragraphs(content) == [
        MILL,
        "## What grinding costs\nGrain | Days | Price\nOats | 2 | 14 crowns\nBarley | 3 | 17 crowns\nRye |  | 9 crowns",
    ]


def test_cells_of_several_lines_stay_in_their_row() -> None:
    rows = [
        (700, "Oats", ("ground coarse, for", "horses and for bread"), "2 days"),
        (664, "Barley", ("ground fine",), "3 days"),
        (640, "Rye", ("not ground",), "never"),
    ]
    content = "".join(
        text(60, y, grain) + lines(160, y, *how, leading=12) + text(400, y, days) for y, grain, how, days in rows
    )
    assert _read(content).text.split("\n") == [
        "Oats | ground coarse, for horses and for bread | 2 days",
        "Barley | ground fine | 3 days",
        "Rye | not ground | never",
    ]


def test_questions_beside_their_answers_stay_together() -> None:
    pairs = [
        (
            ("When does the old mill open", "for visitors from abroad?"),
            ("It opens on Sunday at two and", "closes again at five."),
        ),
        (
            ("Who mends the great wheel of", "the mill when it breaks?"),
            ("The miller's sister mends it, and", "nobody else."),
        ),
        (
            ("What does a bag of fine flour", "cost in the autumn?"),
            ("It costs four crowns, and three", "in the spring."),
        ),
    ]
    content = "".join(
        lines(60, 700 - 50 * n, *asked) + lines(320, 700 - 50 * n, *answer) for n, (asked, answer) in enumerate(pairs)
    )
    assert _read(content).text.split("\n") == [f"{' '.join(asked)} | {' '.join(answer)}" for asked, answer in pairs]


def _numbered_page(number: int, count: int) -> str:
    bodies = (
        "Oats are ground on Monday.",
        "Barley is ground on Friday.",
        "Rye waits until the autumn.",
        "The yard is swept on Sunday.",
    )
    return (
        text(60, 810, "The Miller's Almanac", size=9)
        + text(60 if number % 2 else 480, 30, f"Page {number} of {count}", size=9)
        + text(60, 700, bodies[number - 1])
    )


def test_running_heads_feet_and_page_numbers_are_left_out() -> None:
    text_of_four = _read(*(_numbered_page(number, 4) for number in range(1, 5))).text
    assert "Almanac" not in text_of_four
    assert "Page" not in text_of_four
    assert text_of_four.startswith("Oats are ground on Monday.")
    assert text_of_four.count("\n\n") == 3


def test_the_columns_of_a_table_over_many_pages_are_named_once() -> None:
    names = text(60, 780, "Grain") + text(200, 780, "Days") + text(300, 780, "Price")
    rows = [
        text(60, 760, f"Oats {n}") + text(200, 760, f"{n}") + text(300, 760, f"{2 * n} crowns") for n in range(1, 5)
    ]
    found = _read(
        *(names + row + text(60, 742, "Rye") + text(200, 742, "3") + text(300, 742, "9") for row in rows)
    ).text
    assert found.startswith("Grain | Days | Price\nOats 1 | 1 | 2 crowns\nRye | 3 | 9")
    assert (found.count("Price"), found.count("Rye")) == (1, 4)


def test_a_heading_that_begins_every_page_is_no_running_head() -> None:
    pages = [
        text(60, 780, f"{n}. Rules of mill {n}", size=16) + text(60, 740, f"Mill {n} opens at {n}.")
        for n in range(1, 5)
    ]
    assert _paragraphs(*pages)[:2] == ["## 1. Rules of mill 1", "Mill 1 opens at 1."]


def test_words_broken_at_the_end_of_a_line_are_whole() -> None:
    broken = (
        "The manage-", "ment of the mill sells semi-", "annual and half-year tickets, and the half-",
        "year ticket is for pre-", "and afternoon visits of Meier-", "Holt and others.",
    )  # fmt: skip
    assert _read(lines(60, 700, *broken)).text == (
        "The management of the mill sells semiannual and half-year tickets, and the half-year ticket is for pre- and "
        "afternoon visits of Meier-Holt and others."
    )


def test_paragraphs_and_lists_have_no_other_line_breaks() -> None:
    content = (
        lines(
            60,
            700,
            "Oats come first, because they are ground before everything else that the",
            "mill takes in, and by custom.",
        )
        + lines(
            60, 664, "Barley comes second.", "Then comes rye, which is ground in autumn only, when the river is high"
        )
        + lines(
            60,
            614,
            "•  Bags of two pounds are sold in the yard, and those that",
            "   weigh more at the gate",
            "•  Bran is free",
        )
        + lines(60, 560, "1. Come to the gate", "2. Ring the bell")
    )
    assert _paragraphs(content) == [
        "Oats come first, because they are ground before everything else that the mill takes in, and by custom.",
        "Barley comes second.",
        "Then comes rye, which is ground in autumn only, when the river is high",
        "- Bags of two pounds are sold in the yard, and those that weigh more at the gate\n- Bran is free\n"
        "1. Come to the gate\n2. Ring the bell",
    ]


def test_a_number_after_a_wrap_does_not_part_a_sentence() -> None:
    content = lines(
        60,
        700,
        "Lamps may be sent back within",
        "30 days of the day on which they came. The shop is open until",
        "9. It is closed in the first week of May, which is named in section",
        "4. The old catalogue of the lamps of this shop was drawn by Oskar",
        "B. Brandt in the year",
        "1911, and it lists 40 lamps and",
        "12 shades in all.",
    )
    assert _paragraphs(content) == [
        "Lamps may be sent back within 30 days of the day on which they came. The shop is open until 9. It is closed "
        "in the first week of May, which is named in section 4. The old catalogue of the lamps of this shop was drawn "
        "by Oskar B. Brandt in the year 1911, and it lists 40 lamps and 12 shades in all."
    ]


def test_a_dash_after_a_wrap_does_not_part_a_sentence() -> None:
    content = lines(
        60, 700, "The river reaches the wheel of the mill in April", "- when the snow melts - and leaves it in August."
    )
    assert _paragraphs(content) == [
        "The river reaches the wheel of the mill in April - when the snow melts - and leaves it in August."
    ]


def test_a_sentence_that_goes_on_with_a_number_is_one_over_pages() -> None:
    first = lines(60, 700, "The mill by the river is open to visitors who write at least")
    second = lines(60, 800, "14 days before they come, and to schools.")
    assert _read(first, second).text == (
        "The mill by the river is open to visitors who write at least 14 days before they come, and to schools."
    )


def test_marks_of_a_list_stay_whatever_stands_above() -> None:
    content = (
        lines(60, 700, "For the winter every member of the society who has a key to the yard", "1. sweeps the yard")
        + lines(60, 672, "2. oils the wheel, the gate and the two doors of the old barn by", "12. March")
        + lines(60, 644, "3. signs the book")
    )
    assert _paragraphs(content) == [
        "For the winter every member of the society who has a key to the yard",
        "1. sweeps the yard\n2. oils the wheel, the gate and the two doors of the old barn by 12. March\n"
        "3. signs the book",
    ]


def test_lines_of_a_timetable_stay_apart() -> None:
    hours = ["9:00 Registration and coffee in the hall by the river", "10:15 The new wheel", "12:00 Lunch", "13:30 End"]
    assert _paragraphs(lines(60, 700, *hours)) == hours


def test_rows_of_figures_and_comments_in_code_stay_apart() -> None:
    for rows in (
        ["4 CARD32 N_LITERALS", "12 *N_LITERALS LiteralEntry"],
        ["The list of literals:", "4 CARD32 N_LITERALS and padding up to this", "12 LiteralEntry"],
        ["# This table was written by the", "# program that is named below. Do not change it."],
    ):
        assert _paragraphs(lines(60, 700, *rows)) == rows


def test_a_short_line_and_a_number_below_it_stay_apart() -> None:
    address = ["Nordbank, branch of Oster", "12 High Street", "The bank is open on weekdays from nine to four."]
    assert _paragraphs(lines(60, 700, *address)) == address


def test_a_paragraph_goes_on_over_columns_and_pages() -> None:
    first = lines(
        60, 700, "The mill by the river grinds oats and barley for the", "whole of the northern valley, where it"
    )
    second = lines(60, 800, "has stood since 1911, and where it will stand on.")
    assert _read(first, second).text == (
        "The mill by the river grinds oats and barley for the whole of the northern valley, where it has stood since "
        "1911, and where it will stand on."
    )


def test_ligatures_are_letters() -> None:
    alphabet = ["ﬁ", "ﬀ", "ﬃ", "o", "c", "e", "r", "n", "d", "s", " "]
    content = coded(60, 700, "oﬃcer ﬁnds oﬀer", alphabet, font="X100")
    assert _read(content, extra=Extra(objects=unicode_font(100, alphabet))).text == "officer finds offer"


@pytest.mark.parametrize(
    ("words", "drawn"),
    [
        ("שלום עולם", "םלוע םולש"),
        ("החנות פתוחה עד 19 בערב", "ברעב 19 דע החותפ תונחה"),
        ("מנוע Corvel חדש", "שדח Corvel עונמ"),
        ("المتجر مفتوح", "حوتفم رجتملا"),
    ],
)
def test_text_from_right_to_left_is_in_logical_order(words: str, drawn: str) -> None:
    alphabet = sorted(set(drawn))
    extra = Extra(objects=unicode_font(100, alphabet))
    assert _read(coded(60, 700, drawn, alphabet, font="X100"), extra=extra).text == words


def test_shaped_arabic_letters_are_the_letters_of_the_alphabet() -> None:
    drawn = "ﻼﻫﺃ"
    extra = Extra(objects=unicode_font(100, sorted(set(drawn))))
    assert _read(coded(60, 700, drawn, sorted(set(drawn)), font="X100"), extra=extra).text == "أهلا"


def test_lines_of_chinese_are_joined_without_spaces() -> None:
    alphabet = sorted(set("磨坊靠近河边每周日开放"))
    content = coded(60, 700, "磨坊靠近河边", alphabet, font="X100") + coded(
        60, 684, "每周日开放", alphabet, font="X100"
    )
    assert (
        _read(content, extra=Extra(objects=unicode_font(100, alphabet))).text.replace("\n", "")
        == "磨坊靠近河边每周日开放"
    )


def test_turned_text_is_read_after_the_rest() -> None:
    turned = "BT /F1 11 Tf 0 1 -1 0 30 300 Tm (Printed on paper) Tj 0 1 -1 0 44 300 Tm (of the old mill.) Tj ET\n"
    assert _paragraphs(turned + lines(60, 700, *LEFT)) == [MILL, "Printed on paper of the old mill."]


def test_a_turned_page_is_read_as_it_is_displayed() -> None:
    content = "".join(
        f"BT /F1 11 Tf 0 1 -1 0 {60 + 14 * row} 100 Tm ({words}) Tj ET\n" for row, words in enumerate(LEFT)
    )
    for entries in ("/Rotate 90", ""):
        assert _read(Leaf(content=content, entries=entries)).text == MILL


@pytest.mark.parametrize(
    ("named", "title"),
    [
        ("Mills of the valley", "Mills of the valley"),
        ("Microsoft Word - draft3.doc", "Grinding"),
        ("untitled", "Grinding"),
        ("Document1", "Grinding"),
        ("almanac_v7.indd", "Grinding"),
        ("C:\\\\mill\\\\a", "Grinding"),
        ("12-04", "Grinding"),
        ("", "Grinding"),
        ("Document handling in mills", "Document handling in mills"),
    ],
)
def test_a_title_is_that_of_the_file_unless_a_program_made_it_up(named: str, title: str) -> None:
    content = text(60, 760, "Grinding", size=20) + lines(60, 700, *LEFT)
    assert _read(content, extra=Extra(info=f"/Title ({named})")).title == title


def test_rows_of_leading_dots_are_short() -> None:
    assert _read(text(60, 700, "Oats .................... 14")).text == "Oats … 14"


def _shifted(words: str, by: int) -> str:
    return "".join(chr((ord(c) - 97 + by) % 26 + 97) if c.islower() else c for c in words.lower())


@pytest.mark.parametrize("by", [3, 13, 20])
def test_shifted_letters_are_no_words(by: int) -> None:
    found = read_pdf(pdf_of(lines(60, 700, *(_shifted(words, by) for words in (*LEFT, *RIGHT)))))
    assert isinstance(found, Unreadable)
    assert "letters" in found.advice


def test_glyphs_without_letters_are_named() -> None:
    names = " ".join(f"/g{code}" for code in range(33, 127))
    font = (
        f"<< /Type /Font /Subtype /Type1 /BaseFont /ABCDEF+Mill /Encoding << /Differences [33 {names}] >> >>".encode()
    )
    private = [chr(0xE000 + n) for n in range(26)]
    drawn = "".join(private[(7 * n) % 26] for n in range(60))
    for content, objects in (
        ("BT /X100 12 Tf 60 700 Td (The mill by the river) Tj ET", {100: font}),
        (coded(60, 700, drawn, private, font="X100"), unicode_font(100, private)),
    ):
        found = read_pdf(pdf_of(content, extra=Extra(objects=objects)))
        assert isinstance(found, Unreadable)
        assert (found.defect, "letters" in found.advice) == (Defect.NO_TEXT, True)


def test_soup_below_a_heading_in_another_font_is_found() -> None:
    soup = lines(60, 700, *(_shifted(words, 3) for words in (*LEFT, *RIGHT)))
    honest = "".join(lines(60, 500 - 70 * n, *LEFT, *RIGHT[:1], font="F4") for n in range(5))
    assert isinstance(read_pdf(pdf_of(soup + honest)), Unreadable)


def test_what_stands_for_glyphs_without_letters_is_read() -> None:
    font = (
        b"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 1000 1000] /FontMatrix [0.001 0 0 0.001 0 0] /FirstChar 33"
        b" /LastChar 33 /Widths [1500] /CharProcs << /g33 101 0 R >> /Encoding << /Differences [33 /g33] >> >>"
    )
    objects = {100: font, 101: stream(b"1500 0 d0 0 0 1400 700 re f")}
    ligature = "/Span << /ActualText (ffi) >> BDC (!) Tj EMC"
    content = f"BT /F1 11 Tf 60 600 Td (The o) Tj /X100 11 Tf {ligature} /F1 11 Tf (cer of the mill is here.) Tj ET"
    assert _read(content, extra=Extra(objects=objects)).text == "The officer of the mill is here."


def test_a_long_word_of_many_objects_is_one() -> None:
    letters = "".join(f"({letter}) Tj " for letter in "abcde" * 400)
    assert _read(f"BT /F1 0.9 Tf 1 0 0 4 10 700 Tm 4 0 0 4 10 700 Tm {letters} ET").text.startswith("abcdeabcde")


@pytest.mark.parametrize(
    "words",
    [
        "Die Mühle am Fluss mahlt Hafer und Gerste für das ganze Tal und steht dort seit langem",
        "Le moulin au bord de la rivière moud de l'avoine et de l'orge pour toute la vallée",
        "Młyn nad rzeką miele owies i jęczmień dla całej doliny, a wszystkie święta są wolne".encode(
            "cp1252", "ignore"
        ).decode("cp1252"),
        "Myllyn omistaja jauhaa kauraa ja ohraa koko laakson asukkaille jokaisena keskiviikkona",
        "Mae'r felin wrth yr afon yn malu ceirch a haidd i'r cwm cyfan bob wythnos drwy'r flwyddyn",
        "XK-7731 HGTZ 4471 QXWV 9921 PLKJ 4451 BVCX 8812 ZXCV 3321 QWRT 7781 MNBV 1123 LKJH 5567",
        "def parse_cfg(ptr, ctx, idx): return ctx.buf[idx:idx + len(ptr)] if ptr else fmt_err(ctx, idx, str)",
        "12 kg 14 kg 16 kg 18 cm 22 mm 44 ft 12 lb 9 oz 33 ml 17 km 12 kg 14 kg 16 kg 18 cm 22 mm",
    ],
)
def test_honest_words_tables_and_code_are_no_soup(words: str) -> None:
    assert _read(text(20, 700, words, size=8)).text == words


def test_a_sign_of_a_symbol_font_costs_a_page_nothing() -> None:
    extra = Extra(objects=unicode_font(100, ["\uf0b7"]))
    content = lines(60, 700, *LEFT) + coded(60, 600, "\uf0b7", ["\uf0b7"], font="X100") + text(80, 600, "Bran is free")
    assert _paragraphs(content, extra=extra)[0] == MILL
    assert "Bran is free" in _paragraphs(content, extra=extra)[1]


def test_a_page_without_text_says_that_it_needs_text_recognition() -> None:
    found = read_pdf(pdf_of("0 0 100 100 re f"))
    assert isinstance(found, Unreadable)
    assert (found.defect, "text recognition" in found.advice) == (Defect.NO_TEXT, True)
