"""Turns a GGUF file (llama.cpp's format) into a directory that transformers and vLLM load: bfloat16 safetensors.

The weights are de-quantised, so nothing is gained over the quantised file but that they can be trained on. Tokenizer,
chat template and special tokens come along.
"""

import logging
from pathlib import Path

from sealserve.errors import InvalidArgument

_MAGIC = b"GGUF"


def convert(source: Path, directory: Path) -> str:
    """Write the model of `source` into `directory`; return its architecture.

    Raises: InvalidArgument (no GGUF file, an architecture that transformers does not know, or weights that do not fit
    it).
    """
    require_gguf(source)
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    logging.getLogger("transformers").setLevel(logging.ERROR)
    where = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    try:
        config = AutoConfig.from_pretrained(**where)
        tokenizer = AutoTokenizer.from_pretrained(**where)
        model = AutoModelForCausalLM.from_config(config)
        # `from_pretrained(gguf_file=…)` of transformers 5.19 keeps the weights packed and cannot save them.
        tensors = load_gguf_checkpoint(str(source), return_tensors=True, model_to_load=model)["tensors"]
    except (ValueError, KeyError, ImportError, NotImplementedError) as error:
        raise InvalidArgument(f"{source.name} cannot be converted: {error}", field="file") from error
    absent = set(model.load_state_dict(tensors, strict=False).missing_keys)
    if config.tie_word_embeddings:
        absent -= set(model.all_tied_weights_keys)
        model.tie_weights()
    if absent:
        raise InvalidArgument(f"{source.name} lacks weights of its architecture: {sorted(absent)[:3]}", field="file")
    model.to(torch.bfloat16).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return str(config.model_type)


def require_gguf(source: Path) -> None:
    """Return if the file begins as a GGUF file does. Raises: InvalidArgument."""
    try:
        with source.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise InvalidArgument(f"{source} cannot be read: {error.strerror}", field="file") from error
    if magic != _MAGIC:
        raise InvalidArgument(f"{source} is not a GGUF file", field="file")
