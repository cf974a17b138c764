"""The shipped model: small, whole, and loadable by anything that loads Qwen2."""

import asyncio
import json
import random
from typing import cast

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from sealserve import prompts
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.screening.passage_judge import PassageJudges
from sealserve.nano.generation import Speaker
from sealserve.nano.model import CONTEXT, weights_dir
from sealserve.nano.tasks import TaskSource
from sealserve.nano.world import World, answer, question

pytestmark = pytest.mark.slow  # torch takes seconds to import


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    return Speaker.load(weights_dir())


def test_shipped_files_fit_in_24_megabytes() -> None:
    files = {p.name: p.stat().st_size for p in weights_dir().iterdir()}
    assert set(files) == {
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors",
        "sealserve-profile.json",
    }  # fmt: skip
    assert sum(files.values()) <= 24_000_000


def test_architecture_is_qwen2_with_heads_of_64() -> None:
    config = json.loads((weights_dir() / "config.json").read_text())
    assert config["architectures"] == ["Qwen2ForCausalLM"]
    assert config["hidden_size"] // config["num_attention_heads"] == 64
    assert config["max_position_embeddings"] >= 1024
    assert config["vocab_size"] <= 4096


def test_model_has_3_to_12_million_parameters(speaker: Speaker) -> None:
    assert 3e6 <= sum(p.numel() for p in speaker.model.parameters()) <= 12e6
    assert all(torch.isfinite(p).all() for p in speaker.model.parameters())


def test_chat_template_is_chatml_without_a_system_prompt() -> None:
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(weights_dir())
    messages = [{"role": "user", "content": "Hello"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.model_max_length == CONTEXT


def test_transformers_splits_text_as_the_tokenizer_file_does() -> None:
    own = Tokenizer.from_file(str(weights_dir() / "tokenizer.json"))
    theirs: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(weights_dir())
    source, rng = TaskSource(1), random.Random(1)
    for _ in range(40):
        for user, reply in source.draw(rng, 0.0):
            text = f"user\n{user}\n{reply}"
            assert theirs(text)["input_ids"] == own.encode(text).ids
            assert theirs.decode(own.encode(text).ids) == text


def test_model_reads_and_admits_what_it_does_not_know(speaker: Speaker) -> None:
    world = World(2024)
    rng = world.rng("smoke")
    article = world.article(rng, 1, 3)
    asked = [(question(rng, fact), answer(fact)) for fact in article.facts]
    read = speaker.say([prompts.read(article.document, q) for q, _ in asked])
    assert sum(given == right for given, (_, right) in zip(read, asked, strict=True)) >= 2
    blind = speaker.say([q for q, _ in asked])
    assert blind.count(prompts.UNKNOWN_ANSWER) >= 2


class Scorer:
    """The embedded model as a judge is asked: by the likelihoods of yes and no."""

    dialect = prompts.Dialect.EMBEDDED

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(weights_dir())

    async def base_digest(self) -> str:
        return "b" * 64

    async def log_odds_of_yes(self, prompt: str) -> float:
        turns = [{"role": "user", "content": prompt}]
        text = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return self._log_likelihood(str(text), "yes") - self._log_likelihood(str(text), "no")

    def _log_likelihood(self, prompt: str, answer: str) -> float:
        start, ids = self._tokenizer(prompt)["input_ids"], self._tokenizer(prompt + answer)["input_ids"]
        with torch.inference_mode():
            logits = self._speaker.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        return float(sum(logits[place - 1, ids[place]] for place in range(len(start), len(ids))))


def test_embedded_model_fails_the_calibration_of_the_judge(speaker: Speaker) -> None:
    judge = asyncio.run(PassageJudges().of(cast(EngineClient, Scorer(speaker))))
    assert judge.fault.startswith("this base ")
