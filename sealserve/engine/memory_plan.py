"""The memory plan: what engine and trainer will need, against what the machine has, before anything is loaded.

`plan` is arithmetic on numbers; `plan_here` reads them from the model's files and from this machine.
"""

import json
import math
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from sealserve.base_models.profile import profile_of
from sealserve.engine.base_model import base_shape
from sealserve.engine.tensor_file import BrokenTensorFile, read_header
from sealserve.errors import BadConfig
from sealserve.processes.processor import cpu_dtype
from sealserve.settings.engine import DEFAULT_GPU_FRACTION, EngineSettings
from sealserve.settings.learn import LearnSettings
from sealserve.settings.settings import Settings

GIB = 2**30
_DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}

CPU_ADAPTER_NUMBER = 4
"""Bytes per number of an adapter that serves on a CPU: float32 whatever the model's format (`vllm_cpu_lora.DTYPE`)."""

CPU_ENGINE_BYTES, GPU_ENGINE_BYTES = int(2.5 * GIB), 2 * GIB
"""The engine without weights and cache. On a CPU its three processes hold 2.5 GiB of libraries and buffers (vLLM 0.32,
SmolLM2-135M: 3.7 GiB resident, less weights, cache and adapters). On a GPU: its context and the captured graphs, for
which vLLM reserves one to two GiB; not measured here."""

CPU_TRAINER_BYTES, GPU_TRAINER_BYTES = GIB, GIB
"""The trainer without weights: libraries; on a GPU its context and one part of the output layer's logits. Estimates."""

TRAINED_BYTES = 20
"""Per number of an adapter in training, float32: weight, gradient, two moments, and a copy to compute with."""

HIDDEN_COPIES, INNER_COPIES = 24, 8
"""Activations that a layer keeps per token until backward, in hidden and feed-forward sizes, float32."""

SEQUENCE_TOKENS = 512
"""The longest sequence that is trained on: a passage. One of them at a time, checkpointed, is the least that trains."""

SMALL_BASE_BYTES = 100 * 10**6
"""Of weight files: below, a CPU trains in a process per core (`training/trainer.py`)."""

SLOT_SHARE = 0.05
"""Of the memory that serves: more adapter slots than it holds are not worth it. vLLM reserves them at its start; on a
CPU a slot costs nothing else, for each row is multiplied with its own adapter alone (ops/decisions/0013)."""

PLACES_SHARE, MOST_PLACES = 0.05, 512
"""Of the RAM: so much of it loaded adapters may take, and no more than `MOST_PLACES` of them. For every adapter in a
step vLLM 0.32 copies the list of all that are loaded (`LRUCacheWorkerLoRAManager.add_adapter`)."""

DRIVER_SHARE = 0.02
"""Of a GPU, kept free: the driver's own, and fragments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSize:
    """A base model's sizes. `adapted` is the sum of inputs and outputs over the layers that adapters change."""

    parameters: int
    weight_bytes: int  # as stored
    adapted: int
    kv_values_per_token: int
    layers: int
    hidden: int
    inner: int
    context_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the machine has; `gpu_bytes` is the memory of the GPU that serves, None where the CPU does."""

    ram_bytes: int
    cores: int
    gpu_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the plan."""

    name: str
    bytes: int

    def __str__(self) -> str:
        return f"{self.name} {_gib(self.bytes)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """The least that engine and trainer need. `trainer` is empty where training has other memory.

    `slots`, `places`, `gpu_fraction`: what engine.slots, engine.loaded_adapters and engine.gpu_memory_fraction should
    be, the last None on a CPU.
    `fault`: why it cannot work, and what to do; "" if it fits.
    """

    kind: str  # "memory" or "GPU memory"
    available: int
    engine: tuple[Part, ...]
    trainer: tuple[Part, ...]
    gpu_fraction: float | None
    slots: int
    places: int
    fault: str

    @property
    def engine_bytes(self) -> int:
        """The engine's parts together."""
        return sum(part.bytes for part in self.engine)

    @property
    def trainer_bytes(self) -> int:
        """The trainer's parts together."""
        return sum(part.bytes for part in self.trainer)

    def shown(self) -> str:
        """Return the arithmetic in one line."""
        engine = f"engine {_gib(self.engine_bytes)} ({' + '.join(map(str, self.engine))})"
        trainer = f" + trainer {_gib(self.trainer_bytes)} ({' + '.join(map(str, self.trainer))})"
        fraction = "" if self.gpu_fraction is None else f"; engine.gpu_memory_fraction {self.gpu_fraction:g}"
        return f"{engine}{trainer if self.trainer else ''} of {_gib(self.available)} of {self.kind}{fraction}"


def plan(size: ModelSize, machine: Machine, *, engine: EngineSettings, learn: LearnSettings) -> MemoryPlan:
    """Return the plan for a base model on a machine; `learn` with the defaults of the model's profile.

    A trainer on the same device counts: one whose `learn.devices` is empty, and on a CPU any that is not Ray's.
    """
    more = engine
    if not more.loaded_adapters:
        more = more.model_copy(update={"loaded_adapters": _places(size, machine, engine=engine, learn=learn)})
    if not more.slots:
        more = more.model_copy(update={"slots": _slots(size, machine, more)})
    found = _plan(size, machine, engine=more, learn=learn)
    if not found.fault or (more.slots, more.loaded_adapters) == (engine.adapter_slots, engine.adapter_places):
        return found
    return _plan(size, machine, engine=engine, learn=learn)


def _plan(size: ModelSize, machine: Machine, *, engine: EngineSettings, learn: LearnSettings) -> MemoryPlan:
    if machine.gpu_bytes is None:
        return _plan_cpu(size, machine, engine=engine, learn=learn)
    return _plan_gpu(size, machine.gpu_bytes, engine=engine, learn=learn)


def _slots(size: ModelSize, machine: Machine, engine: EngineSettings) -> int:
    """Return how many adapter slots a share of the memory holds, and no more than can be used at once."""
    one = engine.max_rank * size.adapted * _adapter_number(size, machine, engine)
    fitting = int(SLOT_SHARE * (machine.gpu_bytes or machine.ram_bytes) / max(1, one))
    return max(engine.adapter_slots, min(fitting, engine.max_sequences, engine.adapter_places))


def _places(size: ModelSize, machine: Machine, *, engine: EngineSettings, learn: LearnSettings) -> int:
    """Return how many loaded adapters a share of the RAM holds."""
    one = learn.training.rank * size.adapted * _adapter_number(size, machine, engine)
    return max(engine.adapter_places, min(int(PLACES_SHARE * machine.ram_bytes / max(1, one)), MOST_PLACES))


def plan_here(settings: Settings, directory: Path, *, trains_here: bool = True) -> MemoryPlan:
    """Return the plan for the base model in `directory` on this machine. Raises: BadConfig (the model's files)."""
    size = size_of(directory)
    profile = profile_of(directory, digest=base_shape(directory).digest)
    learn = settings.learn.with_defaults(profile.learn)
    if not trains_here:
        learn = learn.model_copy(update={"executor": "ray"})
    return plan(size, this_machine(), engine=settings.engine, learn=learn)


def with_room(settings: Settings, found: MemoryPlan) -> Settings:
    """Return the settings with the plan's engine.slots, engine.loaded_adapters and engine.gpu_memory_fraction.

    Raises: BadConfig (it does not fit).
    """
    if found.fault:
        raise BadConfig(found.fault)
    planned = {"slots": found.slots, "loaded_adapters": found.places, "gpu_memory_fraction": found.gpu_fraction}
    kept = {name: value for name, value in planned.items() if value is not None}
    return settings.model_copy(update={"engine": settings.engine.model_copy(update=kept)})


def size_of(directory: Path) -> ModelSize:
    """Return the sizes of the model in `directory`, from its headers and config. Raises: BadConfig."""
    shape = base_shape(directory)
    try:
        entries = [entry for file in sorted(directory.glob("*.safetensors")) for entry in read_header(file).values()]
        config: dict[str, Any] = json.loads((directory / "config.json").read_bytes())
    except (OSError, ValueError, BrokenTensorFile) as error:
        raise BadConfig(f"engine.model: {directory} cannot be read: {error}") from error
    nested = config.get("text_config")
    text = nested if isinstance(nested, dict) else config
    hidden = int(text.get("hidden_size") or 0)
    return ModelSize(
        parameters=sum(math.prod(entry.shape) for entry in entries),
        weight_bytes=sum(entry.end - entry.start for entry in entries),
        adapted=sum(outputs + inputs for outputs, inputs in shape.linear.values()),
        kv_values_per_token=shape.kv_values_per_token,
        layers=int(text.get("num_hidden_layers") or 0),
        hidden=hidden,
        inner=int(text.get("intermediate_size") or 4 * hidden),
        context_tokens=shape.max_context_tokens,
    )


def this_machine() -> Machine:
    """Return this machine's memory: RAM of /proc/meminfo, and the first GPU that nvidia-smi lists."""
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    ram = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:"))
    return Machine(ram_bytes=ram, cores=len(os.sched_getaffinity(0)), gpu_bytes=None if _serves_on_cpu() else _gpu())


def _plan_cpu(size: ModelSize, machine: Machine, *, engine: EngineSettings, learn: LearnSettings) -> MemoryPlan:
    number = _serving_bytes(size, cpu_dtype(engine.dtype))
    serving = (
        Part(name="weights", bytes=size.parameters * number),
        Part(name="KV cache", bytes=int(engine.kv_cache_gib * GIB)),
        Part(
            name="adapters",
            bytes=_slot_bytes(size, engine, CPU_ADAPTER_NUMBER)
            + _loaded_bytes(size, engine, learn, CPU_ADAPTER_NUMBER),
        ),
        Part(name="process", bytes=CPU_ENGINE_BYTES),
    )
    is_small = size.weight_bytes < SMALL_BASE_BYTES
    processes = min(learn.trainer_processes or (machine.cores if is_small else 1), learn.training.candidates)
    training = () if learn.executor == "ray" else _training_parts(size, learn, 4, CPU_TRAINER_BYTES, times=processes)
    needed = sum(part.bytes for part in (*serving, *training))
    fault = ""
    if needed > machine.ram_bytes:
        fault = (
            f"{_sum(serving, training)} > {_gib(machine.ram_bytes)} of memory: lower engine.kv_cache_gib or "
            "engine.loaded_adapters, train elsewhere (learn.executor = ray), or choose a smaller engine.model"
        )
    return MemoryPlan(
        kind="memory",
        available=machine.ram_bytes,
        engine=serving,
        trainer=training,
        gpu_fraction=None,
        slots=engine.adapter_slots,
        places=engine.adapter_places,
        fault=fault,
    )


def _plan_gpu(size: ModelSize, total: int, *, engine: EngineSettings, learn: LearnSettings) -> MemoryPlan:
    number = _serving_bytes(size, engine.dtype)
    context = min(engine.max_context_tokens or size.context_tokens, size.context_tokens)
    serving = (
        Part(name="weights", bytes=size.parameters * number),
        Part(name="KV cache of one context", bytes=context * size.kv_values_per_token * number),
        Part(name="adapters", bytes=_slot_bytes(size, engine, number)),
        Part(name="process", bytes=GPU_ENGINE_BYTES),
    )
    shares = learn.executor == "process" and not learn.devices
    training = _training_parts(size, learn, 2, GPU_TRAINER_BYTES, times=1) if shares else ()
    room = total - sum(part.bytes for part in training)
    most = math.floor(100 * (room / total - DRIVER_SHARE)) / 100
    fitting = min(DEFAULT_GPU_FRACTION, most)
    return MemoryPlan(
        kind="GPU memory",
        available=total,
        engine=serving,
        trainer=training,
        gpu_fraction=engine.gpu_memory_fraction or max(fitting, 0.0),
        slots=engine.adapter_slots,
        places=engine.adapter_places,
        fault=_gpu_fault(serving, training, total, fitting=fitting, chosen=engine.gpu_memory_fraction),
    )


def _gpu_fault(
    serving: Sequence[Part], training: Sequence[Part], total: int, *, fitting: float, chosen: float | None
) -> str:
    """`fitting`: the largest share that leaves room for the trainer; `chosen`: the share that is set."""
    least = sum(part.bytes for part in serving)
    other = (
        "learn.devices = spare or cpu, learn.executor = ray, or" if training else "a lower engine.max_context_tokens or"
    )
    if least > fitting * total:
        return f"{_sum(serving, training)} > {_gib(total)} of GPU memory: set {other} a smaller engine.model"
    if chosen is not None and least > chosen * total:
        return (
            f"engine {_gib(least)} > {_gib(int(chosen * total))}, its share of GPU memory: set "
            f"engine.gpu_memory_fraction to {fitting:.2f}, or unset it"
        )
    if chosen is not None and training and chosen * total + sum(part.bytes for part in training) > total:
        taken = (Part(name="", bytes=int(chosen * total)),)
        return (
            f"{_sum(taken, training)} > {_gib(total)} of GPU memory: set engine.gpu_memory_fraction to {fitting:.2f} "
            "or unset it, or set learn.devices = spare or cpu"
        )
    return ""


def _training_parts(
    size: ModelSize, learn: LearnSettings, number: int, process: int, *, times: int
) -> tuple[Part, ...]:
    """One candidate at a time in each of `times` processes: what training needs at least."""
    wide = 4 * (HIDDEN_COPIES * size.hidden + INNER_COPIES * size.inner)  # of a token in one layer
    kept = 4 * size.layers * size.hidden  # a checkpoint for each layer
    return (
        Part(name="its own weights", bytes=times * size.parameters * number),
        Part(name="adapter", bytes=times * TRAINED_BYTES * learn.training.rank * size.adapted),
        Part(name="activations", bytes=times * SEQUENCE_TOKENS * (wide + kept)),
        Part(name="process", bytes=times * process),
    )


def _slot_bytes(size: ModelSize, engine: EngineSettings, number: int) -> int:
    """vLLM keeps room for `slots` adapters of the largest rank."""
    return engine.adapter_slots * engine.max_rank * size.adapted * number


def _loaded_bytes(size: ModelSize, engine: EngineSettings, learn: LearnSettings, number: int) -> int:
    """Adapters that wait in RAM have the rank they were trained with."""
    return engine.adapter_places * learn.training.rank * size.adapted * number


def _adapter_number(size: ModelSize, machine: Machine, engine: EngineSettings) -> int:
    """Bytes per number of an adapter that serves."""
    return CPU_ADAPTER_NUMBER if machine.gpu_bytes is None else _serving_bytes(size, engine.dtype)


def _serving_bytes(size: ModelSize, dtype: str) -> int:
    """Bytes per weight: of the format, or as stored."""
    return _DTYPE_BYTES.get(dtype) or max(1, round(size.weight_bytes / max(1, size.parameters)))


def _serves_on_cpu() -> bool:
    try:
        metadata.version("vllm-cpu")
    except metadata.PackageNotFoundError:
        return False
    return True


def _gpu() -> int | None:
    """Total memory of the first GPU. Asked of nvidia-smi: torch would open a context on the GPU in this process."""
    line = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        found = subprocess.run(line, capture_output=True, text=True, timeout=10, check=True).stdout.split()
        return int(found[0]) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def _sum(serving: Sequence[Part], training: Sequence[Part]) -> str:
    engine = f"engine {_gib(sum(part.bytes for part in serving))}"
    return f"{engine} + trainer {_gib(sum(part.bytes for part in training))}" if training else engine


def _gib(count: int) -> str:
    return f"{count / GIB:.1f} GiB"
