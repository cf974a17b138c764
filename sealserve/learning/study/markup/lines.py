"""Lines of a model's answer, free of Markdown. Pure.

Models of different families write the same list plain, numbered, in bold, under headings or between a greeting and an
offer of more help. What is read here is the line's own text and how it is set off. Every pattern takes time linear in
the line: repeats are bounded, or stop at a character that nothing before them takes.
"""

import re
from dataclasses import dataclass

LONGEST_TEXT = 4000
"""Characters after which an answer or a reason takes no more lines: it is no study note."""

_MARKER = re.compile(r"#{1,6}(?=\s)|>|[-*•+–](?=\s)|\d{1,3}[.)](?=\s)|\(\d{1,3}\)(?=\s)|\[[ xX]\](?=\s)")
_NUMBER_IN_BOLD = re.compile(r"\*\*\d{1,3}[.)]\s{0,3}")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3})(?=[^\s*])([^*]{0,2000}[^\s*])\1(?![\w*])")
_WHOLLY_EMPHASISED = re.compile(r"\*{2,3}[^*]+\*{2,3}[:.]?")
_RULE = re.compile(r"(?:[-*_=] ?){3,}|`{3,}\s{0,3}\w{0,20}")
_GREETING = re.compile(
    r"(?:sure|certainly|of course|absolutely|okay|ok|alright|great|understood|no problem)\s?[!,.:]", re.I
)
_ANNOUNCEMENT = re.compile(
    r"(?:here(?:'s|’s| is| are)|below (?:is|are)|the following (?:is|are))\b"
    r"[^.!?]{0,120}\b(?:facts?|statements?|lists?|questions?|pairs?|q&a|implications?|summary|versions?|rewrit\w{0,4}|"
    r"rewording|paraphrase|claims?|article|passage|text)\b",
    re.I,
)
_CLOSING = re.compile(
    r"(?:i hope (?:this|these|that)|let me know|feel free|please (?:let me know|note that these)|"
    r"these (?:questions|facts|statements|pairs) (?:cover|are|should|capture)|would you like me)\b",
    re.I,
)
_MOST_MARKS = 6
_TITLE_WORDS = 5  # a bold point of a list with no more words and no full stop heads the points below it
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line without the marks before it: those of lists, headings and quotations. Emphasis is still in `text`."""

    text: str
    indent: int
    is_heading: bool
    is_listed: bool

    @property
    def is_emphasised(self) -> bool:
        """True if all of the line is bold."""
        return _WHOLLY_EMPHASISED.fullmatch(self.text) is not None


def read_line(raw: str) -> Line:
    """Return `raw` with its marks read; a blank line has no text."""
    text = raw.strip()
    marks: set[str] = set()
    for _ in range(0 if is_rule(text) else _MOST_MARKS):
        if (found := _MARKER.match(text)) is None:
            break
        marks.add(found[0][0])
        text = text[found.end() :].lstrip()
    numbered = _NUMBER_IN_BOLD.match(text)
    if numbered:
        text = f"**{text[numbered.end() :]}"
    return Line(
        text=text,
        indent=len(raw) - len(raw.lstrip()),
        is_heading="#" in marks,
        is_listed=bool(numbered) or bool(marks - {"#", ">"}),
    )


def plain(text: str) -> str:
    """Return `text` without emphasis and on one line; asterisks inside words stay."""
    bare = _without_emphasis(" ".join(text.split()))
    return bare.removeprefix("**").removesuffix("**").strip()


def is_rule(text: str) -> bool:
    """Return whether a line is a rule between sections, or opens or closes a fence."""
    return _RULE.fullmatch(text.strip()) is not None


def is_talk(text: str) -> bool:
    """Return whether a line speaks to the reader about the answer: a greeting, an announcement, an offer of help."""
    return any(pattern.match(text) for pattern in (_GREETING, _ANNOUNCEMENT, _CLOSING))


def is_sentence(text: str) -> bool:
    """Return whether `text` ends as a sentence does."""
    return text.rstrip("\"'”’)*_").endswith(_SENTENCE_ENDS)


def statement_in(raw: str) -> str:
    """Return the statement that a line of a list makes; "" for headings, introductions, rules and talk."""
    line = read_line(raw)
    text = plain(line.text)
    if line.is_heading or is_rule(raw) or text.endswith((":", "：")):
        return ""
    if line.is_emphasised and not is_sentence(text) and (not line.is_listed or len(text.split()) <= _TITLE_WORDS):
        return ""
    return "" if is_talk(text) and not line.is_listed else text


def body_of(text: str) -> str:
    """Return the paragraphs of `text` without headings, rules, emphasis and the talk before and after them."""
    lines = text.strip().splitlines()
    if lines and (greeting := _GREETING.match(lines[0])):
        lines[0] = lines[0][greeting.end() :].lstrip()
    last = len(lines) - 1
    kept = [
        _without_emphasis(raw)
        for place, raw in enumerate(lines)
        if not (_is_heading(raw) or is_rule(raw) or (place in (0, last) and last > 0 and is_talk(raw.strip())))
    ]
    return "\n".join(kept).strip()


def _is_heading(raw: str) -> bool:
    line = read_line(raw)
    return line.is_heading or (line.is_emphasised and not line.is_listed and not is_sentence(plain(line.text)))


def _without_emphasis(text: str) -> str:
    return _EMPHASIS.sub(lambda found: found[2], text)
