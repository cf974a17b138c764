"""Model profiles: how a base model is asked, and the learning settings that suit it where the operator set none.

A profile comes from the model's own directory (the embedded model ships one), from `sealserve tune`, which measures, or
else from the model's size alone.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sealserve.atomic_files import replace_file
from sealserve.base_models.cache import cache_directory
from sealserve.errors import BadConfig, StorageFailed
from sealserve.prompts import Dialect

PROFILE_FILE = "sealserve-profile.json"

FULL_TUNING_RATE, LORA_FACTOR, REFERENCE_WIDTH, WIDTH_EXPONENT = 5e-5, 10, 2000, 0.781
"""A learning rate for LoRA falls with the hidden size: rate = 5e-5 * 10 * (2000 / hidden) ^ 0.781, fitted to sweeps
over model families (Thinking Machines, "LoRA Without Regret", 2025, and its cookbook's get_lr for Llama)."""

SMALL_WIDTH = 1024
"""Below this hidden size most of what a model writes freely about a text is invented (SmolLM2-135M: 576): it is asked
for questions alone, whose answers stand in the text."""

_GENERAL: Mapping[str, Mapping[str, Any]] = {
    "study": {"passage_tokens": 400, "pool_bytes": 400, "edits_per_template": 1, "edit_max_tokens": 400},
    "training": {
        "rank": 16,
        "alpha": 32,
        "epochs": 12,
        "max_steps": 65,
        "batch_size": 8,
        "retention": 0.25,
        "kl_weight": 10.0,
        "protected_share": 0.95,
        "strength": 0.85,
        "rate_steps": (0.3, 3.0, 0.6, 1.5),
        "finalists": 1,
    },
}
"""For any model that nobody measured: rates over a decade are tried shortly, and the best is trained in full.

Steps, protected share and strength are SmolLM2-135M's on four SQuAD passages at a time (ops/decisions/0032)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProfile:
    """A base model's dialect, and defaults of keys of [learn] by table: {"training": {"learning_rate": 0.001}}.

    `origin` says where the profile comes from, for people.
    """

    dialect: Dialect
    learn: Mapping[str, Mapping[str, Any]]
    origin: str


def profile_of(directory: Path, *, digest: str) -> ModelProfile:
    """Return the profile of the base model in `directory` with this digest: what was tuned here comes first.

    Raises: BadConfig (a broken file).
    """
    for path in (_tuned_path(digest), directory / PROFILE_FILE):
        if path.is_file():
            return _read(path)
    return _by_size(directory / "config.json")


def save_tuned(profile: ModelProfile, *, digest: str) -> Path:
    """Keep a measured profile for the base model with this digest and return its file. Raises: StorageFailed."""
    path = _tuned_path(digest)
    save_measured(path, asdict(profile))
    return path


def rate_of(hidden_size: int) -> float:
    """Return the learning rate for adapters of a model of this width; see FULL_TUNING_RATE."""
    rate = FULL_TUNING_RATE * LORA_FACTOR * (REFERENCE_WIDTH / hidden_size) ** WIDTH_EXPONENT
    return float(f"{rate:.2g}")


def save_measured(path: Path, result: Mapping[str, Any]) -> None:
    """Write what was measured of a base model, whole or not at all. Raises: StorageFailed, which names the result."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, (json.dumps(result, indent=1) + "\n").encode())
    except OSError as error:
        shown = json.dumps(result, sort_keys=True)
        raise StorageFailed(f"{path} cannot be written ({error.strerror}); the result would be {shown}") from error


def profile_directory() -> Path:
    """Return where results of measuring base models lie; it need not exist."""
    return cache_directory().parent / "profiles"


def _tuned_path(digest: str) -> Path:
    return profile_directory() / f"{digest}.json"


def _read(path: Path) -> ModelProfile:
    try:
        found = json.loads(path.read_bytes())
        return ModelProfile(
            dialect=Dialect(found["dialect"]), learn=dict(found.get("learn", {})), origin=str(found.get("origin", path))
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadConfig(f"{path} is not a model profile; delete it and run: sealserve tune") from error


def _by_size(config: Path) -> ModelProfile:
    try:
        found = json.loads(config.read_bytes())
        width = int(found.get("hidden_size") or found["text_config"]["hidden_size"])
    except (OSError, ValueError, KeyError, TypeError):
        width = REFERENCE_WIDTH
    learn = {table: dict(keys) for table, keys in _GENERAL.items()}
    learn["training"]["learning_rate"] = rate_of(width)
    if width < SMALL_WIDTH:
        learn["study"]["edits_per_template"] = 0
    return ModelProfile(dialect=Dialect.GENERAL, learn=learn, origin=f"hidden size {width}")
