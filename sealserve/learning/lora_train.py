"""The training child: `python -m sealserve.learning.lora_train --job job.json --directory out --candidates 0 1`.

Trains the named candidates of the job one after another over one frozen base (LoRA, arXiv 2106.09685) and writes
each as a PEFT directory, aside and renamed. The only module of `learning` that imports torch and peft. A candidate
that is finished already is not trained again. Ends when its parent does.
"""

import argparse
import asyncio
import json
import math
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from torch import Tensor, nn

from sealserve.engine.chat import Chat
from sealserve.engine.engine import ChatTurn
from sealserve.errors import SealserveError, TrainingFailed
from sealserve.learning.training import (
    EXIT_BAD_JOB,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_ORPHANED,
    Attempt,
    Result,
    TrainingJob,
    adapter_path,
    read_job,
    read_result,
    result_path,
)

WARM_UP_STEPS = 6
CLIP_NORM = 1.0
BETAS = (0.9, 0.95)
KEPT_WEIGHT = 2.0
"""Of the divergence from the base. On the embedded model, 40 steps: old facts 0.77 right with likelihood on rehearsed
answers, 0.88 with divergence at weight 1 and the same gain, 0.94 at weight 3 and a smaller one."""

BUCKET_BATCHES = 10
"""Sequences of this many batches are sorted by length before they are cut into batches: little padding, some mixing."""

SCALED_HEADS = ("final_logit_softcapping", "logits_scaling", "logit_scale", "lm_head_multiplier")
"""Settings of Gemma 2, Granite, Cohere and Falcon-H1 that change logits after the head (transformers 5.19)."""

IGNORED = -100  # torch's cross_entropy skips this label


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one sequence; the loss falls on those from `answer_start` on."""

    ids: list[int]
    answer_start: int
    is_kept: bool


def main(arguments: list[str]) -> int:
    """Train what is not trained yet; return an exit code of `training.py`."""
    parser = argparse.ArgumentParser(description="Trains LoRA candidates of one job.")
    parser.add_argument("--job", type=Path, required=True)
    parser.add_argument("--directory", type=Path, required=True, help="where candidates are written")
    parser.add_argument("--candidates", type=int, nargs="+", required=True, help="which candidates of the job")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--niceness", type=int, default=0)
    given = parser.parse_args(arguments)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(given.niceness)
    torch.set_num_threads(given.threads)
    try:
        run(read_job(given.job), given.directory, mine=set(given.candidates))
    except TrainingFailed as error:
        _say(error=error.message)
        return EXIT_FAILED
    except SealserveError as error:
        _say(error=error.message)
        return EXIT_BAD_JOB
    return EXIT_DONE


def run(job: TrainingJob, directory: Path, *, mine: set[int]) -> None:
    """Leave the candidates `mine` of `job` in `directory`. Raises: TrainingFailed, BadConfig (base directory)."""
    wanted = [attempt for attempt in job.attempts if attempt.index in mine]
    waiting = [attempt for attempt in wanted if not _is_finished(job, directory, attempt.index)]
    if not waiting:
        return
    encoded = asyncio.run(_encode(job))
    base = _load_base(job)
    for attempt in waiting:
        _train(job, attempt, base=base, encoded=encoded, directory=directory)


def _train(job: TrainingJob, attempt: Attempt, *, base: nn.Module, encoded: list[Encoded], directory: Path) -> None:
    started = time.monotonic()
    torch.manual_seed(attempt.recipe.seed)
    model = _with_lora(base, job, attempt)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=attempt.recipe.learning_rate, betas=BETAS, weight_decay=0.0)
    losses: list[float] = []
    for step, batch in enumerate(_batches(attempt, encoded)):
        for group in optimizer.param_groups:
            group["lr"] = attempt.recipe.learning_rate * _schedule(step, attempt.steps)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=_has_bfloat16(model.device)):
            loss = _loss(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise TrainingFailed(f"candidate {attempt.index}: the loss is not finite at step {step}")
        if step % 10 == 0:
            _say(candidate=attempt.index, step=step, of=attempt.steps, loss=round(losses[-1], 4))
    seconds = time.monotonic() - started
    result = Result(index=attempt.index, job=job.digest(), losses=_tenths(losses), seconds=seconds, steps=len(losses))
    _save(model, result, directory=directory)
    model.unload()
    _say(candidate=attempt.index, step=attempt.steps, of=attempt.steps, loss=round(result.losses[-1], 4))


def _load_base(job: TrainingJob) -> nn.Module:
    from transformers import AutoModelForCausalLM

    on_gpu = torch.cuda.is_available()
    model = AutoModelForCausalLM.from_pretrained(
        job.base_directory,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=torch.bfloat16 if on_gpu else torch.float32,
    )
    model.requires_grad_(False)
    return model.to("cuda" if on_gpu else "cpu")  # type: ignore[no-any-return]


def _with_lora(base: nn.Module, job: TrainingJob, attempt: Attempt) -> PeftModel:
    """Every linear layer of the stack bears LoRA (Schulman et al., "LoRA Without Regret", 2025); the head does not."""
    if not _linear_names(base):
        raise TrainingFailed("this model's layers have no linear modules that LoRA could change")
    config = LoraConfig(
        r=attempt.recipe.rank,
        lora_alpha=attempt.recipe.alpha,
        lora_dropout=0.0,
        bias="none",
        target_modules=_linear_names(base),
        task_type="CAUSAL_LM",
    )
    model = PeftModel(base, config, autocast_adapter_dtype=True)
    model.peft_config["default"].base_model_name_or_path = job.base_digest
    model.train()
    return model


def _linear_names(base: nn.Module) -> list[str]:
    linear = [name for name, module in base.named_modules() if isinstance(module, nn.Linear) and ".layers." in name]
    return sorted({name.rpartition(".")[2] for name in linear})


def _loss(model: PeftModel, batch: list[Encoded]) -> Tensor:
    """Mean over answer tokens: log-likelihood of new answers, divergence from the base on kept ones.

    n answer tokens of one sequence weigh sqrt(n) together, so that lists do not drown words.
    """
    ids_BT, labels_BT, attention_BT = _padded(batch, device=model.device)
    is_answer_BT = labels_BT != IGNORED
    logits_NV = _logits(model, ids_BT, attention_BT, keep_BT=is_answer_BT).float()
    losses_N = nn.functional.cross_entropy(logits_NV, labels_BT[is_answer_BT], reduction="none")
    is_kept_B = torch.tensor([sequence.is_kept for sequence in batch], device=model.device)
    if is_kept_B.any():
        is_kept_N = is_kept_B[:, None].expand_as(is_answer_BT)[is_answer_BT]
        kept = ids_BT[is_kept_B], attention_BT[is_kept_B]
        drift_K = _drift(model, *kept, keep_BT=is_answer_BT[is_kept_B], logits_KV=logits_NV[is_kept_N])
        losses_N = losses_N.masked_scatter(is_kept_N, KEPT_WEIGHT * drift_K)
    weights_N = (is_answer_BT / is_answer_BT.sum(dim=1, keepdim=True).clamp(min=1).sqrt())[is_answer_BT]
    return (losses_N * weights_N).sum() / weights_N.sum()


def _drift(model: PeftModel, ids_BT: Tensor, attention_BT: Tensor, *, keep_BT: Tensor, logits_KV: Tensor) -> Tensor:
    """KL(base || candidate) at each kept token: what forgetting follows (RL's Razor, arXiv 2509.04259)."""
    with torch.no_grad(), model.disable_adapter():
        base_KV = _logits(model, ids_BT, attention_BT, keep_BT=keep_BT).float().log_softmax(dim=-1)
    return (base_KV.exp() * (base_KV - logits_KV.log_softmax(dim=-1))).sum(dim=-1)


def _logits(model: PeftModel, ids_BT: Tensor, attention_BT: Tensor, *, keep_BT: Tensor) -> Tensor:
    """Return logits_NV of the kept positions; the head runs on those alone where the model has nothing behind it."""
    inner = model.get_base_model()
    if any(getattr(inner.config, name, None) for name in SCALED_HEADS):
        whole: Tensor = model(input_ids=ids_BT, attention_mask=attention_BT, use_cache=False).logits
        return whole[keep_BT]
    stack = getattr(inner, inner.base_model_prefix)
    hidden_BTD = stack(input_ids=ids_BT, attention_mask=attention_BT, use_cache=False)[0]
    kept: Tensor = inner.get_output_embeddings()(hidden_BTD[keep_BT])
    return kept


def _padded(batch: list[Encoded], *, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return (ids_BT, labels_BT, attention_BT), padded on the right; labels are shifted to the token that predicts."""
    length = max(len(sequence.ids) for sequence in batch)
    ids_BT = torch.zeros((len(batch), length), dtype=torch.long)
    labels_BT = torch.full((len(batch), length), IGNORED, dtype=torch.long)
    attention_BT = torch.zeros((len(batch), length), dtype=torch.long)
    for row, sequence in enumerate(batch):
        ids = torch.tensor(sequence.ids)
        ids_BT[row, : len(ids)] = ids
        attention_BT[row, : len(ids)] = 1
        labels_BT[row, sequence.answer_start - 1 : len(ids) - 1] = ids[sequence.answer_start :]
    return ids_BT.to(device), labels_BT.to(device), attention_BT.to(device)


def _batches(attempt: Attempt, encoded: list[Encoded]) -> Iterator[list[Encoded]]:
    size = attempt.recipe.batch_size
    generator = torch.Generator().manual_seed(attempt.recipe.seed)
    window = size * BUCKET_BATCHES
    for start in range(0, len(attempt.order), window):
        rows = sorted((encoded[i] for i in attempt.order[start : start + window]), key=lambda row: len(row.ids))
        batches = [rows[i : i + size] for i in range(0, len(rows), size)]
        for place in torch.randperm(len(batches), generator=generator).tolist():
            yield batches[place]


async def _encode(job: TrainingJob) -> list[Encoded]:
    chat = Chat.open(job.base_directory)
    encoded = []
    for sequence in job.sequences:
        prompt = await chat.prompt_ids((ChatTurn(role="user", content=sequence.prompt),))
        encoded.append(Encoded([*prompt, *chat.completion_ids(sequence.completion)], len(prompt), sequence.is_kept))
    return encoded


def _has_bfloat16(device: torch.device) -> bool:
    """Halves the step where the processor has it (0.26 s to 0.16 s, 3 M parameters, one core); elsewhere it costs."""
    return device.type != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _schedule(step: int, steps: int) -> float:
    """Linear warm-up, then linear decay to zero (the decay of SEAL's inner loop; its scripts/TTT_server.sh)."""
    return min(1.0, (step + 1) / WARM_UP_STEPS) * max(0.02, 1 - step / steps)


def _save(model: PeftModel, result: Result, *, directory: Path) -> None:
    """Write the adapter's two files and then its result; each appears whole or not at all."""
    aside = directory / f".aside-{os.getpid()}-{result.index}"
    model.save_pretrained(str(aside), safe_serialization=True, save_embedding_layers=False)
    (aside / "README.md").unlink(missing_ok=True)
    final = adapter_path(directory, result.index)
    if final.exists():
        final.rename(directory / f".stale-{os.getpid()}-{result.index}")
    aside.rename(final)
    text = directory / f".result-{os.getpid()}-{result.index}"
    text.write_text(json.dumps(asdict(result)))
    text.rename(result_path(directory, result.index))


def _is_finished(job: TrainingJob, directory: Path, index: int) -> bool:
    try:
        return read_result(directory, index).job == job.digest() and adapter_path(directory, index).is_dir()
    except TrainingFailed:
        return False


def _tenths(losses: list[float]) -> tuple[float, ...]:
    size = max(1, math.ceil(len(losses) / 10))
    return tuple(sum(part) / len(part) for i in range(0, len(losses), size) if (part := losses[i : i + size]))


def _say(**progress: Any) -> None:
    print(json.dumps(progress), flush=True)


def _end_with_parent() -> None:
    """The parent holds our standard input open: when it dies, however it dies, reading ends and so do we."""
    while os.read(0, 4096):  # not sys.stdin: its lock, held here, would abort the interpreter at its end
        pass
    os._exit(EXIT_ORPHANED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
