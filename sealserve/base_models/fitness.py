"""Fitness of a base model to learn: what it did on the shipped passages, the floors, and the result kept by digest.

`sealserve model check` measures it (`learning/model_check.py`); `up`, `doctor` and the learner read it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from sealserve.base_models.profile import profile_directory, save_measured
from sealserve.errors import BadConfig
from sealserve.packaged_policies import policy_directory

HOW_TO_CHECK = "run: sealserve model check"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleQuestion:
    """A question on a passage, which names what it is about, and the words of the passage that answer it."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePassage:
    """An invented text, questions that it answers, and one that it does not."""

    title: str
    text: str
    questions: tuple[SampleQuestion, ...]
    unanswered: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """Least shares, from 0 to 1, below which a base model learns nothing worth its time."""

    questions_written: float
    open_book: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Minutes:
    """Expected duration of a cycle on one article of 400 tokens, by part."""

    writing: float
    training: float
    confirming: float

    @property
    def total(self) -> float:
        """Of all parts."""
        return self.writing + self.training + self.confirming


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitness:
    """What a base model did on the passages; shares from 0 to 1.

    `questions_written`: of `sentences`, those with a usable question. `open_book`: of `questions`, those answered
    rightly with the passage at hand; `agreement`: those whose answer a second, sampled reading repeats. `abstention`:
    of the unanswered questions, those it declined. `tokens_per_second` are generated ones, of parallel calls together;
    `training_tokens_per_second` follows from the tokens read and written, until `sealserve tune` measures it.
    """

    model: str
    digest: str
    date: str
    machine: str
    sentences: int
    questions: int
    questions_written: float
    open_book: float
    agreement: float
    abstention: float
    tokens_per_second: float
    training_tokens_per_second: float
    minutes_per_article: Minutes

    def shown(self) -> str:
        """Return the result in one line."""
        return (
            f"questions written {self.questions_written:.2f}, open book {self.open_book:.2f}, "
            f"agreement {self.agreement:.2f}, abstention {self.abstention:.2f}, "
            f"about {self.minutes_per_article.total:.0f} minutes per article ({self.date})"
        )


def unfit_reason(fitness: Fitness | None, floors: Floors, *, has_teacher: bool) -> str:
    """Return why the base model should not learn, and what to do; "" if it may, or was not checked.

    `has_teacher`: another model writes the self-edits, so the base's own questions are too few at worst.
    """
    if fitness is None:
        return ""
    if fitness.open_book < floors.open_book:
        return (
            f"{fitness.model} answers {fitness.open_book:.2f} of the questions on a text before it, less than "
            f"{floors.open_book:.2f}: choose another engine.model"
        )
    if fitness.questions_written < floors.questions_written and not has_teacher:
        return (
            f"{fitness.model} writes a usable question on {fitness.questions_written:.2f} of sentences, less than "
            f"{floors.questions_written:.2f}: choose another engine.model, or let a larger model write "
            "(learn.study.editor = endpoint)"
        )
    return ""


def refusal(digest: str, *, has_teacher: bool, is_allowed: bool) -> str:
    """Return why the base model of this digest may not learn, by the kept result; "" if it may.

    `is_allowed`: the operator wants it to learn in any case. Raises: BadConfig (a broken file).
    """
    return "" if is_allowed else unfit_reason(read_fitness(digest), read_floors(), has_teacher=has_teacher)


def sample_passages() -> tuple[SamplePassage, ...]:
    """Return the shipped passages. Raises: BadConfig (the file cannot be read)."""
    path = policy_directory() / "fitness" / "passages.jsonl"
    try:
        return tuple(map(_passage, path.read_text(encoding="utf-8").splitlines()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadConfig(f"{path} cannot be read: reinstall sealserve") from error


def read_floors() -> Floors:
    """Return the shipped floors. Raises: BadConfig (the file cannot be read)."""
    path = policy_directory() / "fitness" / "floors.yaml"
    try:
        return Floors(**yaml.safe_load(path.read_bytes()))
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise BadConfig(f"{path} cannot be read: reinstall sealserve") from error


def save_fitness(fitness: Fitness) -> Path:
    """Keep the result for the base model of its digest and return the file. Raises: StorageFailed."""
    path = _path(fitness.digest)
    save_measured(path, asdict(fitness))
    return path


def read_fitness(digest: str) -> Fitness | None:
    """Return the kept result; None if the model was never checked. Raises: BadConfig (a broken file)."""
    path = _path(digest)
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        return Fitness(**{**found, "minutes_per_article": Minutes(**found["minutes_per_article"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadConfig(f"{path} is not the result of a check; delete it and {HOW_TO_CHECK}") from error


def _path(digest: str) -> Path:
    return profile_directory() / f"{digest}.fitness.json"


def _passage(line: str) -> SamplePassage:
    found = json.loads(line)
    return SamplePassage(
        title=found["title"],
        text=found["text"],
        questions=tuple(SampleQuestion(**one) for one in found["questions"]),
        unanswered=found["unanswered"],
    )
