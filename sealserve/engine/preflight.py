"""Refuse an adapter before the engine sees it: files, configuration, base, shapes, ranks, values, effect.

The engine itself accepts adapters that do nothing, lie about their rank, fit another base or hold NaN, and some
of those harm other tenants' answers; so nothing is handed to it that has not passed here. Reads two files with
numpy.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from sealserve.engine.base_model import BaseShape
from sealserve.engine.tensor_file import FLOAT_BYTES, BrokenTensorFile, TensorEntry, read_floats, read_header
from sealserve.errors import BadAdapter

WEIGHTS_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"
MAX_CONFIG_BYTES = 2**16
MAX_VALUE = 65504.0
"""The largest finite float16 (IEEE 754-2008, table 3.5): a larger weight becomes infinite when the engine casts it."""

_PREFIX = "base_model.model."
_A, _B = ".lora_A.weight", ".lora_B.weight"
_FREE_KEYS = frozenset(
    {"base_model_name_or_path", "lora_alpha", "r", "target_modules", "peft_version", "inference_mode", "lora_dropout"}
    | {"megatron_core", "qalora_group_size", "revision", "auto_mapping", "use_rslora"}
)
_FIXED_VALUES: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "task_type": ("CAUSAL_LM", None),
    "bias": ("none",),
    "init_lora_weights": (True, False, "gaussian"),
}


Stamp: TypeAlias = frozenset[tuple[str, int, int, int]]
"""Tells unchanged files of an adapter: name, size, modification time, inode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterFacts:
    """A sound adapter: its rank, scaling and the layers it changes."""

    rank: int
    scaling: float
    modules: tuple[str, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Config:
    rank: int
    scaling: float
    targets: frozenset[str]


def check_adapter(path: Path, base: BaseShape, *, max_rank: int, max_bytes: int | None = None) -> AdapterFacts:
    """Return what the adapter in directory `path` is, if it may be loaded over `base`. Changes nothing.

    `max_bytes` defaults to the largest file an adapter of `max_rank` over every layer of `base` can need.
    Raises: BadAdapter, with `defect` one of missing_file, unexpected_file, too_large, truncated, bad_config,
    wrong_base, rank_too_large, unknown_module, missing_pair, wrong_shape, lying_rank, wrong_dtype, not_finite,
    no_effect.
    """
    size = _check_files(path, max_bytes=max_bytes or largest_adapter_bytes(base, max_rank=max_rank))
    config = _check_config(path / CONFIG_FILE, base, max_rank=max_rank)
    weights = path / WEIGHTS_FILE
    try:
        header = read_header(weights)
        pairs = _pair_up(header, base, config)
        for module, (a, b) in pairs.items():
            _check_shapes(module, a, b, base=base, rank=config.rank)
        _check_values(weights, pairs)
    except BrokenTensorFile as error:
        raise BadAdapter(f"{WEIGHTS_FILE}: {error}; write the adapter again", defect="truncated") from error
    return AdapterFacts(rank=config.rank, scaling=config.scaling, modules=tuple(sorted(pairs)), size_bytes=size)


def stamp_of(path: Path) -> Stamp:
    """Return what the directory's entries look like from outside; nothing where it is none."""
    found = ((entry.name, entry.lstat()) for entry in path.iterdir()) if path.is_dir() else ()
    return frozenset((name, status.st_size, status.st_mtime_ns, status.st_ino) for name, status in found)


def size_of(stamp: Stamp) -> int:
    """Return how many bytes the files have."""
    return sum(size for _, size, _, _ in stamp)


def largest_adapter_bytes(base: BaseShape, *, max_rank: int) -> int:
    """Return the size of a `max_rank` adapter over every layer of `base` in float32, with room for its header."""
    numbers = sum(outputs + inputs for outputs, inputs in base.linear.values()) * max_rank
    return numbers * FLOAT_BYTES["F32"] + 512 * len(base.linear) + 2**16


def _check_files(path: Path, *, max_bytes: int) -> int:
    allowed = {WEIGHTS_FILE, CONFIG_FILE}
    names = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    if missing := sorted(allowed - names):
        raise BadAdapter(f"the adapter has no {missing[0]}", defect="missing_file")
    if extra := sorted(names - allowed):
        raise BadAdapter(
            f"the adapter holds {extra[0]!r}; only {CONFIG_FILE} and {WEIGHTS_FILE} are allowed",
            defect="unexpected_file",
        )
    for name in allowed:
        if (path / name).is_symlink() or not (path / name).is_file():
            raise BadAdapter(f"{name} is not a plain file", defect="unexpected_file")
    size = (path / WEIGHTS_FILE).stat().st_size
    if size > max_bytes or (path / CONFIG_FILE).stat().st_size > MAX_CONFIG_BYTES:
        raise BadAdapter(
            f"the adapter is larger than this base and rank can need ({max_bytes} bytes)", defect="too_large"
        )
    return size


def _check_config(path: Path, base: BaseShape, *, max_rank: int) -> _Config:
    config = read_config(path)
    for key, value in config.items():
        if key in _FIXED_VALUES:
            _require(value in _FIXED_VALUES[key], f"{key} is {value!r}; allowed: {_FIXED_VALUES[key]}")
        elif key not in _FREE_KEYS:
            _require(value is None or value is False or value in ({}, []), f"{key} is set; that feature is not served")
    _require(config.get("peft_type") == "LORA", "peft_type must be 'LORA'")
    if config.get("base_model_name_or_path") != base.digest:
        raise BadAdapter(
            f"the adapter was trained over another base model; this server runs {base.digest}", defect="wrong_base"
        )
    return _lora_numbers(config, max_rank=max_rank)


def read_config(path: Path) -> dict[str, Any]:
    """Return the adapter's configuration. Raises: BadAdapter (it is no JSON object, or too large)."""
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise BadAdapter(f"{CONFIG_FILE} is larger than {MAX_CONFIG_BYTES} bytes", defect="too_large")
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BadAdapter(f"{CONFIG_FILE} is not JSON", defect="bad_config") from error
    _require(isinstance(config, dict), "it is not a JSON object")
    return dict(config)


def _lora_numbers(config: dict[str, Any], *, max_rank: int) -> _Config:
    rank: Any = config.get("r")
    alpha: Any = config.get("lora_alpha")
    targets: Any = config.get("target_modules")
    stabilised: Any = config.get("use_rslora", False)
    _require(type(rank) is int and rank >= 1, "r must be a whole number of at least 1")
    _require(type(alpha) in (int, float) and math.isfinite(alpha) and alpha > 0, "lora_alpha must be above 0")
    _require(
        isinstance(targets, list) and bool(targets) and all(isinstance(t, str) for t in targets),
        "target_modules must be a list of layer names",
    )
    _require(type(stabilised) is bool, "use_rslora must be true or false")
    if rank > max_rank:
        raise BadAdapter(f"rank {rank} is above this server's engine.max_rank {max_rank}", defect="rank_too_large")
    scaling = alpha / math.sqrt(rank) if stabilised else alpha / rank
    _require(
        scaling <= MAX_VALUE, f"lora_alpha {alpha:g} makes the adapter larger than numbers can be when it is served"
    )
    return _Config(rank, scaling, frozenset(targets))


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BadAdapter(f"{CONFIG_FILE}: {otherwise}", defect="bad_config")


def _pair_up(
    header: dict[str, TensorEntry], base: BaseShape, config: _Config
) -> dict[str, tuple[TensorEntry, TensorEntry]]:
    sides: dict[str, dict[str, TensorEntry]] = {}
    for name, entry in header.items():
        module, side = module_of(name)
        if module not in base.linear or module.rpartition(".")[2] not in config.targets:
            raise BadAdapter(
                f"tensor {name!r} belongs to no layer that this base has and {CONFIG_FILE} names",
                defect="unknown_module",
            )
        sides.setdefault(module, {})[side] = entry
    if not sides:
        raise BadAdapter("the adapter holds no tensors", defect="no_effect")
    for module, pair in sides.items():
        if len(pair) != 2:
            raise BadAdapter(
                f"{module} has lora_{next(iter(pair))} only; both halves are needed", defect="missing_pair"
            )
    known = {module.rpartition(".")[2] for module in base.linear}
    if unknown := sorted(config.targets - known):
        raise BadAdapter(f"target_modules names {unknown[0]!r}, which this base does not have", defect="unknown_module")
    return {module: (pair["A"], pair["B"]) for module, pair in sides.items()}


def module_of(name: str) -> tuple[str, str]:
    """Return the layer that the tensor of that name belongs to, and which half it is: A or B; "" if it is neither."""
    bare = name.removeprefix(_PREFIX)
    for suffix, side in ((_A, "A"), (_B, "B")):
        if name.startswith(_PREFIX) and bare.endswith(suffix):
            return bare.removesuffix(suffix), side
    return "", ""


def _check_shapes(module: str, a: TensorEntry, b: TensorEntry, *, base: BaseShape, rank: int) -> None:
    outputs, inputs = base.linear[module]
    for entry in (a, b):
        if entry.dtype not in FLOAT_BYTES:
            raise BadAdapter(f"{entry.name!r} holds {entry.dtype}, not floating-point numbers", defect="wrong_dtype")
    if len(a.shape) != 2 or len(b.shape) != 2 or (a.shape[1], b.shape[0]) != (inputs, outputs):
        raise BadAdapter(
            f"{module}: A {a.shape} and B {b.shape} do not fit a layer of {inputs} inputs and {outputs} outputs",
            defect="wrong_shape",
        )
    if (a.shape[0], b.shape[1]) != (rank, rank):
        raise BadAdapter(
            f"{module}: {CONFIG_FILE} says rank {rank}, the tensors have {a.shape[0]} and {b.shape[1]}",
            defect="lying_rank",
        )


def _check_values(weights: Path, pairs: dict[str, tuple[TensorEntry, TensorEntry]]) -> None:
    is_effective = False
    for a, b in pairs.values():
        is_a_set, is_b_set = (_is_set(weights, entry) for entry in (a, b))
        is_effective = is_effective or (is_a_set and is_b_set)
    if not is_effective:
        raise BadAdapter("every module's update is zero: the adapter would change nothing", defect="no_effect")


def _is_set(weights: Path, entry: TensorEntry) -> bool:
    values = read_floats(weights, entry)
    largest = float(np.max(np.abs(values))) if values.size else 0.0
    if not largest <= MAX_VALUE:  # NaN compares false
        raise BadAdapter(f"{entry.name!r} holds NaN, infinity or a number above {MAX_VALUE:g}", defect="not_finite")
    return largest > 0
