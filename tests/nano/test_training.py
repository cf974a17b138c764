"""Tokens, loss mask, batches and a training run that can be cut short."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from sealserve.nano.corpus import block, world_tokenizer
from sealserve.nano.tasks import TaskSource
from sealserve.nano.tokenizer import encode_chat
from sealserve.nano.train import Settings, Trainer, train
from sealserve.nano.world import World

pytestmark = pytest.mark.slow  # trains

TINY = Settings(hidden=64, layers=1, feed_forward=64, batch_tokens=256, steps=6, decay_steps=2, warmup_steps=2)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return world_tokenizer()


@pytest.fixture(autouse=True)
def tokenizer_is_made_once(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every run have the same tokenizer; to make it takes longer than to train."""
    monkeypatch.setattr("sealserve.nano.train.world_tokenizer", lambda: tokenizer)


def test_every_byte_survives_the_tokenizer(tokenizer: Tokenizer) -> None:
    text = bytes(range(256)).decode("latin1") + " \u20ac \u65e5\u672c \U0001f600"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.get_vocab_size() <= 4096


def test_names_and_numbers_are_always_split_alike(tokenizer: Tokenizer) -> None:
    world = World(1)
    rng = world.rng("names")
    lengths = [len(tokenizer.encode(f" {world.entity(rng).name}").ids) for _ in range(500)]
    assert lengths.count(4) >= 490
    assert all(len(tokenizer.encode(f" {n}").ids) == 1 for n in range(10, 100))


def test_loss_falls_on_the_assistants_words_only(tokenizer: Tokenizer) -> None:
    ids, mask = encode_chat(tokenizer, [("What is it?", "It is blue."), ("And now?", "Red.")])
    supervised = tokenizer.decode([i for i, on in zip(ids, mask, strict=True) if on], skip_special_tokens=False)
    assert supervised == "It is blue.<|im_end|>Red.<|im_end|>"


def test_blocks_depend_on_seed_and_index_only(tokenizer: Tokenizer) -> None:
    def draw(index: int) -> list[list[int]]:
        found = block(TaskSource(0), tokenizer, seed=0, index=index, tokens=512, ease=0.5)
        return [row for batch in found for row in batch.ids.tolist()]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_resumed_run_ends_in_the_same_weights(tmp_path: Path) -> None:
    torch.use_deterministic_algorithms(True)
    try:
        whole = Trainer(TINY, device="cpu")
        for _ in range(6):
            whole.train_step()
        cut = Trainer(TINY, device="cpu")
        for _ in range(3):
            cut.train_step()
        cut.save(tmp_path)
        resumed = Trainer(TINY, device="cpu")
        assert resumed.resume(tmp_path)
        for _ in range(3):
            resumed.train_step()
    finally:
        torch.use_deterministic_algorithms(False)
    assert (resumed.step, resumed.block_index, resumed.position) == (whole.step, whole.block_index, whole.position)
    for (name, first), second in zip(whole.model.named_parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(first, second), name


def test_checkpoint_holds_safetensors_and_json_only(tmp_path: Path) -> None:
    trainer = Trainer(TINY, device="cpu")
    trainer.train_step()
    trainer.save(tmp_path)
    assert {p.suffix for p in tmp_path.rglob("*") if p.is_file()} == {".safetensors", ".json"}
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_training_goes_on_from_a_finished_model(tmp_path: Path) -> None:
    first = train(replace(TINY, steps=2), tmp_path / "first", device="cpu")
    more = train(replace(TINY, steps=0), tmp_path / "more", device="cpu", start=tmp_path / "first" / "model")
    weights = first.model.state_dict()
    assert all(torch.equal(weights[name].bfloat16(), w.bfloat16()) for name, w in more.model.state_dict().items())
