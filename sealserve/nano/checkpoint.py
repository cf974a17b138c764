"""Training state on disk: safetensors and JSON only, written aside and renamed. Also writes the finished model."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import GenerationConfig, Qwen2ForCausalLM

from sealserve.base_models.profile import PROFILE_FILE
from sealserve.nano.model import CONTEXT, weights_dir
from sealserve.nano.tokenizer import IM_END, save_tokenizer

_KEPT = 2


def save(
    out: Path, model: Qwen2ForCausalLM, optimizers: Sequence[torch.optim.Optimizer], state: dict[str, int]
) -> None:
    """Write `out/step-N` whole or not at all; older checkpoints but one are removed."""
    final = out / f"step-{state['step']:07d}"
    aside = out / f".{final.name}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    names = {id(p): n for n, p in model.named_parameters()}
    save_file({n: p.detach().contiguous() for n, p in model.named_parameters()}, aside / "model.safetensors")
    moments = {
        f"{i}/{names[id(p)]}/{key}": value.detach().clone().contiguous()
        for i, optimizer in enumerate(optimizers)
        for p, slots in optimizer.state.items()
        for key, value in slots.items()
    }
    save_file(moments, aside / "optimizer.safetensors")
    (aside / "state.json").write_text(json.dumps(state))
    shutil.rmtree(final, ignore_errors=True)
    os.replace(aside, final)
    for old in sorted(out.glob("step-*"))[:-_KEPT]:
        shutil.rmtree(old)


def load(out: Path, model: Qwen2ForCausalLM, optimizers: Sequence[torch.optim.Optimizer]) -> dict[str, int] | None:
    """Fill model and optimizers from the newest checkpoint and return its state; `None` where there is none."""
    found = sorted(out.glob("step-*"))
    if not found:
        return None
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in load_file(found[-1] / "model.safetensors").items():
            parameters[name].copy_(value)
    for key, value in load_file(found[-1] / "optimizer.safetensors").items():
        index, name, slot = key.split("/")
        optimizers[int(index)].state[parameters[name]][slot] = value.to(
            value.device if slot == "step" else parameters[name].device
        )
    state: dict[str, int] = json.loads((found[-1] / "state.json").read_text())
    return state


def export(model: Qwen2ForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Write the model as bf16 safetensors with its tokenizer and generation settings, for any loader of Qwen2."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_tokenizer(tokenizer, folder, context=CONTEXT)
    copy = Qwen2ForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.generation_config = GenerationConfig(
        eos_token_id=tokenizer.token_to_id(IM_END), pad_token_id=0, bos_token_id=None, do_sample=False
    )
    copy.to(torch.bfloat16).save_pretrained(folder)
    shutil.copy(weights_dir() / PROFILE_FILE, folder / PROFILE_FILE)
    for path in folder.iterdir():
        path.chmod(0o644)
