"""Adapters as stock PEFT writes them, brought into the plain form that is served.

The plain form has one rank for all layers and a scaling of one: every layer's own rank, alpha and rank-stabilised
scaling (`rank_pattern`, `alpha_pattern`, `use_rslora`; arXiv 2312.03732) are worked into its matrices. What an adapter
changes is read off its tensors, so that a regular expression or paths in `target_modules` need no interpretation. What
changes anything but the weights of linear layers is refused, by the name of its key. Two files are read, all others in
the folder are passed over.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from sealserve.engine.base_model import BaseShape
from sealserve.engine.preflight import (
    CONFIG_FILE,
    MAX_VALUE,
    WEIGHTS_FILE,
    largest_adapter_bytes,
    module_of,
    read_config,
)
from sealserve.engine.tensor_file import FLOAT_BYTES, BrokenTensorFile, TensorEntry, read_floats, read_header
from sealserve.errors import BadAdapter

_BASE_KEPT = (True, False, None, "gaussian", "orthogonal", "eva")
"""Values of init_lora_weights that leave the base model's weights as they are."""

_HARMLESS = frozenset(
    {"alpha_pattern", "auto_mapping", "base_model_name_or_path", "eva_config", "exclude_modules", "inference_mode"}
    | {"layers_pattern", "layers_to_transform", "lora_alpha", "lora_dropout", "megatron_core", "peft_version", "r"}
    | {"qalora_group_size", "rank_pattern", "revision", "target_modules", "use_rslora"}
)
"""Keys that say nothing, or nothing that the tensors and `_scaling` do not say."""

_FIXED: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "task_type": ("CAUSAL_LM", None),
    "bias": ("none",),
    "init_lora_weights": _BASE_KEPT,
}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.]{1,256}")

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainAdapter:
    """What was written: the base that the adapter names, and the rank and layers that it has."""

    base_name: str
    rank: int
    modules: tuple[str, ...]


def write_plain(source: Path, to: Path, base: BaseShape, *, base_is: str, max_rank: int) -> PlainAdapter:
    """Write the adapter in the folder `source` into the new folder `to`, in the plain form, over `base`.

    `base_is` is the name by which the adapter knows its base; who gives it says that `base` is that model.
    Raises: BadAdapter (`defect` as `preflight.check_adapter`), naming the key or the tensor that is at fault.
    """
    config = _config(source)
    named = str(config.get("base_model_name_or_path") or "")
    if named != base_is:
        raise BadAdapter(f"{CONFIG_FILE}: base_model_name_or_path is {named!r}, not {base_is!r}", defect="wrong_base")
    layers = _layers(source / WEIGHTS_FILE, base, max_bytes=2 * largest_adapter_bytes(base, max_rank=max_rank))
    ranks = {module: a.shape[0] if a.shape else 0 for module, (a, _) in layers.items()}
    rank = max(ranks.values())
    if rank > max_rank:
        raise BadAdapter(f"rank {rank} is above this server's engine.max_rank {max_rank}", defect="rank_too_large")
    tensors: dict[str, Floats] = {}
    for module, (a, b) in layers.items():
        own = _declared_rank(config, module)
        if ranks[module] != own:
            raise BadAdapter(
                f"{module}: {CONFIG_FILE} says rank {own} (r, rank_pattern), its tensors have {ranks[module]}",
                defect="lying_rank",
            )
        tensors |= _padded(source / WEIGHTS_FILE, module, (a, b), rank=rank, scaling=_scaling(config, module, own))
    to.mkdir()
    save_file(tensors, to / WEIGHTS_FILE)
    (to / CONFIG_FILE).write_text(json.dumps(_plain_config(base, tuple(layers), rank=rank)), encoding="utf-8")
    return PlainAdapter(base_name=named, rank=rank, modules=tuple(sorted(layers)))


def _config(source: Path) -> dict[str, Any]:
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if (source / name).is_symlink() or not (source / name).is_file():
            pickled = source / "adapter_model.bin"
            why = (
                f"; {pickled.name} is a pickle, which is never read: save it as safetensors" if pickled.exists() else ""
            )
            raise BadAdapter(f"{source} has no {name}{why}", defect="missing_file")
    config = read_config(source / CONFIG_FILE)
    for key, value in config.items():
        if key in _FIXED:
            if value not in _FIXED[key]:
                raise _bad(f"{key} is {value!r}; what is served: {', '.join(map(repr, _FIXED[key]))}")
        elif key not in _HARMLESS and value is not None and value is not False and value not in ({}, []):
            raise _bad(f"{key} is set ({str(value)[:60]}); that feature is not served")
    if config.get("peft_type") != "LORA":
        raise _bad("peft_type must be 'LORA'")
    return config


def _layers(weights: Path, base: BaseShape, *, max_bytes: int) -> dict[str, tuple[TensorEntry, TensorEntry]]:
    if weights.stat().st_size > max_bytes:
        raise BadAdapter(
            f"the adapter is larger than this base and rank can need ({max_bytes} bytes)", defect="too_large"
        )
    sides: dict[str, dict[str, TensorEntry]] = {}
    try:
        header = read_header(weights)
    except BrokenTensorFile as error:
        raise BadAdapter(f"{WEIGHTS_FILE}: {error}; write the adapter again", defect="truncated") from error
    for name, entry in header.items():
        module, side = module_of(name)
        if module not in base.linear:
            raise BadAdapter(
                f"tensor {name!r} changes no linear layer of this base (target_modules, modules_to_save, "
                "trainable_token_indices)",
                defect="unknown_module",
            )
        if entry.dtype not in FLOAT_BYTES:
            raise BadAdapter(f"{name!r} holds {entry.dtype}, not floating-point numbers", defect="wrong_dtype")
        sides.setdefault(module, {})[side] = entry
    for module, pair in sides.items():
        if len(pair) != 2:
            raise BadAdapter(
                f"{module} has lora_{next(iter(pair))} only; both halves are needed", defect="missing_pair"
            )
        shapes = pair["A"].shape, pair["B"].shape
        outputs, inputs = base.linear[module]
        if len(shapes[0]) != 2 or len(shapes[1]) != 2 or shapes != ((shapes[0][0], inputs), (outputs, shapes[0][0])):
            raise BadAdapter(
                f"{module}: A {shapes[0]} and B {shapes[1]} do not fit its {inputs} inputs and {outputs} outputs",
                defect="wrong_shape",
            )
    if not sides:
        raise BadAdapter("the adapter holds no tensors", defect="no_effect")
    return {module: (pair["A"], pair["B"]) for module, pair in sides.items()}


def _declared_rank(config: Mapping[str, Any], module: str) -> int:
    rank = _pattern(config, "rank_pattern", module, config.get("r"))
    if type(rank) is not int or rank < 1:
        raise _bad(f"the rank of {module} (r, rank_pattern) must be a whole number of at least 1")
    return rank


def _scaling(config: Mapping[str, Any], module: str, rank: int) -> float:
    alpha = _pattern(config, "alpha_pattern", module, config.get("lora_alpha"))
    stabilised = config.get("use_rslora", False)
    if type(stabilised) is not bool:
        raise _bad("use_rslora must be true or false")
    if type(alpha) not in (int, float) or not math.isfinite(alpha) or alpha <= 0:
        raise _bad(f"the alpha of {module} (lora_alpha, alpha_pattern) must be a finite number above 0")
    scaling = float(alpha) / (math.sqrt(rank) if stabilised else rank)
    if scaling > MAX_VALUE:
        raise _bad(
            f"the alpha of {module} (lora_alpha, alpha_pattern) is {alpha:g}: too large to be finite when served"
        )
    return scaling


def _pattern(config: Mapping[str, Any], key: str, module: str, otherwise: Any) -> Any:
    """Return what `key` says of the module: its first entry that names it, whole or by its last parts, as in PEFT.

    PEFT takes entries for regular expressions; those that are more than a name are refused.
    """
    patterns = config.get(key) or {}
    if not isinstance(patterns, dict):
        raise _bad(f"{key} must map layer names to numbers")
    for name, value in patterns.items():
        if not _PLAIN_NAME.fullmatch(name):
            raise _bad(f"{key} has the regular expression {name[:60]!r}; name the layers instead")
        if module == name or module.endswith(f".{name}"):
            return value
    return otherwise


def _padded(
    weights: Path, module: str, pair: tuple[TensorEntry, TensorEntry], *, rank: int, scaling: float
) -> dict[str, Floats]:
    a, b = (read_floats(weights, entry).astype(np.float32) for entry in pair)
    missing = rank - a.shape[0]
    return {
        f"base_model.model.{module}.lora_A.weight": np.pad(a, ((0, missing), (0, 0))),
        f"base_model.model.{module}.lora_B.weight": np.pad(b * np.float32(scaling), ((0, 0), (0, missing))),
    }


def _plain_config(base: BaseShape, modules: tuple[str, ...], *, rank: int) -> dict[str, Any]:
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": rank,
        "bias": "none",
        "target_modules": sorted({module.rpartition(".")[2] for module in modules}),
        "base_model_name_or_path": base.digest,
    }


def _bad(text: str) -> BadAdapter:
    return BadAdapter(f"{CONFIG_FILE}: {text}", defect="bad_config")
