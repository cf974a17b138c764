"""The memory plan: which models fit on which machines, and what is said when they do not."""

from dataclasses import replace
from pathlib import Path

import pytest

from sealserve.engine.base_model import NANO_DIRECTORY
from sealserve.engine.memory_plan import (
    CPU_ENGINE_BYTES,
    CPU_TRAINER_BYTES,
    GIB,
    Machine,
    MemoryPlan,
    ModelSize,
    plan,
    size_of,
    with_room,
)
from sealserve.errors import BadConfig
from sealserve.settings.engine import DEFAULT_GPU_FRACTION, EngineSettings
from sealserve.settings.learn import LearnSettings, learn_settings
from sealserve.settings.settings import Settings

SMALL = ModelSize(  # SmolLM2-135M
    parameters=134_515_008, weight_bytes=269_030_016, adapted=305_280, kv_values_per_token=11_520, layers=30,
    hidden=576, inner=1_536, context_tokens=8_192,
)  # fmt: skip
LARGE = ModelSize(  # Qwen2.5-7B
    parameters=7_615_616_512, weight_bytes=15_231_233_024, adapted=2_523_136, kv_values_per_token=28_672, layers=28,
    hidden=3_584, inner=18_944, context_tokens=32_768,
)  # fmt: skip
LAPTOP = Machine(ram_bytes=16 * GIB, cores=4)
LEARN = learn_settings(training__rank=16, training__candidates=3)


def on_gpu(gib: int, *, learn: LearnSettings = LEARN, **engine: float) -> MemoryPlan:
    machine = Machine(ram_bytes=256 * GIB, cores=16, gpu_bytes=gib * GIB)
    return plan(LARGE, machine, engine=EngineSettings(dtype="bfloat16", **engine), learn=learn)


def test_the_embedded_model_fits_on_a_laptop_with_a_trainer_per_core() -> None:
    found = plan(size_of(NANO_DIRECTORY), LAPTOP, engine=EngineSettings(), learn=LearnSettings())
    assert found.fault == ""
    assert found.gpu_fraction is None
    assert found.trainer_bytes >= 3 * CPU_TRAINER_BYTES  # one per candidate, of at most four cores
    assert CPU_ENGINE_BYTES < found.engine_bytes < 4 * GIB


def test_a_small_model_fits_on_a_laptop_and_not_into_four_gibibytes() -> None:
    engine = EngineSettings(dtype="float32")
    found = plan(SMALL, LAPTOP, engine=engine, learn=LEARN)
    assert found.fault == ""
    assert [part.name for part in found.engine] == ["weights", "KV cache", "adapters", "process"]
    assert found.engine[0].bytes == 4 * SMALL.parameters
    assert found.trainer[0].bytes == 4 * SMALL.parameters
    refused = plan(SMALL, replace(LAPTOP, ram_bytes=4 * GIB), engine=engine, learn=LEARN)
    assert "> 4.0 GiB of memory" in refused.fault
    assert "engine.loaded_adapters" in refused.fault


def test_what_ray_trains_takes_nothing_here() -> None:
    found = plan(SMALL, LAPTOP, engine=EngineSettings(), learn=LEARN.model_copy(update={"executor": "ray"}))
    assert found.trainer == ()
    assert "trainer" not in found.shown()


def test_seven_billion_weights_serve_on_24_gibibytes_and_train_elsewhere() -> None:
    refused = on_gpu(24)
    assert refused.fault.startswith("engine ")
    assert "+ trainer 16." in refused.fault
    assert "learn.devices = spare" in refused.fault
    spare = on_gpu(24, learn=LEARN.model_copy(update={"devices": "spare"}))
    assert spare.fault == ""
    assert spare.gpu_fraction == DEFAULT_GPU_FRACTION
    assert spare.trainer == ()


@pytest.mark.parametrize("gib", [40, 80])
def test_seven_billion_weights_share_a_larger_gpu_with_their_trainer(gib: int) -> None:
    found = on_gpu(gib)
    assert found.fault == ""
    assert found.gpu_fraction is not None
    assert found.gpu_fraction < DEFAULT_GPU_FRACTION
    assert found.engine_bytes <= found.gpu_fraction * gib * GIB
    assert found.gpu_fraction * gib * GIB + found.trainer_bytes <= gib * GIB


def test_a_share_that_leaves_no_room_for_the_trainer_is_refused_with_one_that_does() -> None:
    fitting = on_gpu(80).gpu_fraction
    refused = on_gpu(80, gpu_memory_fraction=0.85)
    assert refused.fault == (
        "engine 68.0 GiB + trainer 16.6 GiB > 80.0 GiB of GPU memory: set engine.gpu_memory_fraction to "
        f"{fitting:.2f} or unset it, or set learn.devices = spare or cpu"
    )
    assert on_gpu(80, gpu_memory_fraction=0.5).fault == ""


def test_a_share_that_is_too_small_for_the_engine_is_refused() -> None:
    assert "its share of GPU memory" in on_gpu(80, gpu_memory_fraction=0.1).fault


def test_the_planned_share_is_put_into_the_settings() -> None:
    settings = Settings()
    assert with_room(settings, on_gpu(80)).engine.gpu_memory_fraction == on_gpu(80).gpu_fraction
    on_laptop = plan(SMALL, LAPTOP, engine=settings.engine, learn=LEARN)
    planned = with_room(settings, on_laptop)
    assert planned.engine == settings.engine.model_copy(
        update={"slots": on_laptop.slots, "loaded_adapters": on_laptop.places}
    )
    assert with_room(planned, plan(SMALL, LAPTOP, engine=planned.engine, learn=LEARN)) == planned
    with pytest.raises(BadConfig, match=r"trainer 16\."):
        with_room(settings, on_gpu(24))


def test_slots_take_a_share_of_the_memory_and_no_more_than_can_be_used() -> None:
    def slots(gib: int, **engine: int) -> int:
        settings, machine = EngineSettings(dtype="float32", **engine), Machine(ram_bytes=gib * GIB, cores=4)
        return plan(SMALL, machine, engine=settings, learn=LEARN).slots

    assert 4 < slots(16) < slots(32) < 64
    assert slots(1000) == 64
    assert slots(1000, max_sequences=10) == 10
    assert slots(1000, loaded_adapters=8) == 8
    assert slots(1) == 4, "as few as every machine has room for"
    assert slots(16, slots=2) == 2, "what is set stays"


def test_loaded_adapters_take_a_share_of_the_memory_from_64_to_512() -> None:
    def places(gib: int, *, rank: int = 8, gpu_gib: int | None = None, **engine: int) -> int:
        learn = LEARN.model_copy(update={"training": LEARN.training.model_copy(update={"rank": rank})})
        machine = Machine(ram_bytes=gib * GIB, cores=4, gpu_bytes=gpu_gib and gpu_gib * GIB)
        return plan(SMALL, machine, engine=EngineSettings(**engine), learn=learn).places

    assert places(1) == 64, "as few as every machine has room for"
    assert 64 < places(64, rank=32) < places(64, rank=16) < places(64, rank=8) <= 512
    assert places(10_000) == 512
    assert 64 < places(64, rank=32, gpu_gib=8) <= 2 * places(64, rank=32) + 1, (
        "they are in RAM wherever the engine runs"
    )
    assert places(10_000, loaded_adapters=8) == 8, "what is set stays"
    assert places(1, slots=100) == 100


def test_sizes_are_read_from_the_files(tiny_base: Path) -> None:
    found = size_of(tiny_base)
    assert found.layers == 2
    assert found.adapted == 2 * (4 * (64 + 64) + 3 * (64 + 128))
    assert found.weight_bytes in (2 * found.parameters, 4 * found.parameters)
