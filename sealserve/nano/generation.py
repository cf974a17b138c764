"""Batched answers from a nano model through `transformers`; for measuring, not for serving."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase


class Speaker:
    """A model with its tokenizer, asked in batches; each prompt is one user turn."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model = model
        self.tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> "Speaker":
        """Load model and tokenizer from `folder`; weights are held as fp32."""
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).to(device)
        tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        return cls(model.eval(), tokenizer)

    @torch.no_grad()
    def say(
        self, turns: Sequence[str], *, temperature: float = 0.0, seed: int = 0, max_tokens: int = 32, batch: int = 64
    ) -> list[str]:
        """Return one reply for each user turn, in their order; greedy at temperature 0."""
        torch.manual_seed(seed)
        texts = [self.chat(turn) for turn in turns]
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        replies = [""] * len(texts)
        sampling = {"do_sample": True, "temperature": temperature, "top_p": 0.95, "top_k": 0}
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            inputs = self.tokenizer([texts[i] for i in chosen], return_tensors="pt", padding=True)
            inputs = {k: v.to(self.model.device) for k, v in inputs.items() if k != "token_type_ids"}
            output = self.model.generate(
                **inputs, max_new_tokens=max_tokens, **(sampling if temperature else {"do_sample": False})
            )
            fresh = output[:, inputs["input_ids"].shape[1] :]
            for i, reply in zip(chosen, self.tokenizer.batch_decode(fresh, skip_special_tokens=True), strict=True):
                replies[i] = str(reply).strip()
        return replies

    def chat(self, turn: str) -> str:
        """Return the user turn in the chat template, ready for the assistant's words."""
        messages = [{"role": "user", "content": turn}]
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
