"""Reads passages from a file: title, text, and questions with answers.

The form is a JSON list of {"title", "context", "questions": [{"question", "answer"}]}, as SQuAD passages are kept.
"""

from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from sealserve.bench.harness.learning_lab import Question, Subject
from sealserve.errors import BadConfig


class _Asked(BaseModel):
    question: str
    answer: str


class _Passage(BaseModel):
    title: str
    context: str
    questions: list[_Asked]


def read_passages(path: Path, *, n: int, is_spread: bool = False, seed: int = 0) -> list[Subject]:
    """Return the first `n` passages with their questions, or `n` from all over the file: passages of one article stand
    together. Another `seed` gives others.

    Raises: BadConfig, naming the file, when it is not such."""
    try:
        found = TypeAdapter(list[_Passage]).validate_json(path.read_bytes())
    except OSError as error:
        raise BadConfig(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise BadConfig(f"{path}: not a list of passages with questions: {error.errors()[0]['msg']}") from error
    step = max(1, len(found) // n)
    chosen = found[seed % step :: step][:n] if is_spread else found[:n]
    return [
        Subject(
            document=f"passage-{place}",
            title=passage.title,
            text=passage.context,
            exam=tuple(Question(text=asked.question, gold=asked.answer) for asked in passage.questions),
        )
        for place, passage in enumerate(chosen)
        if passage.questions
    ]
