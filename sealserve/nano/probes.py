"""Quick looks at a model in training: teacher-forced, on held-out entities and templates. Seconds, not minutes."""

import torch
from tokenizers import Tokenizer
from transformers import Qwen2ForCausalLM

from sealserve import prompts
from sealserve.nano import world as w
from sealserve.nano.tokenizer import encode_chat
from sealserve.nano.world import World

_N = 96


def measure(model: Qwen2ForCausalLM, tokenizer: Tokenizer, seed: int = 1) -> dict[str, float]:
    """Return the fraction of answers whose every token is the model's first choice, by kind of question."""
    world = World(seed)
    rng = world.rng("probe")
    read: list[tuple[str, str]] = []
    easy: list[tuple[str, str]] = []
    unknown: list[tuple[str, str]] = []
    for _ in range(_N):
        article = world.article(rng, 2, 8)
        fact = rng.choice(article.facts)
        question = w.question(rng, fact, held_out=True)
        read.append((prompts.read(article.document, question), w.answer(fact)))
        unknown.append((question, prompts.UNKNOWN_ANSWER))
        small = world.article(rng, 1, 3)
        fact = rng.choice(small.facts)
        easy.append((prompts.read(small.document, w.question(rng, fact, held_out=True)), w.answer(fact)))
    known = [(w.question(rng, f, held_out=True), w.answer(f)) for r in w.residents() for f in r.trained[:2]]
    extracted = [(w.question(rng, f, held_out=True), w.answer(f)) for r in w.residents() for f in r.held_out[:2]]
    groups = {"easy": easy, "read": read, "unknown": unknown, "resident": known, "extracted": extracted}
    model.eval()
    scores = {name: round(_exact(model, tokenizer, turns), 3) for name, turns in groups.items()}
    model.train()
    return scores


@torch.no_grad()
def _exact(model: Qwen2ForCausalLM, tokenizer: Tokenizer, turns: list[tuple[str, str]]) -> float:
    rows = [encode_chat(tokenizer, [turn]) for turn in turns]
    length = max(len(ids) for ids, _ in rows)
    ids = torch.zeros((len(rows), length), dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for i, (row_ids, row_mask) in enumerate(rows):
        ids[i, : len(row_ids)] = torch.tensor(row_ids)
        mask[i, : len(row_mask)] = torch.tensor(row_mask)
    ids, mask = ids.to(model.device), mask.to(model.device)[:, 1:]
    with torch.autocast(model.device.type, torch.bfloat16):
        hidden = model.model(input_ids=ids, attention_mask={"full_attention": None}).last_hidden_state
        guess = model.lm_head(hidden[:, :-1]).argmax(-1)
    right = (guess == ids[:, 1:]) | ~mask
    return float(right.all(dim=1).float().mean())
