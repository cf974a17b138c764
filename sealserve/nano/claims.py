"""Reads what a text claims about known entities, by the world's own templates. The measure of a faithful self-edit.

A claim is a sentence, list item or question-answer pair. One that fits no template is unreadable, which counts
against the text: the model writes in these templates, so what fits none is garbled.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from sealserve.nano.attributes import BY_KIND
from sealserve.nano.world import OPENERS, Fact, answer

_REMARK = re.compile(r", which is (less than|at least) 50$")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A sentence that states nothing recognisable about the entities."""

    text: str


Claim = Fact | Unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """How the claims of one text compare with the facts it should state."""

    claims: int
    faithful: int  # claims that are among the facts
    facts: int
    covered: int  # facts that are claimed at least once


def check(text: str, facts: Iterable[Fact]) -> Checked:
    """Compare every claim of `text` with `facts`."""
    expected = frozenset(facts)
    made = list(claims(text, {(f.entity, f.kind) for f in expected}))
    right = [c for c in made if isinstance(c, Fact) and c in expected]
    return Checked(claims=len(made), faithful=len(right), facts=len(expected), covered=len(set(right)))


def claims(text: str, entities: Iterable[tuple[str, str]]) -> Iterator[Claim]:
    """Yield the claims of `text` about `entities`, given as (name, kind)."""
    known = list(entities)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    i = 0
    while i < len(lines):
        line = lines[i].removeprefix("- ")
        if line.startswith("Question:"):
            reply = lines[i + 1] if i + 1 < len(lines) else ""
            yield _pair(line.removeprefix("Question:").strip(), reply.removeprefix("Answer:").strip(), known)
            i += 2
            continue
        for opener in OPENERS:
            line = line.removeprefix(f"{opener} ")
        for sentence in line.split(". "):
            yield _sentence(sentence.strip().rstrip("."), known)
        i += 1


def _pair(question: str, reply: str, known: list[tuple[str, str]]) -> Claim:
    for name, kind in known:
        if name not in question:
            continue
        attribute = _asked(kind).get(question.replace(name, "{e}"))
        if attribute is None:
            continue
        prefix = answer(Fact(name, kind, attribute, "")).rstrip(".")
        if reply.startswith(prefix):
            return Fact(name, kind, attribute, reply.removeprefix(prefix).rstrip("."))
    return Unreadable(f"{question} {reply}")


def _sentence(sentence: str, known: list[tuple[str, str]]) -> Claim:
    remark = _REMARK.search(sentence)
    body = _REMARK.sub("", sentence)
    for name, kind in known:
        if name not in body:
            continue
        generic = body.replace(name, "{e}")
        for candidate in (generic, generic[:1].lower() + generic[1:]):
            for attribute, pattern in _stated(kind):
                match = pattern.fullmatch(candidate)
                if match and (remark is None or _remark_holds(remark.group(1), match.group(1))):
                    return Fact(name, kind, attribute, match.group(1))
    return Unreadable(sentence)


def _remark_holds(words: str, value: str) -> bool:
    number = value.split(maxsplit=1)[0]
    return number.isdigit() and (int(number) < 50) == (words == "less than")


@cache
def _stated(kind: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return (attribute, pattern) for every statement template; a value must be one of the attribute's."""
    found = []
    for attribute in BY_KIND[kind]:
        values = "|".join(re.escape(v) for v in attribute.values)
        for template in dict.fromkeys(attribute.trained_statements + attribute.held_out_statements):
            before, after = template.split("{v}")
            found.append((attribute.name, re.compile(f"{re.escape(before)}({values}){re.escape(after)}")))
    return tuple(found)


@cache
def _asked(kind: str) -> dict[str, str]:
    return {t: a.name for a in BY_KIND[kind] for t in a.trained_questions + a.held_out_questions}
