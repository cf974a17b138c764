"""Finds the names that a text is about: runs of capitalised words inside sentences."""

import re
from collections import Counter
from collections.abc import Iterable

_CAPITALISED_RUN = re.compile(r"(?<=[a-z,;] )[A-Z][\w'’-]*(?: [A-Z][\w'’-]*)*")


def subjects_of(text: str) -> tuple[str, ...]:
    """Return the names in `text` (runs of capitalised words inside sentences), most frequent first."""
    runs = Counter(_CAPITALISED_RUN.findall(text))
    counts = {name: text.count(name) for name in runs}
    return tuple(sorted(counts, key=lambda name: (-counts[name], text.index(name))))


def subject_of(line: str, subjects: Iterable[str]) -> str:
    """Return the most frequent of `subjects` that `line` names; "" when it names none."""
    return next((name for name in subjects if name in line), "")


def topic_of(title: str, subjects: Iterable[str]) -> str:
    """Return what a document is about: the subjects that its title names, or the title."""
    named = sorted((name for name in subjects if name in title), key=title.index)
    return " and ".join(named) or title
