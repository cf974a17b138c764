"""Every way an adapter can be bad has a name, and a sound one passes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sealserve.engine.base_model import BaseShape
from sealserve.engine.preflight import WEIGHTS_FILE, check_adapter, largest_adapter_bytes
from sealserve.errors import BadAdapter
from tests.engine.tiny_model import Tensors, make_adapter

MAX_RANK = 8
Q0 = "base_model.model.model.layers.0.self_attn.q_proj"


def defect_of(path: Path, base: BaseShape) -> str:
    with pytest.raises(BadAdapter) as refused:
        check_adapter(path, base, max_rank=MAX_RANK)
    return refused.value.defect


def test_sound_adapter_is_described(tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape) -> None:
    facts = check_adapter(make_adapter(tmp_path, tiny_base, rank=4), tiny_shape, max_rank=MAX_RANK)
    assert (facts.rank, facts.scaling) == (4, 2.0)
    assert set(facts.modules) == set(tiny_shape.linear)
    assert facts.size_bytes == (tmp_path / WEIGHTS_FILE).stat().st_size


def test_adapter_as_peft_writes_it_passes(tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape) -> None:
    peft_keys: dict[str, object] = {
        "auto_mapping": None,
        "peft_version": "0.21.2",
        "inference_mode": True,
        "lora_dropout": 0.0,
        "megatron_core": "megatron.core",
        "qalora_group_size": 16,
        "loftq_config": {},
        "rank_pattern": {},
        "use_dora": False,
        "modules_to_save": None,
        "init_lora_weights": True,
        "layer_replication": None,
    }
    facts = check_adapter(make_adapter(tmp_path, tiny_base, config=peft_keys), tiny_shape, max_rank=MAX_RANK)
    assert facts.rank == 4


def test_largest_legal_adapter_is_within_the_size_limit(tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape) -> None:
    facts = check_adapter(make_adapter(tmp_path, tiny_base, rank=MAX_RANK), tiny_shape, max_rank=MAX_RANK)
    assert facts.size_bytes <= largest_adapter_bytes(tiny_shape, max_rank=MAX_RANK)


@pytest.mark.parametrize(
    ("config", "defect"),
    [
        ({"base_model_name_or_path": "0" * 64}, "wrong_base"),
        ({"base_model_name_or_path": None}, "wrong_base"),
        ({"use_dora": True}, "bad_config"),
        ({"bias": "all"}, "bad_config"),
        ({"modules_to_save": ["lm_head"]}, "bad_config"),
        ({"peft_type": "IA3"}, "bad_config"),
        ({"init_lora_weights": "pissa"}, "bad_config"),
        ({"rank_pattern": {"q_proj": 2}}, "bad_config"),
        ({"a_key_nobody_knows": 1}, "bad_config"),
        ({"r": 0}, "bad_config"),
        ({"r": True}, "bad_config"),
        ({"r": "4"}, "bad_config"),
        ({"lora_alpha": float("nan")}, "bad_config"),
        ({"lora_alpha": -1}, "bad_config"),
        ({"target_modules": "all-linear"}, "bad_config"),
        ({"target_modules": ["q_proj"]}, "unknown_module"),
        ({"r": 2}, "lying_rank"),
        ({"r": 64}, "rank_too_large"),
    ],
)
def test_bad_configuration_is_named(
    config: dict[str, object], defect: str, tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape
) -> None:
    assert defect_of(make_adapter(tmp_path, tiny_base, config=config), tiny_shape) == defect


def _nan(tensors: Tensors) -> None:
    tensors[f"{Q0}.lora_A.weight"][0, 0] = np.nan


def _infinite_in_half(tensors: Tensors) -> None:
    tensors[f"{Q0}.lora_B.weight"][0, 0] = 1e5


def _zero(tensors: Tensors) -> None:
    for name, tensor in tensors.items():
        if "lora_B" in name:
            tensor[:] = 0


def _empty(tensors: Tensors) -> None:
    tensors.clear()


def _half_pair(tensors: Tensors) -> None:
    del tensors[f"{Q0}.lora_B.weight"]


def _wider(tensors: Tensors) -> None:
    tensors[f"{Q0}.lora_A.weight"] = np.ones((4, 65), dtype=np.float32)


def _other_layer(tensors: Tensors) -> None:
    tensors["base_model.model.model.layers.90.self_attn.q_proj.lora_A.weight"] = tensors.pop(f"{Q0}.lora_A.weight")


def _extra_tensor(tensors: Tensors) -> None:
    tensors["base_model.model.lm_head.weight"] = np.ones((4, 4), dtype=np.float32)


def _whole_numbers(tensors: Tensors) -> None:
    tensors[f"{Q0}.lora_A.weight"] = np.ones((4, 64), dtype=np.int32)


@pytest.mark.parametrize(
    ("change", "defect"),
    [
        (_nan, "not_finite"),
        (_infinite_in_half, "not_finite"),
        (_zero, "no_effect"),
        (_empty, "no_effect"),
        (_half_pair, "missing_pair"),
        (_wider, "wrong_shape"),
        (_other_layer, "unknown_module"),
        (_extra_tensor, "unknown_module"),
        (_whole_numbers, "wrong_dtype"),
    ],
)
def test_bad_tensors_are_named(
    change: Callable[[Tensors], None], defect: str, tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape
) -> None:
    assert defect_of(make_adapter(tmp_path, tiny_base, change=change), tiny_shape) == defect


def test_update_that_cancels_in_every_module_is_refused_even_if_no_half_is_zero_everywhere(
    tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape
) -> None:
    def alternate(tensors: Tensors) -> None:
        for index, module in enumerate(tiny_shape.linear):
            side = "A" if index % 2 else "B"
            tensors[f"base_model.model.{module}.lora_{side}.weight"][:] = 0

    assert defect_of(make_adapter(tmp_path, tiny_base, change=alternate), tiny_shape) == "no_effect"


@pytest.mark.parametrize("keep", [0, 4, 8, 100, 5_000, -1])
def test_truncated_weights_are_refused_wherever_they_are_cut(
    keep: int, tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape
) -> None:
    weights = make_adapter(tmp_path, tiny_base) / WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:keep])
    assert defect_of(tmp_path, tiny_shape) == "truncated"


def test_lying_header_is_refused_without_allocating_what_it_claims(
    tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape
) -> None:
    make_adapter(tmp_path, tiny_base)
    header = {f"{Q0}.lora_A.weight": {"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 2**62]}}
    text = json.dumps(header).encode()
    (tmp_path / WEIGHTS_FILE).write_bytes(len(text).to_bytes(8, "little") + text)
    assert defect_of(tmp_path, tiny_shape) == "truncated"


@pytest.mark.parametrize("name", ["adapter_model.bin", "optimizer.pt", "README.md"])
def test_any_other_file_is_refused(name: str, tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape) -> None:
    (make_adapter(tmp_path, tiny_base) / name).write_bytes(b"x")
    assert defect_of(tmp_path, tiny_shape) == "unexpected_file"


def test_symbolic_link_is_refused(tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape) -> None:
    whole = make_adapter(tmp_path / "whole", tiny_base)
    linked = make_adapter(tmp_path / "linked", tiny_base)
    (linked / WEIGHTS_FILE).unlink()
    (linked / WEIGHTS_FILE).symlink_to(whole / WEIGHTS_FILE)
    assert defect_of(linked, tiny_shape) == "unexpected_file"


def test_missing_directory_is_refused(tmp_path: Path, tiny_shape: BaseShape) -> None:
    assert defect_of(tmp_path / "nowhere", tiny_shape) == "missing_file"


def test_oversized_adapter_is_refused_before_it_is_read(tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape) -> None:
    make_adapter(tmp_path, tiny_base)
    with pytest.raises(BadAdapter) as refused:
        check_adapter(tmp_path, tiny_shape, max_rank=MAX_RANK, max_bytes=1000)
    assert refused.value.defect == "too_large"


def test_bfloat16_is_read_and_its_nan_is_found(tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape) -> None:
    make_adapter(tmp_path, tiny_base)
    _rewrite_as_bfloat16(tmp_path / WEIGHTS_FILE)
    assert check_adapter(tmp_path, tiny_shape, max_rank=MAX_RANK).rank == 4
    whole = bytearray((tmp_path / WEIGHTS_FILE).read_bytes())
    whole[-2:] = (0x7FC0).to_bytes(2, "little")
    (tmp_path / WEIGHTS_FILE).write_bytes(bytes(whole))
    assert defect_of(tmp_path, tiny_shape) == "not_finite"


def _rewrite_as_bfloat16(path: Path) -> None:
    """Halve every float32 tensor to its upper two bytes: bfloat16 by truncation."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    for entry in header.values():
        entry["dtype"], entry["data_offsets"] = "BF16", [offset // 2 for offset in entry["data_offsets"]]
    text = json.dumps(header).encode()
    upper = np.frombuffer(raw[8 + length :], dtype="<u2")[1::2]
    path.write_bytes(len(text).to_bytes(8, "little") + text + upper.tobytes())
