"""The figures of a pretrained model follow from what its cycles reported and what people's questions found."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from sealserve.bench.harness.learning_lab import Subject
from sealserve.bench.learning import real
from sealserve.bench.learning.real import Learned
from sealserve.gate.statistics import compare
from sealserve.records.cycles import Cycle, CycleState
from sealserve.records.scores import NotApplicable, Scorecard
from sealserve.records.step_outputs import Confirmed

NOW = datetime(2026, 11, 29, tzinfo=UTC)


def cycle(state: CycleState) -> Cycle:
    return Cycle(
        tenant="real-0", cycle="c", state=state, step=None, trigger="schedule", reason="", version=None, attempts=1,
        created_at=NOW, updated_at=NOW,
    )  # fmt: skip


def confirmed(*, right: int) -> Confirmed:
    new = compare([place < right for place in range(10)], [False] * 10, confidence=0.95)
    kept = compare([True] * 9 + [False], [True] * 10, confidence=0.95)
    nothing = NotApplicable(because="nothing learned earlier")
    return Confirmed(scorecard=Scorecard(confirm=new, replay=nothing, canary=kept, unknown=kept))


def test_figures_compare_each_cycle_with_its_own_passages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real, "about", lambda lab, seconds: {"seconds": seconds})
    half, none = [[True, False]] * 4, [[False, False]] * 2
    learned = [
        Learned(
            cycle=cycle(CycleState.PROMOTED), passages=4, seconds=400, filtered=None, trained=None,
            confirmed=confirmed(right=8), answers={"default": half},
        ),
        Learned(
            cycle=cycle(CycleState.INCONCLUSIVE), passages=2, seconds=200, filtered=None, trained=None,
            confirmed=None, answers={"default": none},
        ),
    ]  # fmt: skip
    answers = {"none": [[False, False]] * 6, "open_book": [[True, True]] * 6, "default": half + none}
    figures = real._figures(None, answers, learned, documents=6, seconds=600.0)  # type: ignore[arg-type]
    assert figures["reported_minus_retested"] == pytest.approx(0.3)  # 0.8 reported, 0.5 found; the other cycle had none
    assert (figures["promoted"], figures["seconds_per_article"]) == (4, 100)
    assert figures["default_over_open"] == pytest.approx(1 / 3, abs=1e-4)
    assert figures["canary_loss"] == pytest.approx(0.1)
    assert figures["default_minus_raw"] is None


async def test_an_interrupted_run_has_the_figures_of_its_cycles_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sit(exams: Any) -> list[list[bool]]:
        return [[False] for _ in exams]

    @asynccontextmanager
    async def lab(**_: Any) -> AsyncIterator[Any]:
        yield SimpleNamespace(sit=sit, open_book=lambda one: one.exam)

    async def learn_part(_: Any, subjects: Any, *, number: int, arms: Any) -> Learned:
        if number >= interrupted_at:
            raise asyncio.CancelledError
        return Learned(
            cycle=cycle(CycleState.PROMOTED), passages=4, seconds=400, filtered=None, trained=None,
            confirmed=None, answers={"default": [[True]] * 4},
        )  # fmt: skip

    monkeypatch.setattr(real, "about", lambda lab, seconds: {})
    monkeypatch.setattr(real, "open_lab", lab)
    monkeypatch.setattr(real, "_learn_part", learn_part)
    subjects = [Subject(document=str(n), title="", text="", exam=()) for n in range(8)]
    interrupted_at = 4
    figures = await real._measure(subjects, model="", arms=(), candidates=0, seed=0, say=lambda _: None)
    assert (figures["passages"], figures["questions"], figures["default"]) == (4, 4, 1.0)
    interrupted_at = 0
    with pytest.raises(asyncio.CancelledError):
        await real._measure(subjects, model="", arms=(), candidates=0, seed=0, say=lambda _: None)
