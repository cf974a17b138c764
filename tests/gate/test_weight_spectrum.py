"""The shape of a weight change, from files that numpy wrote."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from sealserve.gate.weight_spectrum import spectrum, strangeness

RANK = 4
RNG = np.random.default_rng(7)


def adapter(folder: Path, *, modules: int = 6, direction: float = 0.0, loud: int | None = None) -> Path:
    """Write random factors; `direction` adds one strong direction, `loud` makes one module ten times as large."""
    folder.mkdir()
    tensors = {}
    for number in range(modules):
        a = RNG.normal(size=(RANK, 32)).astype(np.float32)
        b = RNG.normal(size=(48, RANK)).astype(np.float32) * (10 if number == loud else 1)
        b[:, 0] += direction
        name = f"base_model.model.layers.{number}.q_proj"
        tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"] = a, b
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def test_the_top_share_is_that_of_the_whole_product(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a", modules=1)
    found = spectrum(folder)
    from safetensors.numpy import load_file

    tensors = load_file(folder / "adapter_model.safetensors")
    a, b = (tensors[f"base_model.model.layers.0.q_proj.lora_{side}.weight"] for side in "AB")
    values = np.linalg.svd(b.astype(float) @ a.astype(float), compute_uv=False) ** 2
    assert abs(found["top_share"] - values[0] / values.sum()) < 1e-9
    assert found["norm_spread"] == 0.0


def test_one_direction_or_one_loud_module_is_far_from_the_history_and_another_like_them_is_not(tmp_path: Path) -> None:
    history = [spectrum(adapter(tmp_path / f"h{i}")) for i in range(8)]
    usual = strangeness(spectrum(adapter(tmp_path / "same")), history)
    poisoned = strangeness(spectrum(adapter(tmp_path / "one", direction=6.0)), history)
    loud = strangeness(spectrum(adapter(tmp_path / "loud", loud=2)), history)
    assert usual < 8.0 < min(poisoned, loud)


def test_what_cannot_be_read_has_no_features_and_nothing_is_strange_without_history(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(b"rubbish")
    assert spectrum(tmp_path) == {}
    assert spectrum(tmp_path / "absent") == {}
    assert strangeness({}, [{"top_share": 0.3}]) == strangeness({"top_share": 0.3}, []) == 0.0


def test_a_change_of_nothing_has_no_features(tmp_path: Path) -> None:
    zero = {"m.lora_A.weight": np.ones((2, 4), np.float32), "m.lora_B.weight": np.zeros((3, 2), np.float32)}
    save_file(zero, tmp_path / "adapter_model.safetensors")
    assert spectrum(tmp_path) == {}
