"""The workbench over a simulated engine: what it opens, refuses and keeps."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sealserve.base_models.fitness import read_fitness
from sealserve.base_models.profile import profile_of
from sealserve.daemon import workbench
from sealserve.engine.base_model import base_shape
from sealserve.errors import BadConfig, FailedPrecondition
from sealserve.learning.context import LearnContext
from sealserve.settings.settings import Settings, load_settings
from tests.fakes import BASE_DIGEST
from tests.learning.test_model_check import LongReader, good
from tests.learning.test_tune import RateReader, RateTrainer
from tests.stories.school import open_school


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def settings_of(directory: Path, model: Path | str) -> Settings:
    return load_settings(
        overrides={
            "data_directory": directory / "data",
            "engine.model": str(model),
            "serve.address": "127.0.0.1:1",
            "learn.training.learning_rate": 0.001,
        }
    )


async def test_a_check_opens_an_engine_of_its_own_and_keeps_the_result(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbench, "VllmEngine", lambda settings, *, base: LongReader(answerer=good))
    lines: list[str] = []
    found = await workbench.check_base(settings_of(tmp_path, tiny_base), say=lines.append)
    assert found.open_book == 1.0
    assert read_fitness(BASE_DIGEST) == found
    assert lines[0] == "starting the engine"
    assert not (tmp_path / "data").exists()


async def test_tuning_keeps_the_rate_in_the_profile_and_the_speed_in_the_check(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbench, "VllmEngine", lambda settings, *, base: LongReader(answerer=good))
    settings = settings_of(tmp_path, tiny_base)
    await workbench.check_base(settings, say=lambda line: None)
    monkeypatch.setattr(workbench, "VllmEngine", lambda settings, *, base: RateReader(lambda rate: (rate * 100, 1.0)))
    monkeypatch.setattr(workbench, "ChildTrainer", lambda *_, **__: RateTrainer())
    tuned, profile = await workbench.tune_base(settings, steps=12, say=lambda line: None)
    assert tuned.learning_rate == 0.003
    kept = profile_of(tiny_base, digest=BASE_DIGEST)
    assert kept.origin == profile.origin
    assert kept.origin.startswith("tuned on ")
    assert settings.learn.with_defaults(kept.learn).training.learning_rate == 0.001  # the operator's own stays
    assert load_settings().learn.with_defaults(kept.learn).training.learning_rate == 0.003
    checked = read_fitness(BASE_DIGEST)
    assert checked is not None
    assert checked.training_tokens_per_second == tuned.training_tokens_per_second


async def test_a_server_with_another_model_is_not_measured(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    school = open_school(tmp_path)
    reader = LongReader(answerer=good)
    await reader.start()
    monkeypatch.setattr(workbench, "is_serving", lambda address, **_: True)

    @asynccontextmanager
    async def opened(settings: Settings) -> AsyncIterator[LearnContext]:
        yield replace(school.context, engine=reader)

    monkeypatch.setattr(workbench, "open_context", opened)
    assert base_shape(tiny_base).digest != BASE_DIGEST
    with pytest.raises(FailedPrecondition, match="another base model"):
        await workbench.check_base(settings_of(tmp_path, tiny_base), say=lambda line: None)
    assert reader.requests == []
    assert read_fitness(BASE_DIGEST) is None
    school.registry.close()


@pytest.mark.parametrize("measure", ["check_base", "tune_base"])
async def test_the_embedded_model_is_refused_before_anything_starts(
    measure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(workbench, "open_workbench", fail)
    more = {"steps": 1} if measure == "tune_base" else {}
    with pytest.raises(BadConfig, match="nano eval"):
        await getattr(workbench, measure)(settings_of(tmp_path, "nano"), say=lambda line: None, **more)
