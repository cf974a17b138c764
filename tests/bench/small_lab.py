"""A laboratory over the simulated model and trainer of the stories: figures run in a second, and their values are real.

The simulated model reads well and learns everything, so a figure's arithmetic shows: what was taught is known.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sealserve.bench.harness.learning_lab import Lab, Question, Subject
from tests.stories.school import School, open_school
from tests.stories.student import ATTRIBUTES, WORDINGS, article

NAMES = ("Varnel Lamp", "Osk Kettle", "Tarn Bridge", "Ulm Harbour", "Brisk Ferry", "Cold Anvil", "Dun Mill", "Elk Hall")


class SmallLab(Lab):
    """Its articles are the simulated model's."""

    def subjects(self, n: int, *, key: str = "", questions: int = 24, **_: Any) -> list[Subject]:
        """Return `n` articles; another key, other names."""
        return [
            _subject(f"{NAMES[i]}{' ' + key.title().replace('-', '') if key else ''}", i, questions) for i in range(n)
        ]


def use_small_lab(monkeypatch: pytest.MonkeyPatch, module: Any, directory: Path, base: Path) -> School:
    """Have `module` open a small lab in `directory`; return the school behind it."""
    school = open_school(directory, study__judge=True)  # as shipped
    context = replace(school.context, base_directory=base)

    @asynccontextmanager
    async def opened(*, seed: int = 0, say: Any = print, **learn: Any) -> AsyncIterator[Lab]:
        await school.student.start()
        yield SmallLab(context, seed=seed, say=lambda line: None)

    monkeypatch.setattr(module, "open_lab", opened)
    return school


def _subject(name: str, shift: int, questions: int) -> Subject:
    values = list(ATTRIBUTES.values())
    pairs = list(zip(ATTRIBUTES, values[shift:] + values[:shift], strict=True))
    exam = [
        Question(text=wording.format(a=attribute, e=name), gold=value)
        for wording in WORDINGS[:6]
        for attribute, value in pairs
    ]
    text = article(name, shift=shift)
    return Subject(document=name.replace(" ", "-").lower(), title=name, text=text, exam=tuple(exam[:questions]))
