"""Reads CSV and TSV files: each row becomes a text with its headings, or a question and its answer."""

import csv
import io
from collections.abc import Iterable, Sequence

from sealserve.intake.media_types import Defect, MediaType, Parsed, Unreadable
from sealserve.intake.readers.html.html_pages import without_markup

TABS = "\t"
_SEPARATORS = (",", ";", TABS, "|")
_SAMPLE_ROWS = 50
_MIN_ROWS = 3
_MAX_HEADING_CHARACTERS = 40
_FIELD_LIMIT = 2**22
QUESTION_HEADINGS = frozenset(
    "question questions q faq prompt frage fragen pregunta pregunte question(s) domanda pergunta vraag fråga spørgsmål "
    "pytanie otázka soru вопрос питання سؤال السؤال שאלה प्रश्न คำถาม 问题 問題 質問 질문".split()
)
ANSWER_HEADINGS = frozenset(
    "answer answers a response reply antwort antworten respuesta réponse reponse risposta resposta antwoord svar "
    "odpowiedź odpověď cevap ответ відповідь جواب الجواب إجابة תשובה उत्तर คำตอบ 答案 回答 答え 답변 대답".split()
)
"""Headings of columns, folded, that hold questions and their answers."""


def read_separated(text: str, *, media_type: MediaType) -> Parsed | Unreadable:
    """Return the rows of a CSV or TSV file as text."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    if lines[:4].lower() == "sep=":  # Excel's own first line
        separator, lines = lines[4:5], lines.partition("\n")[2]
    else:
        separator = TABS if media_type is MediaType.TSV else _separator_of(lines)
    try:
        rows = _rows(lines, separator or ",")
    except csv.Error:
        return Unreadable(defect=Defect.BROKEN, advice="a quoted field does not end; save it anew as CSV")
    cells = [[without_markup(cell) for cell in row] for row in rows]
    text = "\n\n".join(told([words for words, _ in row] for row in cells))
    return Parsed(title="", text=text, hidden=sum(lost for row in cells for _, lost in row), begins_with_title=False)


def told(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table's rows, each as a text of its own: lines of "Heading: value", a question as its heading.

    The first row with two cells is taken for the headings if it reads like headings; without headings a row's cells
    are joined by " | ".
    """
    filled = [[" ".join(cell.split()) for cell in row] for row in rows]
    filled = [row for row in filled if any(row)]
    start = next((place for place, row in enumerate(filled) if sum(map(bool, row)) > 1), len(filled))
    before, table = filled[:start], filled[start:]
    lines = [" ".join(filter(None, row)) for row in before]
    if len(table) > 1 and _are_headings(table[0], table[1:]):
        headings = table[0]
        return lines + [_told_row(headings, row) for row in table[1:]]
    return lines + [" | ".join(filter(None, row)) for row in table]


def looks_separated(content: bytes) -> str:
    """Return the separator of a text that is plainly a table; "" for anything that may be prose.

    Every row must have the same number of cells, the first must read like headings, and no row may have a space after
    a comma or semicolon, as prose has.
    """
    try:
        lines = content[:65_536].decode("utf-8-sig", "strict" if len(content) <= 65_536 else "ignore")
    except UnicodeDecodeError:
        return ""
    first = lines.partition("\n")[0]
    separator = max(_SEPARATORS[:3], key=first.count)
    if separator not in first:
        return ""
    try:
        rows = _rows(lines if len(content) <= 65_536 else lines.rpartition("\n")[0], separator)
    except csv.Error:
        return ""
    widths = {len(row) for row in rows}
    if len(rows) < _MIN_ROWS or len(widths) != 1 or not _are_headings(rows[0], rows[1:]):
        return ""
    has_prose = separator != TABS and any(cell[:1] == " " for row in rows for cell in row[1:])
    return "" if has_prose or any(not cell.strip() for cell in rows[0]) else separator


def _separator_of(lines: str) -> str:
    """Return the separator that gives the first rows the same number of cells, the most of them; "" for none."""
    sample = "\n".join(lines.split("\n", _SAMPLE_ROWS)[:_SAMPLE_ROWS])
    best, best_score = "", (0.0, 0)
    for separator in _SEPARATORS:
        try:
            widths = [len(row) for row in _rows(sample, separator)]
        except csv.Error:
            continue
        if widths and max(widths) > 1:
            usual = max(set(widths), key=widths.count)
            score = (widths.count(usual) / len(widths) if usual > 1 else 0.0, usual)
            best, best_score = (separator, score) if score > best_score else (best, best_score)
    return best


def _rows(lines: str, separator: str) -> list[list[str]]:
    """Return the rows that hold anything. Raises: csv.Error."""
    csv.field_size_limit(_FIELD_LIMIT)
    return [row for row in csv.reader(io.StringIO(lines), delimiter=separator, strict=True) if any(map(str.strip, row))]


def _are_headings(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: short, distinct, without figures alone or ends of sentences."""
    names = [cell.strip() for cell in first if cell.strip()]
    is_short = all(len(name) <= _MAX_HEADING_CHARACTERS and not name.endswith((".", "!")) for name in names)
    is_named = all(any(letter.isalpha() for letter in name) for name in names)
    is_distinct = len({name.casefold() for name in names}) == len(names)
    return (
        is_short
        and is_named
        and is_distinct
        and len(names) > 1
        and list(first) not in [list(row) for row in others[:3]]
    )


def _told_row(headings: Sequence[str], row: Sequence[str]) -> str:
    cells = {heading: cell for heading, cell in zip(headings, row, strict=False) if heading and cell}
    question = next((heading for heading in cells if heading.casefold() in QUESTION_HEADINGS), "")
    answer = next((heading for heading in cells if heading.casefold() in ANSWER_HEADINGS), "")
    lines = []
    if question and answer:
        lines = [f"## {cells.pop(question)}", "", cells.pop(answer), *([""] if cells else [])]
    lines += [f"{heading.rstrip(':')}: {cell}" for heading, cell in cells.items()]
    extra = [cell for cell in row[len(headings) :] if cell]
    extra += [cell for heading, cell in zip(headings, row, strict=False) if cell and not heading]
    return "\n".join([*lines, *extra])
