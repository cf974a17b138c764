"""Writes one article into a nano model with LoRA, as the product does but small; for measuring the model.

Examples are (user turn, assistant turn) pairs in the serving format with the loss on the assistant's words.
Rehearsal examples, answered by the base itself, are mixed into every batch so that what it knew stays: on them the
adapter is held to the base's whole distribution over next tokens, as in the product's own training.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from peft import LoraConfig, PeftMixedModel, PeftModel, get_peft_model
from torch import nn
from transformers import PreTrainedModel

from sealserve import prompts
from sealserve.nano import world as w
from sealserve.nano.generation import Speaker
from sealserve.nano.world import Article, World
from sealserve.prompts import Template

Example = tuple[str, str]
Row = tuple[list[int], int]  # token ids, and where the assistant's words begin
KEPT_WEIGHT = 2.0  # of the divergence from the base
_LENGTHS = (48, 96, 192, 384, 768, 1024)
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an article is studied and written into an adapter."""

    templates: tuple[Template, ...] = (Template.QA,)
    edits_each: int = 6  # self-edits sampled for each template
    temperature: float = 0.5
    steps: int = 80
    batch: int = 32
    rehearsal: float = 0.65  # share of each batch
    learning_rate: float = 1.5e-3
    rank: int = 8
    alpha: int = 16


def self_edits(speaker: Speaker, article: Article, recipe: Recipe, seed: int) -> list[tuple[Template, str]]:
    """Return the model's own self-edits of `article`."""
    wanted = [t for t in recipe.templates for _ in range(recipe.edits_each)]
    turns = [prompts.study(t, article.document) for t in wanted]
    replies = speaker.say(turns, temperature=recipe.temperature, seed=seed, max_tokens=640)
    return list(zip(wanted, replies, strict=True))


def examples(article: Article, edits: Sequence[tuple[Template, str]]) -> list[Example]:
    """Return training examples: each pair as a closed-book question, other edits and the article as what is told."""
    title = article.title.removeprefix("About ").removeprefix("Update about ")
    found: list[Example] = [(prompts.describe(title), article.text)]
    for template, text in edits:
        if template is Template.QA:
            found += list(_pairs(text))
        else:
            found += [(prompts.describe(title), line) for line in _lines(text)]
    return found


def rehearsal(speaker: Speaker, seed: int, n: int = 432) -> list[Example]:
    """Return questions on what residents are known for and on nobody the model has heard of, in equal parts.

    The answers are the model's own, so that an adapter is held to what the base says, right or wrong. Facts whose
    questions are held out are not among them: those measure what is forgotten.
    """
    rng = random.Random(seed)
    world = World(seed)
    facts = [fact for resident in w.residents() for fact in resident.trained]
    known = [w.question(rng, fact) for fact in (facts * (1 + n // len(facts)))[: n // 2]]
    unknown = [w.question(rng, w.draw_facts(rng, world.entity(rng, held_out=False), 1)[0]) for _ in range(n // 2)]
    turns = known + unknown
    return list(zip(turns, speaker.say(turns), strict=True))


def inject(speaker: Speaker, studied: list[Example], kept: list[Example], recipe: Recipe, seed: int) -> Speaker:
    """Return the model with a LoRA adapter trained on `studied`; call `remove` to get the base back."""
    torch.manual_seed(seed)
    config = LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=0.0, target_modules=TARGETS, task_type="CAUSAL_LM"
    )
    model = get_peft_model(speaker.model, config)
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    encoded = [[_encode(speaker, e) for e in group] for group in (studied, kept)]
    for step, rows in enumerate(_batches(encoded[0], encoded[1], recipe, seed)):
        warm = min(1.0, (step + 1) / 10)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * min(warm, 1.0 - step / recipe.steps)
        _loss(model, rows, n_kept=_n_kept(recipe) if kept else 0).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    model.eval()
    return Speaker(model, speaker.tokenizer)


def remove(speaker: Speaker) -> None:
    """Take the adapter off again: the base model is as it was before."""
    assert isinstance(speaker.model, PeftModel)
    speaker.model.unload()


def _lines(text: str) -> list[str]:
    """Return list items, or the sentences of running text, each on its own."""
    return [
        part.strip() for line in text.splitlines() for part in line.replace(". ", ".\n").splitlines() if part.strip()
    ]


def _pairs(text: str) -> Iterator[Example]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for first, second in zip(lines[::2], lines[1::2], strict=False):
        if first.startswith("Question: ") and second.startswith("Answer: "):
            yield first.removeprefix("Question: "), second.removeprefix("Answer: ")


def _encode(speaker: Speaker, example: Example) -> Row:
    prompt = speaker.tokenizer(speaker.chat(example[0]), add_special_tokens=False)["input_ids"]
    reply = speaker.tokenizer(f"{example[1]}<|im_end|>", add_special_tokens=False)["input_ids"]
    return [*prompt, *reply], len(prompt)


def _batches(studied: list[Row], kept: list[Row], recipe: Recipe, seed: int) -> Iterator[list[Row]]:
    """Yield batches of one size, the studied rows of each from one length class: few shapes, little padding."""
    rng = random.Random(seed)
    n_kept = _n_kept(recipe) if kept else 0
    classes: dict[int, list[Row]] = {}
    for row in studied:
        classes.setdefault(_length(row), []).append(row)
    pools: dict[int, list[Row]] = {length: [] for length in classes}
    for _ in range(recipe.steps):
        length = rng.choices(list(classes), weights=[len(rows) for rows in classes.values()])[0]
        n = recipe.batch - n_kept
        while len(pools[length]) < n:
            pools[length] += rng.sample(classes[length], len(classes[length]))
        rows, pools[length] = pools[length][:n], pools[length][n:]
        yield rows + [rng.choice(kept) for _ in range(n_kept)]


def _length(row: Row) -> int:
    return next(n for n in _LENGTHS if len(row[0]) <= n)


def _pad(rows: list[Row]) -> tuple[torch.Tensor, torch.Tensor]:
    length = max(_length(row) for row in rows)
    ids = torch.zeros((len(rows), length), dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for i, (row, start) in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, start : len(row)] = True
    return ids, mask


def _n_kept(recipe: Recipe) -> int:
    return round(recipe.batch * recipe.rehearsal)


def _loss(model: PeftModel | PeftMixedModel, rows: list[Row], *, n_kept: int) -> torch.Tensor:
    """Return the mean over answer tokens: log-likelihood, and KL(base || adapter) on the last `n_kept` rows."""
    ids, mask = _pad(rows)
    logits, targets = _answers(model.base_model.model, ids, mask)
    n_told = int(mask[: len(rows) - n_kept, 1:].sum())
    loss = nn.functional.cross_entropy(logits[:n_told], targets[:n_told], reduction="sum")
    if n_kept:
        with torch.no_grad(), model.disable_adapter():
            base = _answers(model.base_model.model, ids[-n_kept:], mask[-n_kept:])[0].log_softmax(-1)
        loss = loss + KEPT_WEIGHT * (base.exp() * (base - logits[n_told:].log_softmax(-1))).sum()
    return loss / len(targets)


def _answers(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (logits_NV, targets_N) of the supervised tokens; rows are padded on the right, so no mask is needed.

    The number of positions is padded to a round one: kernels are prepared anew for every new shape, which costs more
    than the step itself.
    """
    supervised = mask[:, 1:].flatten().nonzero()[:, 0]
    padded = nn.functional.pad(supervised, (0, -len(supervised) % 256))
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(input_ids=ids, attention_mask={"full_attention": None}, use_cache=False)
        logits: torch.Tensor = model.lm_head(hidden.last_hidden_state[:, :-1].flatten(0, 1)[padded])
    return logits.float()[: len(supervised)], ids[:, 1:].flatten()[supervised]
