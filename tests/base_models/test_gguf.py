"""A GGUF file becomes a model directory that gives the same logits as the model it was written from."""

from pathlib import Path

import pytest

from sealserve.base_models.gguf import convert
from sealserve.errors import InvalidArgument

pytestmark = pytest.mark.slow  # transformers takes its time to import

HEADS, WIDTH, VOCABULARY = 2, 32, 64


def write_gguf(path: Path, *, left_out: str = "") -> None:
    """Write a tiny Llama with random weights and a tokenizer of single characters."""
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(48)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(VOCABULARY)
    words = ["<unk>", "<s>", "</s>", "AB", *(chr(ord("!") + i) for i in range(VOCABULARY - 4))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(words)
    writer.add_token_types([3, 3, 3, *(1 for _ in words[3:])])
    writer.add_token_merges(["A B"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    rng = np.random.default_rng(0)
    shapes = {
        "token_embd.weight": (VOCABULARY, WIDTH), "output.weight": (VOCABULARY, WIDTH), "output_norm.weight": (WIDTH,),
        "blk.0.attn_norm.weight": (WIDTH,), "blk.0.ffn_norm.weight": (WIDTH,),
        "blk.0.ffn_gate.weight": (48, WIDTH), "blk.0.ffn_up.weight": (48, WIDTH), "blk.0.ffn_down.weight": (WIDTH, 48),
        **{f"blk.0.attn_{part}.weight": (WIDTH, WIDTH) for part in ("q", "k", "v", "output")},
    }  # fmt: skip
    for name, shape in shapes.items():
        if name != left_out:
            writer.add_tensor(name, rng.normal(0, 0.05, shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_converted_model_loads_with_its_tokenizer(tmp_path: Path) -> None:
    from sealserve.engine.base_model import base_shape

    write_gguf(tmp_path / "tiny.gguf")
    out = tmp_path / "out"
    out.mkdir()
    assert convert(tmp_path / "tiny.gguf", out) == "llama"
    shape = base_shape(out)
    assert shape.max_context_tokens == 128
    assert shape.kv_values_per_token == 2 * WIDTH
    assert shape.linear["model.layers.0.self_attn.q_proj"] == (WIDTH, WIDTH)
    assert (out / "tokenizer.json").is_file()


def test_file_without_a_weight_is_refused_by_name(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", left_out="blk.0.ffn_up.weight")
    with pytest.raises(InvalidArgument, match="up_proj"):
        convert(tmp_path / "tiny.gguf", tmp_path)
