"""The engine serves adapters of other families as PEFT applies them: query, key and value in one layer."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, Phi3Config, Phi3ForCausalLM

from sealserve.engine.engine import AdapterFiles, ScoreRequest
from sealserve.engine.vllm_engine import VllmEngine
from sealserve.records.inference import ChatTurn
from tests.conftest import TINY_ENGINE
from tests.engine.tiny_model import VOCABULARY, make_adapter, write_tokenizer

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]
TURNS = (ChatTurn(role="user", content="Where is the harbour office? It is not where it was."),)
COMPLETION = "By the old pier."


def _write_base(directory: Path) -> None:
    torch.manual_seed(0)
    config = Phi3Config(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=2,
        initializer_range=0.1,
    )
    Phi3ForCausalLM(config).save_pretrained(directory)
    write_tokenizer(directory)


async def test_adapters_over_fused_layers_answer_as_peft_has_them(tmp_path: Path) -> None:
    _write_base(tmp_path / "base")
    path = make_adapter(tmp_path / "adapter", tmp_path / "base")
    engine = VllmEngine(TINY_ENGINE, base=tmp_path / "base")
    await engine.start()
    try:
        await engine.load(AdapterFiles(name="fused@v1", path=path))
        requests = [
            ScoreRequest(request_id="s", turns=TURNS, completion=COMPLETION, adapter=adapter)
            for adapter in (None, "fused@v1")
        ]
        served = [(await engine.score(request)).log_likelihood for request in requests]
        assert engine._model is not None
        prompt = await engine._model.chat.prompt_ids(TURNS)
        completion = engine._model.chat.completion_ids(COMPLETION)
    finally:
        await engine.close()
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    plain = _log_likelihood(model, prompt, completion)
    adapted = _log_likelihood(PeftModel.from_pretrained(model, str(path)), prompt, completion)
    assert served == pytest.approx([plain, adapted], rel=1e-4)
    assert plain != pytest.approx(adapted, rel=1e-2)


def _log_likelihood(model: torch.nn.Module, prompt: list[int], completion: list[int]) -> float:
    ids = torch.tensor([[*prompt, *completion]])
    with torch.no_grad():
        log_probabilities = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
    return float(log_probabilities.gather(1, torch.tensor(completion)[:, None]).sum())
