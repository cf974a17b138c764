"""Adapters that stock PEFT writes: what changes the layers alone is taken, and every refusal names its key."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from sealserve.engine.base_model import BaseShape
from sealserve.engine.preflight import check_adapter
from sealserve.errors import BadAdapter, InvalidArgument
from sealserve.proof.peft import write_plain
from sealserve.proof.transfer import take_in_peft
from tests.engine.tiny_model import Tensors, make_adapter
from tests.proof.test_manifest import open_world
from tests.registry.world import World

NAME = "example/small-base"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return open_world(tmp_path)


Q, V = "model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.v_proj"


def keep(*modules: str) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        for name in [name for name in tensors if not any(module in name for module in modules)]:
            del tensors[name]

    return change


def peft(directory: Path, base: Path, change: Callable[[Tensors], None] = lambda t: None, **config: Any) -> Path:
    """An adapter with the keys that PEFT writes, and the files that it leaves beside it."""
    stock: dict[str, Any] = {
        "base_model_name_or_path": NAME, "auto_mapping": None, "inference_mode": True, "lora_dropout": 0.0,
        "layers_to_transform": None, "modules_to_save": None, "use_dora": False, "loftq_config": {}, "revision": None,
        "rank_pattern": {}, "alpha_pattern": {}, "corda_config": None, "fan_in_fan_out": False,
    }  # fmt: skip
    made = make_adapter(directory / "stock", base, config=stock | config, change=change)
    for name in ("README.md", "tokenizer_config.json", "training_args.bin"):
        (made / name).write_bytes(b"beside it")
    return made


def plain(directory: Path, base: Path, shape: BaseShape, **config: Any) -> Path:
    change = config.pop("change", lambda tensors: None)
    source = peft(directory, base, change, **config)
    write_plain(source, directory / "plain", shape, base_is=NAME, max_rank=8)
    check_adapter(directory / "plain", shape, max_rank=8)
    return directory / "plain"


def update(folder: Path, module: str, *, scaling: float) -> np.ndarray:
    """What the adapter adds to the layer's weights."""
    tensors = load_file(folder / "adapter_model.safetensors")
    a, b = (tensors[f"base_model.model.{module}.lora_{side}.weight"] for side in "AB")
    return np.asarray(scaling * b @ a)


def test_stock_adapter_is_taken_and_changes_the_same(tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape) -> None:
    made = plain(tmp_path, tiny_base, tiny_shape)
    assert sorted(file.name for file in made.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    for module in tiny_shape.linear:
        assert np.allclose(update(made, module, scaling=1), update(tmp_path / "stock", module, scaling=2), atol=1e-6)


def test_ranks_alphas_and_stabilised_scaling_of_single_layers_are_worked_in(
    tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape
) -> None:
    def narrow(tensors: Tensors) -> None:
        keep(Q, V)(tensors)
        for side, cut in (("A", np.s_[:2]), ("B", np.s_[:, :2])):
            name = f"base_model.model.{V}.lora_{side}.weight"
            tensors[name] = np.ascontiguousarray(tensors[name][cut])

    made = plain(
        tmp_path, tiny_base, tiny_shape, change=narrow,
        rank_pattern={"v_proj": 2}, alpha_pattern={"self_attn.v_proj": 3, "q_proj": 10}, use_rslora=True,
    )  # fmt: skip
    before = tmp_path / "stock"
    assert np.allclose(update(made, Q, scaling=1), update(before, Q, scaling=10 / 2), atol=1e-6)
    assert np.allclose(update(made, V, scaling=1), update(before, V, scaling=3 / 2**0.5), atol=1e-6)
    assert json.loads((made / "adapter_config.json").read_text())["target_modules"] == ["q_proj", "v_proj"]


@pytest.mark.parametrize(
    "targets", [r".*\.(q|v)_proj", [Q, V], ["self_attn.q_proj", "v_proj"], "all-linear", None], ids=str
)
def test_layers_are_read_off_the_tensors_however_they_were_named(
    tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape, targets: Any
) -> None:
    made = plain(tmp_path, tiny_base, tiny_shape, change=keep(Q, V), target_modules=targets, layers_to_transform=[0, 1])
    assert check_adapter(made, tiny_shape, max_rank=8).modules == (Q, V)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("use_dora", True),
        ("lora_bias", True),
        ("bias", "lora_only"),
        ("modules_to_save", ["lm_head"]),
        ("trainable_token_indices", [1, 2]),
        ("init_lora_weights", "pissa"),
        ("init_lora_weights", "olora"),
        ("init_lora_weights", "loftq"),
        ("init_lora_weights", "corda"),
        ("layer_replication", [[0, 1]]),
        ("fan_in_fan_out", True),
        ("target_parameters", ["mlp.experts.gate_up_proj"]),
        ("alora_invocation_tokens", [5]),
        ("use_qalora", True),
        ("task_type", "SEQ_CLS"),
        ("peft_type", "IA3"),
        ("lora_alpha", 1e300),
        ("lora_alpha", float("inf")),
        ("lora_alpha", "8"),
        ("alpha_pattern", {"q_proj": 1e300}),
        ("alpha_pattern", {"q_proj": 0}),
        ("alpha_pattern", ["q_proj"]),
        ("rank_pattern", {"q_proj": 2}),
        ("rank_pattern", {"(a+)+$": 2}),
        ("use_rslora", "yes"),
        ("a_key_of_a_later_release", "auto"),
    ],
    ids=str,
)
def test_what_is_not_served_is_refused_by_its_key(
    tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape, key: str, value: Any
) -> None:
    source = peft(tmp_path, tiny_base, **{key: value})
    with pytest.raises(BadAdapter, match=key):
        write_plain(source, tmp_path / "plain", tiny_shape, base_is=NAME, max_rank=8)
    assert not (tmp_path / "plain").exists()


def test_another_base_than_the_person_named_is_refused(tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape) -> None:
    source = peft(tmp_path, tiny_base, base_model_name_or_path="example/other")
    for said in (NAME, ""):
        with pytest.raises(BadAdapter, match="base_model_name_or_path") as refused:
            write_plain(source, tmp_path / "plain", tiny_shape, base_is=said, max_rank=8)
        assert refused.value.defect == "wrong_base"


def test_pickled_weights_are_never_read(tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape) -> None:
    source = peft(tmp_path, tiny_base)
    (source / "adapter_model.safetensors").rename(source / "adapter_model.bin")
    with pytest.raises(BadAdapter, match="pickle"):
        write_plain(source, tmp_path / "plain", tiny_shape, base_is=NAME, max_rank=8)


def test_import_opens_a_cycle_and_keeps_whose_word_it_was(
    world: World, tmp_path: Path, tiny_base: Path, tiny_shape: BaseShape
) -> None:
    source = peft(tmp_path, tiny_base)
    with pytest.raises(InvalidArgument):
        take_in_peft(
            world.registry, "acme", tmp_path / "none", base=tiny_shape, base_is=NAME, max_rank=8, actor="ann"
        )  # fmt: skip
    made = take_in_peft(world.registry, "acme", source, base=tiny_shape, base_is=NAME, max_rank=8, actor="ann")
    origin = world.registry.imports.origin("acme", made.cycle)
    assert origin["peft"]["base"] == NAME
    assert set(origin["peft"]["files"]) == {"adapter_config.json", "adapter_model.safetensors"}
