"""The files that the training process writes: adapters in PEFT's two-file format, results, and checkpoints.

Each of them appears whole or not at all. safetensors and JSON only.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file
from torch import Tensor

from sealserve.atomic_files import replace_file
from sealserve.errors import TrainingFailed
from sealserve.learning.multi_lora.optimizer import Slot
from sealserve.learning.training_job import Attempt, Result, adapter_path, result_path

TENSORS = ("weights_P", "first_P", "second_P", "steps_taken")


def write_adapter(pairs: Mapping[str, tuple[Tensor, Tensor]], *, attempt: Attempt, base: str, directory: Path) -> None:
    """Write A and B of each layer, cut to the attempt's rank, as PEFT 0.21 does; `base` is the base's digest.

    B is multiplied by the recipe's `strength`.
    """
    aside = directory / f".aside-{os.getpid()}-{attempt.index}"
    aside.mkdir(exist_ok=True)
    rank = attempt.recipe.rank
    tensors = {}
    for name, (a_RI, b_OR) in pairs.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = a_RI[:rank].float().contiguous().cpu()
        tensors[f"base_model.model.{name}.lora_B.weight"] = (
            (b_OR[:, :rank].float() * attempt.recipe.strength).contiguous().cpu()
        )
    save_file(tensors, aside / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": attempt.recipe.alpha,
        "target_modules": sorted({name.rpartition(".")[2] for name in pairs}),
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
    }
    (aside / "adapter_config.json").write_text(json.dumps(config, indent=2))
    final = adapter_path(directory, attempt.index)
    if final.exists():
        final.rename(directory / f".stale-{os.getpid()}-{attempt.index}")
    aside.rename(final)


def read_adapter(path: Path, into: Mapping[str, tuple[Tensor, Tensor]], *, rank: int) -> None:
    """Copy the adapter in `path` over A and B of each layer of `into` that it has.

    Imported adapters may leave layers out: those of a fresh `into` change nothing. Raises: TrainingFailed (it does not
    fit, or has layers that `into` has not).
    """
    sides = {
        f"base_model.model.{name}.lora_{side}.weight": part[:rank] if side == "A" else part[:, :rank]
        for name, pair in into.items()
        for side, part in zip("AB", pair, strict=True)
    }
    try:
        with safe_open(path / "adapter_model.safetensors", framework="pt", device="cpu") as file:
            for name in file.keys():  # noqa: SIM118 - the file is no mapping
                sides[name].copy_(file.get_tensor(name))
    except (OSError, SafetensorError, RuntimeError, KeyError) as error:
        raise TrainingFailed(f"the adapter to go on from does not fit this model at rank {rank}") from error


def write_result(result: Result, *, directory: Path) -> None:
    """Write the result, which says that the candidate is finished, and drop its checkpoint."""
    replace_file(result_path(directory, result.index), json.dumps(asdict(result)).encode())
    _checkpoint_path(directory, result.index).unlink(missing_ok=True)


def write_checkpoint(slot: Slot, *, job: str, directory: Path) -> None:
    """Write the slot as it is between two steps."""
    path = _checkpoint_path(directory, slot.attempt.index)
    progress = {"losses": slot.losses, "drifts": slot.drifts, "seconds": slot.seconds}
    tensors = {name: getattr(slot, name).detach().cpu().contiguous() for name in TENSORS}
    replace_file(path, save(tensors, metadata={"job": job, "progress": json.dumps(progress)}))


def read_checkpoint(attempt: Attempt, *, job: str, directory: Path, device: torch.device) -> Slot | None:
    """Return the attempt as its checkpoint has it; None when there is none of this job."""
    path = _checkpoint_path(directory, attempt.index)
    if not path.exists():
        return None
    with safe_open(path, framework="pt", device="cpu") as file:
        said = file.metadata()
        if said["job"] != job:
            return None
        tensors = {name: file.get_tensor(name).to(device) for name in TENSORS}
    return Slot(attempt=attempt, **tensors, **json.loads(said["progress"]))


def _checkpoint_path(directory: Path, index: int) -> Path:
    return directory / f".checkpoint-{index}.safetensors"
