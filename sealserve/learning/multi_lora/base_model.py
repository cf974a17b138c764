"""The base model of a training pass: loaded, frozen, on the device that this process sees; its stack and its names."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.core_model_loading import revert_weight_conversion

from sealserve.errors import TrainingFailed
from sealserve.processes.processor import has_bfloat16


def load_base(directory: Path) -> nn.Module:
    """Return the frozen base: bf16 on CUDA. Raises: TrainingFailed (transformers cannot load it, or not for text)."""
    on_gpu = torch.cuda.is_available()
    try:
        config = AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
        has_caps = getattr(config.get_text_config(), "attn_logit_softcapping", None)
        model = AutoModelForCausalLM.from_pretrained(
            directory,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.bfloat16 if on_gpu else torch.float32,
            attn_implementation="eager" if has_caps else None,  # others ignore caps on scores; None: the fastest it has
        )
    except (ValueError, ImportError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise TrainingFailed(f"{_architecture(directory)} cannot be trained: {reason}") from error
    model.requires_grad_(False)
    return model.to("cuda" if on_gpu else "cpu")  # type: ignore[no-any-return]


def dtype_of_computation(model: nn.Module) -> torch.dtype:
    """Return bfloat16 where the processor has it: it halves the step (0.26 s to 0.16 s, 3 M parameters, one core).

    Elsewhere it costs: float32.
    """
    on_cpu = next(model.parameters()).device.type == "cpu"
    return torch.bfloat16 if not on_cpu or has_bfloat16() else torch.float32


def text_stack(model: nn.Module) -> nn.Module:
    """Return the part of the model that reads text, without its head and without vision or audio towers."""
    inner: Any = model
    found: nn.Module | None = inner.get_decoder()
    return getattr(inner, inner.base_model_prefix) if found is None or found is model else found


def checkpoint_name(model: nn.Module, name: str) -> str:
    """Return what the base's files call the layer `name`, which transformers may load under another name.

    Adapters name layers as the files do. A vision-language checkpoint's `language_model.model.layers` is loaded as
    `model.language_model.layers`.
    """
    inner: Any = model
    (found,) = revert_weight_conversion(inner, {f"{name}.weight": torch.empty(0, device="meta")})
    return str(found).removesuffix(".weight")


def _architecture(directory: Path) -> str:
    try:
        return str(json.loads((directory / "config.json").read_bytes())["architectures"][0])
    except (OSError, ValueError, LookupError, TypeError):
        return "this base model"
