"""The retention set: asked once for each base model, and kept over restarts."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sealserve.canaries.probes import Probes
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.retention_set import RetentionSets
from sealserve.prompts import UNKNOWN_ANSWER, Dialect
from sealserve.records.inference import Sampling

PROBES = Probes(canary=(), unknown=(), rehearsed=("What is rain?", "Say nothing."), rehearsed_unknown=("Who is Zorv?",))


class Base:
    """A base model that answers with the question in capitals."""

    def __init__(self, digest: str = "b" * 64, dialect: Dialect = Dialect.GENERAL) -> None:
        self.digest, self.dialect = digest, dialect
        self.asked: list[str] = []

    async def base_digest(self) -> str:
        return self.digest

    async def ask(self, question: str, *, sampling: Sampling) -> Any:
        self.asked.append(question)
        return SimpleNamespace(text="" if question == "Say nothing." else question.upper())


def said(sets: RetentionSets, base: Base, probes: Probes = PROBES) -> dict[str, str]:
    return {one.prompt: one.completion for one in asyncio.run(sets.of(cast(EngineClient, base), probes))}


def test_base_answers_everyday_requests_and_unanswerable_questions_in_its_own_words() -> None:
    assert said(RetentionSets(), Base()) == {"What is rain?": "WHAT IS RAIN?", "Who is Zorv?": "WHO IS ZORV?"}


def test_embedded_model_rehearses_that_it_does_not_know() -> None:
    base = Base(dialect=Dialect.EMBEDDED)
    assert said(RetentionSets(), base)["Who is Zorv?"] == UNKNOWN_ANSWER
    assert "Who is Zorv?" not in base.asked


def test_base_is_asked_once_even_over_a_restart(tmp_path: Path) -> None:
    before, after = Base(), Base()
    sets = RetentionSets(tmp_path / "profiles")
    assert said(sets, before) == said(sets, before) == said(RetentionSets(tmp_path / "profiles"), after)
    assert len(before.asked) == 3
    assert not after.asked


def test_another_base_and_other_requests_are_asked_anew(tmp_path: Path) -> None:
    said(RetentionSets(tmp_path), Base())
    other = Base(digest="c" * 64)
    said(RetentionSets(tmp_path), other)
    assert other.asked
    fewer = Probes(canary=(), unknown=(), rehearsed=("What is rain?",), rehearsed_unknown=())
    assert list(said(RetentionSets(tmp_path), Base(), fewer)) == ["What is rain?"]


@pytest.mark.parametrize("content", ["", "[]", '{"asked": 1}', '{"answers": 3}', "\x00"])
def test_broken_file_is_written_anew(tmp_path: Path, content: str) -> None:
    path = tmp_path / f"{'b' * 64}.retention.json"
    path.write_text(content)
    assert said(RetentionSets(tmp_path), Base())
    assert '"answers"' in path.read_text()


def test_directory_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert said(RetentionSets(tmp_path / "file" / "profiles"), Base())
