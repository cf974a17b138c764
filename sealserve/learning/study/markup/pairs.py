"""Questions and their answers in a model's text: labelled, numbered, in bold, under headings, in a table, as JSON.

Pure. A line that is neither question nor answer nor goes on with one is skipped.
"""

import re
from collections.abc import Mapping
from typing import Any

from sealserve.learning.study.markup.json_text import objects_in
from sealserve.learning.study.markup.lines import LONGEST_TEXT, Line, is_rule, is_sentence, is_talk, plain, read_line

_QUESTION_WORD, _ANSWER_WORD = r"(?:Question|Q)", r"(?:(?:Correct |Right |Short )?Answer|Ans|A)"
_LABEL = r"[*_]{{0,3}}{word}\s{{0,3}}#?\d{{0,3}}\s{{0,3}}[*_]{{0,3}}\s{{0,3}}(?:[:.：]|\s[-–—](?=\s))[*_]{{0,3}}\s*(.*)"
_LABEL_ALONE = r"[*_]{{0,3}}{word}[*_]{{0,3}}[:.]?[*_]{{0,3}}()"
_QUESTION = re.compile(_LABEL.format(word=_QUESTION_WORD), re.IGNORECASE)
_QUESTION_ALONE = re.compile(_LABEL_ALONE.format(word=r"(?:Question(?: ?#?\d{1,3})?|Q ?\d{1,3})"), re.IGNORECASE)
_ANSWER = re.compile(_LABEL.format(word=_ANSWER_WORD), re.IGNORECASE)
_ANSWER_ALONE = re.compile(_LABEL_ALONE.format(word=r"(?:Answer(?: ?#?\d{1,3})?|A ?\d{1,3})"), re.IGNORECASE)
_ANSWER_INSIDE = re.compile(r"\s[*_]{0,3}(?:Answer|ANSWER|A) ?\d{0,3}[*_]{0,3}:[*_]{0,3}\s")
_ANSWER_AFTER_BOLD = re.compile(r"\*\*([^*]+\?)\*\*[\s:–—-]{0,3}([^\s:–—-].*)")
_OTHER_LABEL = re.compile(
    r"[*_]{2,3}[A-Z][\w /]{0,30}(?::[*_]{2,3}|[*_]{2,3}:)"
    r"|(?:Explanation|Difficulty|Source|Topic|Category|Note|Reference|Type|Level|Reasoning|Evidence)\s?:"
)
_OPTION = re.compile(r"\(?([A-Ha-h])[.)]\s+(.+)")
_LETTER = re.compile(r"\(?([A-Ha-h])\)?(?:[.):]\s.*|[.]?)")
_QUESTION_CELL = re.compile(r"(?:questions?|q)", re.IGNORECASE)
_ANSWER_CELL = re.compile(r"(?:answers?|a)", re.IGNORECASE)
_CONTINUED_INDENT = 2


def read_pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Return every question that is followed by its answer, each plain and on one line, in order."""
    if listed := [pair for entry in objects_in(text) if all(pair := _entry(entry))]:
        return tuple(listed)
    reader = _Reader()
    for raw in text.splitlines():
        reader.take(raw)
    return reader.end()


def _entry(entry: Mapping[str, Any]) -> tuple[str, str]:
    question, answer = entry.get("question", entry.get("q")), entry.get("answer", entry.get("a"))
    if isinstance(answer, list):
        answer = ", ".join(map(str, answer))
    if isinstance(answer, (int, float)) and not isinstance(answer, bool):
        answer = str(answer)
    return (plain(question), plain(answer)) if isinstance(question, str) and isinstance(answer, str) else ("", "")


class _Reader:
    """Takes one line after the other; what it has of the pair at hand is its state."""

    def __init__(self) -> None:
        self._pairs: list[tuple[str, str]] = []
        self._columns: tuple[int, int] | None = None  # of the table at hand: question, answer
        self._clear()

    def _clear(self) -> None:
        self._question = ""
        self._is_asking = False  # a label came, its question did not
        self._needs_label = True  # only a labelled line can be the answer
        self._options: dict[str, str] = {}  # what a question of several choices may be answered with, by letter
        self._answer: str | None = None  # empty after a label with nothing behind it
        self._is_open = False  # the answer may go on
        self._is_loose = False  # and in any line: it is set off by its label or by the next question
        self._is_list = False
        self._is_after_gap = False

    def end(self) -> tuple[tuple[str, str], ...]:
        """Return the pairs."""
        self._close()
        return tuple(self._pairs)

    def take(self, raw: str) -> None:
        """Read one line."""
        line = read_line(raw)
        if self._takes_row(raw.strip()):
            return
        if not line.text:
            self._is_open = self._is_open and not self._answer
            self._is_after_gap = True
            return
        if label := _label(line, _QUESTION, _QUESTION_ALONE):
            self._ask(label[1], line, needs_label=not (line.is_heading or "**" in line.text))
        elif self._question and (label := _label(line, _ANSWER, _ANSWER_ALONE)):
            self._reply(label[1], line)
        elif self._question and (option := _OPTION.fullmatch(line.text)):
            self._offer(option[1].upper(), plain(option[2]))
        elif _is_question(line):
            self._ask(line.text, line, needs_label=False)
        elif line.is_heading or is_rule(raw) or (_OTHER_LABEL.match(line.text) and not line.is_listed):
            self._close()
        else:
            self._go_on(line)
        self._is_after_gap = False

    def _ask(self, text: str, line: Line, *, needs_label: bool) -> None:
        self._close()
        question, answer = _split(text)
        self._question, self._is_asking, self._needs_label = plain(question), not plain(question), needs_label
        if answer:
            self._reply(answer, line)

    def _reply(self, text: str, line: Line) -> None:
        if self._answer is not None:
            self._close()
            return
        answer = plain(text)
        if self._options and (letter := _LETTER.fullmatch(answer)):
            answer = self._options.get(letter[1].upper(), answer)
        self._answer = answer
        self._is_open, self._is_list = True, False
        self._is_loose = not self._answer or line.is_heading or "**" in line.text

    def _offer(self, letter: str, text: str) -> None:
        """Take an option; "A. red" was read as an answer until "B. blue" follows."""
        if letter == "B" and self._answer and not self._options:
            self._options["A"] = self._answer
            self._answer = None
        self._options[letter] = text

    def _go_on(self, line: Line) -> None:
        text = plain(line.text)
        if self._is_asking:
            self._question, self._is_asking = text, False
        elif not self._question:
            return
        elif self._answer is None:
            self._go_on_asking(text, line)
        elif not self._answer or (self._is_open and self._continues(text, line)):
            glue = ", " if self._is_list and line.is_listed and not is_sentence(self._answer) else " "
            self._answer = f"{self._answer}{glue}{text}" if self._answer else text
            self._is_open, self._is_list = True, line.is_listed
        else:
            self._is_open = False

    def _go_on_asking(self, text: str, line: Line) -> None:
        is_near = not self._is_after_gap
        if is_near and text.endswith("?") and not self._question.endswith("?"):
            self._question += f" {text}"
        elif not self._needs_label and (is_near or line.indent >= _CONTINUED_INDENT) and not is_talk(text):
            self._answer, self._is_open, self._is_loose = text, True, True

    def _continues(self, text: str, line: Line) -> bool:
        so_far = self._answer or ""
        if is_talk(text) or len(so_far) > LONGEST_TEXT:
            return False
        if self._is_loose or line.indent >= _CONTINUED_INDENT or so_far.endswith(":"):
            return True
        return (self._is_list and line.is_listed) or (not is_sentence(so_far) and is_sentence(text))

    def _close(self) -> None:
        if self._question and self._answer:
            self._pairs.append((self._question, self._answer))
        self._clear()

    def _takes_row(self, text: str) -> bool:
        """Read a row of a table; False if the line is none."""
        if not (text.startswith("|") and text.count("|") > 2):
            self._columns = None
            return False
        cells = [plain(cell) for cell in text.strip("|").split("|")]
        heads = [[n for n, cell in enumerate(cells) if head.fullmatch(cell)] for head in (_QUESTION_CELL, _ANSWER_CELL)]
        if all(heads):
            self._close()
            self._columns = heads[0][0], heads[1][0]
        elif self._columns and max(self._columns) < len(cells):
            question, answer = (cells[n] for n in self._columns)
            if question and answer and not set(question) <= set("-: "):
                self._pairs.append((question, answer))
        return True


def _label(line: Line, label: re.Pattern[str], alone: re.Pattern[str]) -> re.Match[str] | None:
    return alone.fullmatch(line.text) or label.match(line.text)


def _is_question(line: Line) -> bool:
    is_set_off = line.is_listed or line.is_heading or line.text.startswith("**")
    return is_set_off and (plain(line.text).endswith("?") or bool(_ANSWER_AFTER_BOLD.fullmatch(line.text)))


def _split(text: str) -> tuple[str, str]:
    """Return the question and the answer that stands on its line; "" if none does."""
    for found in _ANSWER_INSIDE.finditer(text):
        question_end = found.start()
        while question_end and text[question_end - 1] in "*_ ":
            question_end -= 1
        if text.endswith("?", 0, question_end):
            return text[: found.start()], text[found.end() :]
    bold = _ANSWER_AFTER_BOLD.fullmatch(text)
    return (bold[1], bold[2]) if bold else (text, "")
