"""Grouped products are batched ones, and packed documents are read as each alone."""

import pytest
import torch
from torch import Tensor
from transformers import Gemma2Config, Gemma2ForCausalLM

from sealserve.learning.multi_lora import attention
from sealserve.learning.multi_lora.layers import Layout, SlotStack
from sealserve.learning.multi_lora.losses import answers_of, use_packing
from sealserve.learning.multi_lora.packing import Piece, pack
from tests.learning.small_model import SEQUENCES, VOCABULARY, fresh_model

pytestmark = pytest.mark.slow  # torch takes seconds to import


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_grouped_products_equal_batched_ones(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    x_TI, y_TO = (torch.randn(24, n, generator=generator).to(dtype) for n in (16, 8))
    w_GIO = torch.randn(3, 16, 8, generator=generator).to(dtype)
    batched = Layout(slots=3)
    grouped = Layout(slots=3, ends_G=torch.tensor([8, 16, 24], dtype=torch.int32))
    torch.testing.assert_close(grouped.each(x_TI, w_GIO), batched.each(x_TI, w_GIO))
    for adds in (False, True):
        one_GIO, other_GIO = w_GIO.clone(), w_GIO.clone()
        grouped.sum_into(one_GIO, x_TI, y_TO, adds=adds)
        batched.sum_into(other_GIO, x_TI, y_TO, adds=adds)
        torch.testing.assert_close(one_GIO, other_GIO, atol=1e-5 if dtype == torch.float32 else 1e-2, rtol=0.02)


def test_grouped_layers_equal_batched_ones_forward_and_back() -> None:
    def outcome(counts: list[int], *, is_grouped: bool) -> list[Tensor]:
        model = fresh_model()
        stack = SlotStack(model, rank=8, dtype=torch.float32)
        generator = torch.Generator().manual_seed(1)
        stack.fill([torch.randn(stack.size, generator=generator) / 9 for _ in range(2)])
        stack.arrange([1.0, 0.5], counts, tokens=32)
        if is_grouped:
            layout = Layout(
                slots=2,
                tokens=32,
                scales_S1=torch.tensor([1.0, 0.5]).repeat_interleave(torch.tensor(counts))[:, None],
                ends_G=torch.tensor(counts).cumsum(0).int(),
            )
            for group in stack._groups:
                group.arrange(layout, adds=False)
        ids = torch.arange(32).view(4, 8)
        logits: Tensor = model(input_ids=ids, use_cache=False).logits
        logits.square().mean().backward()  # type: ignore[no-untyped-call]
        return [logits, *(stack.gradient(place).clone() for place in range(2))]

    for counts in ([16, 16], [8, 24]):
        for batched, grouped in zip(outcome(counts, is_grouped=False), outcome(counts, is_grouped=True), strict=True):
            torch.testing.assert_close(grouped, batched)


def test_layers_that_share_products_are_right_whatever_input_each_is_given() -> None:
    plain, model = fresh_model(), fresh_model()
    stack = SlotStack(model, rank=4, dtype=torch.float32)
    stack.fill([torch.randn(stack.size, generator=torch.Generator().manual_seed(1)) / 9])
    stack.arrange([0.5], [6], tokens=6)
    pairs = stack.parts(stack.weights_GP[0])
    x, y = torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(2))
    for name, given in (("q_proj", x), ("k_proj", y), ("v_proj", x), ("q_proj", x), ("q_proj", y)):
        at = f"model.layers.0.self_attn.{name}"
        a_RI, b_OR = pairs[at]
        expected = plain.get_submodule(at)(given) + 0.5 * given @ a_RI.T @ b_OR.T
        torch.testing.assert_close(model.get_submodule(at)(given), expected)


def test_packed_documents_hold_every_token_once_and_padding_comes_last() -> None:
    pieces = [Piece(key=n, ids=s.ids, answer_start=s.answer_start) for n, s in enumerate(SEQUENCES)]
    rows = pack([pieces[:9], pieces[9:]], device=torch.device("cpu"))
    assert rows.documents is not None
    assert rows.keys == list(range(len(pieces)))
    labels = dict(zip(rows.keys, torch.split(rows.labels_N, rows.lengths), strict=True))
    assert all(labels[p.key].tolist() == p.ids[p.answer_start :] for p in pieces)
    ids_T, positions_T, documents = rows.ids_BL[0], rows.positions_BL[0], rows.documents
    assert ids_T[rows.picks_N + 1].tolist() == rows.labels_N.tolist()
    for piece, places_M in zip(pieces, documents.places_DM, strict=False):
        assert ids_T[places_M[: len(piece.ids)]].tolist() == piece.ids
        assert positions_T[places_M[: len(piece.ids)]].tolist() == list(range(len(piece.ids)))
    assert documents.places_DM.flatten()[documents.back_T].tolist() == list(range(len(ids_T)))
    assert documents.is_token_DM.sum() == len(ids_T)


@pytest.mark.parametrize("window", [None, 6])
@pytest.mark.parametrize("plain_tokens", [0, 256])
def test_packed_documents_read_as_each_alone(
    window: int | None, plain_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "PLAIN_TOKENS", plain_tokens)
    model = fresh_model(sliding_window=window, use_sliding_window=window is not None, max_window_layers=1)
    pieces = [[Piece(key=n, ids=SEQUENCES[n].ids, answer_start=SEQUENCES[n].answer_start) for n in range(5)]]
    with torch.no_grad():
        apart = answers_of(model, pack(pieces, device=torch.device("cpu"), together=False))
        assert use_packing(model)
        packed = answers_of(model, pack(pieces, device=torch.device("cpu")))
    torch.testing.assert_close(packed, apart, atol=1e-4, rtol=1e-4)


def test_a_model_whose_attention_does_more_keeps_a_row_for_each_sequence() -> None:
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
    )
    model = Gemma2ForCausalLM(config).requires_grad_(False).eval()
    before = model.config._attn_implementation
    assert not use_packing(model)
    assert model.config._attn_implementation == before
