"""Merging is exact: weights plus scaled products, and a sum of adapters changes weights as all of them together."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from sealserve.bench.harness.adapters import make_sound
from sealserve.bench.harness.merged_adapters import PREFIX, merge, summed
from sealserve.engine.base_model import base_shape


def test_merging_one_after_another_is_merging_the_sum(tmp_path: Path, tiny_base: Path) -> None:
    adapters = [make_sound(tmp_path / f"adapter-{seed}", tiny_base, seed=seed) for seed in (1, 2)]
    once = merge(tiny_base, adapters[0], into=tmp_path / "once")
    twice = merge(once, adapters[1], into=tmp_path / "twice")
    together = merge(tiny_base, summed(adapters, into=tmp_path / "sum"), into=tmp_path / "together")
    left, right = (load_file(path / "model.safetensors") for path in (twice, together))
    assert left.keys() == right.keys()
    for name, weights in left.items():
        np.testing.assert_allclose(weights, right[name], atol=1e-5)


def test_a_merge_adds_the_scaled_product_and_nothing_else(tmp_path: Path, tiny_base: Path) -> None:
    adapter = make_sound(tmp_path / "adapter", tiny_base, seed=3)
    merged = load_file(merge(tiny_base, adapter, into=tmp_path / "merged") / "model.safetensors")
    base = load_file(tiny_base / "model.safetensors")
    tensors = load_file(adapter / "adapter_model.safetensors")
    module = next(iter(base_shape(tiny_base).linear))
    change = 2.0 * tensors[f"{PREFIX}{module}.lora_B.weight"] @ tensors[f"{PREFIX}{module}.lora_A.weight"]
    np.testing.assert_allclose(
        merged[f"{module}.weight"], base[f"{module}.weight"].astype(np.float32) + change, atol=1e-5
    )
    untouched = [name for name in base if name.removesuffix(".weight") not in base_shape(tiny_base).linear]
    assert untouched
    assert all(np.array_equal(merged[name], base[name].astype(np.float32)) for name in untouched)
    assert base_shape(tmp_path / "merged").linear == base_shape(tiny_base).linear
