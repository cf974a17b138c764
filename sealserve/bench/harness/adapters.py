"""Makes adapters for the figures: sound ones with different answers, and bad ones with one defect each.

The weights are random, made with numpy; nothing is trained.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from sealserve.engine.base_model import base_shape
from sealserve.engine.preflight import CONFIG_FILE, WEIGHTS_FILE

RANK = 4
SCALE = 0.25
"""Standard deviation of the random weights: no two adapters of the nano model then say the same."""

Tensors = dict[str, np.ndarray]


def make_sound(directory: Path, base: Path, *, seed: int, scale: float = SCALE) -> Path:
    """Write a random adapter of `base`; another seed answers differently. A tiny `scale` answers as the base does."""
    directory.mkdir(parents=True)
    save_file(_tensors(base, seed=seed, scale=scale), directory / WEIGHTS_FILE)
    _write_config(directory, base)
    return directory


def make_bad(directory: Path, base: Path, *, defect: str, seed: int) -> Path:
    """Write an adapter with that defect, one of `DEFECTS`."""
    make_sound(directory, base, seed=seed)
    DEFECTS[defect](directory, base)
    return directory


def _not_finite(directory: Path, base: Path) -> None:
    _rewrite(directory, base, lambda a, b: (np.full_like(a, np.nan), b))


def _truncated(directory: Path, base: Path) -> None:
    path = directory / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-100])


def _wrong_shape(directory: Path, base: Path) -> None:
    _rewrite(directory, base, lambda a, b: (a[:, :-1].copy(), b))


def _wrong_base(directory: Path, base: Path) -> None:
    _write_config(directory, base, base_model_name_or_path="0" * 64)


def _no_effect(directory: Path, base: Path) -> None:
    _rewrite(directory, base, lambda a, b: (a, np.zeros_like(b)))


def _lying_rank(directory: Path, base: Path) -> None:
    _write_config(directory, base, r=RANK // 2)


DEFECTS: dict[str, Callable[[Path, Path], None]] = {
    "not_finite": _not_finite,
    "truncated": _truncated,
    "wrong_shape": _wrong_shape,
    "wrong_base": _wrong_base,
    "no_effect": _no_effect,
    "lying_rank": _lying_rank,
}


def _tensors(base: Path, *, seed: int, scale: float = SCALE) -> Tensors:
    random = np.random.default_rng(seed)
    tensors: Tensors = {}
    for name, (outputs, inputs) in base_shape(base).linear.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = _normal(random, RANK, inputs, scale=scale)
        tensors[f"base_model.model.{name}.lora_B.weight"] = _normal(random, outputs, RANK, scale=scale)
    return tensors


def _normal(random: np.random.Generator, rows: int, columns: int, *, scale: float) -> np.ndarray:
    return random.normal(0, scale, (rows, columns)).astype(np.float32)


def _rewrite(
    directory: Path, base: Path, change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> None:
    tensors = _tensors(base, seed=1)
    for name in [name for name in tensors if name.endswith(".lora_A.weight")]:
        other = name.replace(".lora_A.", ".lora_B.")
        tensors[name], tensors[other] = change(tensors[name], tensors[other])
    save_file(tensors, directory / WEIGHTS_FILE)


def _write_config(directory: Path, base: Path, **changes: object) -> None:
    shape = base_shape(base)
    settings: dict[str, object] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "bias": "none",
        "target_modules": sorted({name.rpartition(".")[2] for name in shape.linear}),
        "base_model_name_or_path": shape.digest,
    }
    (directory / CONFIG_FILE).write_text(json.dumps(settings | changes), encoding="utf-8")
