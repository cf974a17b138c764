"""What is known of a base model from its files alone: its digest, its layers' shapes, its context.

Reads `config.json` and the headers of the safetensors files; never the weights, except to digest them. Knows
nothing of vLLM, torch or adapters.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sealserve.base_models.cache import find_model
from sealserve.base_models.catalogue import KNOWN_MODELS
from sealserve.engine.tensor_file import BrokenTensorFile, read_header
from sealserve.errors import BadConfig

NANO_DIRECTORY = Path(__file__).resolve().parent.parent / "nano" / "weights"
_DOWNLOADED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseShape:
    """A base model. `linear` maps each layer an adapter may change to its weight's shape (outputs, inputs).

    `digest` is the sha256 of one line per file, "<sha256 of the file>  <name>", over config.json and every
    safetensors file in name order.
    """

    model: str
    digest: str
    linear: Mapping[str, tuple[int, int]]
    max_context_tokens: int
    kv_values_per_token: int = 0  # numbers that attention keeps of each token, over all layers; 0: not known


def model_directory(model: str) -> Path:
    """Return the directory of `model`: "nano", a directory, one that was added, or a Hugging Face name.

    `sealserve model add` adds one. A Hugging Face model is downloaded once, then local.
    Raises: BadConfig (no such directory, not added yet, or the name can be neither found nor fetched).
    """
    if model == "nano":
        return NANO_DIRECTORY
    here = Path(model).expanduser()
    if here.is_dir():
        return here.resolve()
    if model.startswith((".", "/", "~")):
        raise BadConfig(f"engine.model: {model} is not a directory")
    added = find_model(model)
    if added is not None:
        return added
    if model in KNOWN_MODELS:
        raise BadConfig(f"engine.model: {model} is not on this machine yet; run: sealserve model add {model}")
    return _snapshot(model)


def base_shape(directory: Path) -> BaseShape:
    """Return the shape of the model in `directory`; kept in memory until a file there changes.

    Raises: BadConfig (a file is missing or broken, or the weights are not safetensors).
    """
    files = _model_files(directory)
    stamps = tuple((file, file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    return _read_shape(directory, stamps)


def layer_shapes(directory: Path) -> Mapping[str, tuple[int, int]]:
    """Return `BaseShape.linear` of the model in `directory`, for which no weights are read. Raises: BadConfig."""
    linear: dict[str, tuple[int, int]] = {}
    for file in _model_files(directory)[1:]:
        linear |= _linear_layers(file)
    return MappingProxyType(linear)


def _snapshot(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True, allow_patterns=list(_DOWNLOADED)))
    except HFValidationError as error:
        raise BadConfig(f"engine.model: {model!r} is neither a directory nor a Hugging Face model name") from error
    except LocalEntryNotFoundError:
        pass
    try:
        return Path(snapshot_download(model, allow_patterns=list(_DOWNLOADED)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise BadConfig(
            f"engine.model: {model!r} is not on this machine and cannot be fetched; "
            "give a directory, or check the name and the network"
        ) from error


def _model_files(directory: Path) -> tuple[Path, ...]:
    weights = sorted(directory.glob("*.safetensors"))
    config = directory / "config.json"
    if not config.is_file() or not weights:
        raise BadConfig(f"engine.model: {directory} needs config.json and at least one .safetensors file")
    return (config, *weights)


@lru_cache(maxsize=4)
def _read_shape(directory: Path, stamps: tuple[tuple[Path, int, int], ...]) -> BaseShape:
    files = [file for file, _, _ in stamps]
    config = _read_config(files[0])
    return BaseShape(
        model=str(config.get("_name_or_path") or directory.name),
        digest=_digest(files),
        linear=layer_shapes(directory),
        max_context_tokens=_max_context(config),
        kv_values_per_token=_kv_values(config),
    )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadConfig(f"engine.model: {path} cannot be read as JSON") from error
    if not isinstance(config, dict):
        raise BadConfig(f"engine.model: {path} is not a JSON object")
    return config


def _linear_layers(path: Path) -> dict[str, tuple[int, int]]:
    """Every matrix inside the layer stack; embeddings and the output head stay out of adapters' reach."""
    try:
        entries = read_header(path).values()
    except (BrokenTensorFile, OSError) as error:
        raise BadConfig(f"engine.model: {path} is not a whole safetensors file: {error}") from error
    return {
        entry.name.removesuffix(".weight"): (entry.shape[0], entry.shape[1])
        for entry in entries
        if len(entry.shape) == 2 and entry.name.endswith(".weight") and ".layers." in entry.name
    }


def _kv_values(config: dict[str, Any]) -> int:
    """Keys and values of every layer: 2 x layers x key-value heads x head size. Sliding windows are not deducted."""
    text = _text_config(config)
    try:
        heads = int(text["num_attention_heads"])
        head_size = int(text.get("head_dim") or int(text["hidden_size"]) // heads)
        return 2 * int(text["num_hidden_layers"]) * int(text.get("num_key_value_heads") or heads) * head_size
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return 0


def _text_config(config: dict[str, Any]) -> dict[str, Any]:
    nested = config.get("text_config")
    return nested if isinstance(nested, dict) else config


def _max_context(config: dict[str, Any]) -> int:
    text = _text_config(config)
    for key in ("max_position_embeddings", "n_positions", "max_sequence_length"):
        value = text.get(key)
        if isinstance(value, int) and value > 0:
            return value
    raise BadConfig("engine.model: config.json names no context length; set engine.max_context_tokens")


def _digest(files: list[Path]) -> str:
    lines = [f"{_file_digest(file)}  {file.name}\n" for file in sorted(files, key=lambda f: f.name)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        return hashlib.file_digest(file, "sha256").hexdigest()
