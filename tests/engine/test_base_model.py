"""A base model is known by its files: digest, layers, context; what cannot be read says so."""

import shutil
from pathlib import Path

import pytest

from sealserve.engine.base_model import base_shape, model_directory
from sealserve.errors import BadConfig
from tests.engine.tiny_model import CONTEXT, HIDDEN, INNER, LAYERS, LINEAR, make_tiny_model


def test_layers_come_from_the_headers(tiny_base: Path) -> None:
    shape = base_shape(tiny_base)
    assert len(shape.linear) == LAYERS * len(LINEAR)
    assert shape.linear["model.layers.1.mlp.gate_proj"] == (INNER, HIDDEN)
    assert shape.max_context_tokens == CONTEXT


def test_embeddings_are_out_of_reach(tiny_base: Path) -> None:
    assert "model.embed_tokens" not in base_shape(tiny_base).linear


def test_digest_names_contents_not_places(tiny_base: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_base, copy)
    assert base_shape(copy).digest == base_shape(tiny_base).digest
    assert base_shape(make_tiny_model(tmp_path / "other", seed=5)).digest != base_shape(tiny_base).digest


def test_changed_weights_change_the_digest_within_one_process(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path)
    before = base_shape(model).digest
    make_tiny_model(tmp_path, seed=7)
    assert base_shape(model).digest != before


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_missing_file_is_a_configuration_error(missing: str, tmp_path: Path) -> None:
    (make_tiny_model(tmp_path) / missing).unlink()
    with pytest.raises(BadConfig, match=r"needs config\.json"):
        base_shape(tmp_path)


def test_truncated_weights_are_a_configuration_error(tmp_path: Path) -> None:
    weights = make_tiny_model(tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(BadConfig, match="not a whole safetensors file"):
        base_shape(tmp_path)


def test_directory_is_taken_as_it_is(tiny_base: Path) -> None:
    assert model_directory(str(tiny_base)) == tiny_base


def test_nano_is_the_packaged_model() -> None:
    assert model_directory("nano").parts[-3:] == ("sealserve", "nano", "weights")


def test_path_that_is_no_directory_is_refused() -> None:
    with pytest.raises(BadConfig, match="is not a directory"):
        model_directory("/nowhere/at/all")


def test_words_that_are_no_model_name_are_refused() -> None:
    with pytest.raises(BadConfig, match="neither a directory nor"):
        model_directory("no such model!")
