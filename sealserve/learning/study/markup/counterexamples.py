"""Wrong claims and why they are wrong, in the forms in which models write them: labelled, in bold, as prose, as JSON.

Pure. What counts in the end is the sentence that says what is right: it alone is trained on.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sealserve.learning.study.markup.json_text import objects_in
from sealserve.learning.study.markup.lines import LONGEST_TEXT, Line, is_rule, is_talk, plain, read_line


class _Part(Enum):
    CLAIM = 1
    REASON = 2
    CORRECTION = 3


_LABEL = r"[*_]{{0,3}}(?:{words})\s?\d{{0,2}}[*_]{{0,3}}\s?[:：][*_]{{0,3}}\s*(.*)"
_LABELS = {
    _Part.CLAIM: r"(?:the )?(?:wrong|false|incorrect|mistaken|inaccurate)(?: claim| statement| fact)?"
    r"|claim|statement|misconception|myth",
    _Part.REASON: r"why[^:*\n]{0,60}|because|right|explanation|reason(?:ing)?(?: why[^:*\n]{0,40})?",
    _Part.CORRECTION: r"correction|correct(?:ed)?(?: claim| statement| fact| answer| version)?"
    r"|(?:the )?(?:truth|facts?)|in fact|reality",
}
_PATTERNS = {part: re.compile(_LABEL.format(words=words), re.IGNORECASE) for part, words in _LABELS.items()}
_HEADS = {part: re.compile(rf"\**(?:{words})\s?\d{{0,2}}\**", re.IGNORECASE) for part, words in _LABELS.items()}
_BECAUSE = re.compile(
    r"(?:this|that|it|the)(?: wrong| false| incorrect| above)?(?: claim| statement)? (?:is|was) "
    r"(?:wrong|false|incorrect|inaccurate|not (?:true|right|correct|accurate))\b"
    r"[^.\n]{0,80}?\b(?:because|since|as),? (.+)",
    re.IGNORECASE,
)
_REPORT = re.compile(
    r"(?:according to )?(?:the|this) (?:article|passage|text|document)"
    r"(?:,| (?:\w+ly )?(?:states|says|mentions|notes|explains|indicates|specifies)(?: that)?,?) ",
    re.IGNORECASE,
)
_CLAIM_KEYS = ("wrong", "wrong_claim", "false_claim", "incorrect_claim", "wrong_statement", "claim", "statement")
_REASON_KEYS = ("correction", "correct", "right", "truth", "why", "why_wrong", "explanation", "reason", "because")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterexample:
    """A wrong claim and what is right instead."""

    claim: str
    reason: str

    @property
    def text(self) -> str:
        """Both in the one form that is stored."""
        return f"Wrong: {self.claim}\nWhy: {self.reason}"


def read_counterexamples(text: str) -> tuple[Counterexample, ...]:
    """Return every wrong claim that is followed by a reason, in order; where a correction follows, it is the reason."""
    listed = [found for entry in objects_in(text) if (found := _entry(entry))]
    return tuple(listed) or tuple(_read(text))


def _entry(entry: Mapping[str, Any]) -> Counterexample | None:
    claim, reason = (
        next((entry[key] for key in keys if isinstance(entry.get(key), str)), "")
        for keys in (_CLAIM_KEYS, _REASON_KEYS)
    )
    return Counterexample(claim=plain(claim), reason=_right_of(plain(reason))) if claim and reason else None


def _read(text: str) -> Iterator[Counterexample]:
    parts: dict[_Part, str] = {}
    part: _Part | None = None  # which goes on in the next line
    for raw in text.splitlines():
        line = read_line(raw)
        found = _labelled(line, has_claim=_Part.CLAIM in parts)
        if found is None:
            if part is not None and line.text and not is_rule(raw) and not is_talk(line.text):
                parts[part] = f"{parts[part]} {plain(line.text)}".strip()
                part = part if len(parts[part]) < LONGEST_TEXT else None
            elif not line.text and part is not None and parts[part]:
                part = None
            continue
        if found[0] is _Part.CLAIM and (counterexample := _whole(parts)):
            yield counterexample
            parts = {}
        is_styled = line.is_heading or "**" in line.text or not found[1]
        part = found[0] if found[0] not in parts and is_styled else None
        parts.setdefault(found[0], plain(found[1]))
    if counterexample := _whole(parts):
        yield counterexample


def _labelled(line: Line, *, has_claim: bool) -> tuple[_Part, str] | None:
    for part, pattern in _PATTERNS.items():
        if found := pattern.fullmatch(line.text):
            return part, found[1]
        if (line.is_heading or line.is_emphasised) and _HEADS[part].fullmatch(line.text):
            return part, ""
    text = plain(line.text)
    return (_Part.REASON, _right_of(text)) if has_claim and _BECAUSE.match(text) else None


def _whole(parts: Mapping[_Part, str]) -> Counterexample | None:
    claim, reason = parts.get(_Part.CLAIM), parts.get(_Part.CORRECTION) or parts.get(_Part.REASON)
    return Counterexample(claim=claim, reason=_right_of(reason)) if claim and reason else None


def _right_of(reason: str) -> str:
    """Return `reason` without "This is wrong because the article says that", which says nothing outside of it."""
    prose = _BECAUSE.match(reason)
    right = prose[1] if prose else reason
    if report := _REPORT.match(right):
        right = right[report.end() :]
    return right if right == reason else right[:1].upper() + right[1:]
