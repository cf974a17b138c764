"""Merging adapters into weights, as SEAL does after every edit; and the sum of several merges as one adapter.

Exact in float32. A sum of low-rank changes is one low-rank change: A's stacked, B's side by side, so what was merged
into files of weights can be asked through the engine as an adapter of the untouched base.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from sealserve.engine.preflight import CONFIG_FILE, WEIGHTS_FILE
from sealserve.engine.tensor_file import read_floats, read_header

PREFIX = "base_model.model."
Array = np.ndarray


def merge(base: Path, adapter: Path, *, into: Path) -> Path:
    """Write `base` with `adapter` merged into its weights, in float32, to the new directory `into`; return it."""
    into.mkdir(parents=True)
    for file in base.iterdir():
        if file.is_file() and file.suffix != ".safetensors" and not file.name.startswith("."):
            shutil.copyfile(file, into / file.name)
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    (into / "config.json").write_text(json.dumps({**config, "dtype": "float32"}), encoding="utf-8")
    changes = {name: b @ a for name, (a, b) in _pairs(adapter).items()}
    for file in base.glob("*.safetensors"):
        weights = {name: read_floats(file, entry).astype(np.float32) for name, entry in read_header(file).items()}
        for name in [name for name in weights if name.removesuffix(".weight") in changes]:
            weights[name] = weights[name] + changes.pop(name.removesuffix(".weight"))
        save_file(weights, into / file.name, metadata={"format": "pt"})
    if changes:
        raise ValueError(f"the base has no weights named {', '.join(sorted(changes))}")
    return into


def summed(adapters: Sequence[Path], *, into: Path) -> Path:
    """Write one adapter to the new directory `into` that changes the weights as all `adapters` together; return it."""
    into.mkdir(parents=True)
    every = [_pairs(adapter) for adapter in adapters]
    tensors: dict[str, Array] = {}
    for name in every[0]:
        tensors[f"{PREFIX}{name}.lora_A.weight"] = np.concatenate([pairs[name][0] for pairs in every], axis=0)
        tensors[f"{PREFIX}{name}.lora_B.weight"] = np.concatenate([pairs[name][1] for pairs in every], axis=1)
    rank = next(iter(tensors.values())).shape[0]
    config = json.loads((adapters[0] / CONFIG_FILE).read_text(encoding="utf-8"))
    save_file(tensors, into / WEIGHTS_FILE)
    (into / CONFIG_FILE).write_text(json.dumps({**config, "r": rank, "lora_alpha": rank}), encoding="utf-8")
    return into


def _pairs(adapter: Path) -> dict[str, tuple[Array, Array]]:
    """Return (A, B times its scaling) of every module, by the module's name in the base."""
    config = json.loads((adapter / CONFIG_FILE).read_text(encoding="utf-8"))
    scaling = config["lora_alpha"] / config["r"]
    tensors = load_file(adapter / WEIGHTS_FILE)
    names = [name.removesuffix(".lora_A.weight") for name in tensors if name.endswith(".lora_A.weight")]
    return {
        name.removeprefix(PREFIX): (
            tensors[f"{name}.lora_A.weight"].astype(np.float32),
            (scaling * tensors[f"{name}.lora_B.weight"]).astype(np.float32),
        )
        for name in names
    }
