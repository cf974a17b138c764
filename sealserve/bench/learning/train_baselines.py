"""Three ways to train the same candidates on the same batches: our one pass, stock PEFT, SEAL's procedure.

All over a base that is loaded before time is taken, with the same LoRA layers, initial scale, optimizer, schedule and
precision; each writes its adapters to disk. The only module of `bench` that imports torch and peft.
"""

import asyncio
import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor, nn

from sealserve.canonical import Json
from sealserve.errors import FailedPrecondition
from sealserve.learning.multi_lora.base_model import dtype_of_computation, load_base
from sealserve.learning.multi_lora.batches import Encoded, batches, encode
from sealserve.learning.multi_lora.optimizer import BETAS, CLIP_NORM, schedule
from sealserve.learning.multi_lora.trainer import MultiLoraTrainer, PassContext
from sealserve.learning.training.executors.process import ProcessExecutor
from sealserve.learning.training.trainer import ChildTrainer
from sealserve.learning.training_job import Attempt, TrainingJob, read_result
from sealserve.settings.learn import LearnSettings

Say = Callable[[str], None]
IGNORED = -100  # torch's cross_entropy skips this label


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What one way did: seconds of each candidate it trained, and each one's mean loss over its last tenth."""

    seconds: list[float]
    losses: list[float]
    processes: int = 1

    @property
    def per_minute(self) -> float:
        """Candidates a minute."""
        return 60 * len(self.seconds) / sum(self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all sides train on: a frozen base, sequences, and the context that SEAL's procedure pads to."""

    model: nn.Module
    encoded: list[Encoded]
    context: int


def ground_of(job: TrainingJob, *, shape: str) -> Ground:
    """Return the job's base, or, for "qwen2.5-7b", random weights and tokens of that shape on CUDA.

    Raises: FailedPrecondition (another shape, or no CUDA for the large one).
    """
    encoded = encode(job.sequences, base=job.base_directory)
    if shape == "nano":
        return Ground(model=load_base(job.base_directory), encoded=encoded, context=1024)
    if shape != "qwen2.5-7b":
        raise FailedPrecondition(f"no shape {shape!r} is known; there are nano and qwen2.5-7b")
    if not torch.cuda.is_available():
        raise FailedPrecondition("the shape qwen2.5-7b needs a CUDA GPU of 40 GB or more; without one, use nano")
    return Ground(model=_random_7b(), encoded=encoded, context=2048)


def machine() -> str:
    """Return the kind of machine, as results name it."""
    cores = f"{len(os.sched_getaffinity(0))} CPU cores"
    return f"{torch.cuda.get_device_name()}, {cores}" if torch.cuda.is_available() else cores


def in_children(job: TrainingJob) -> Trained:
    """Train all attempts as a cycle does, in as many children as default settings start on this machine.

    Time runs from the first child that has loaded its base until every adapter has passed pre-flight.
    """
    ready: list[float] = []

    def on_progress(report: Json) -> None:
        if "ready" in report:
            ready.append(time.monotonic())

    with tempfile.TemporaryDirectory() as name:
        rank = max(attempt.recipe.rank for attempt in job.attempts)
        trainer = ChildTrainer(LearnSettings(), max_rank=rank, executor=ProcessExecutor(LearnSettings()))
        trained = asyncio.run(trainer.train(job, Path(name), on_progress=on_progress))
        seconds = (time.monotonic() - ready[0]) / len(trained)
    losses = [candidate.final_loss for candidate in trained]
    return Trained(seconds=[seconds] * len(losses), losses=losses, processes=len(ready))


def in_one_pass(job: TrainingJob, ground: Ground) -> Trained:
    """Train all attempts together, in this process. The model bears slots afterwards."""
    model, encoded = ground.model, ground.encoded
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        started = time.monotonic()
        bench = PassContext(model=model, encoded=encoded, dtype=dtype_of_computation(model), capacity=len(job.attempts))
        MultiLoraTrainer(job, list(job.attempts), bench=bench, directory=directory, say=lambda **_: None).run()
        seconds = (time.monotonic() - started) / len(job.attempts)
        losses = [read_result(directory, attempt.index).losses[-1] for attempt in job.attempts]
    return Trained(seconds=[seconds] * len(losses), losses=losses)


def one_at_a_time(job: TrainingJob, ground: Ground, *, n: int, say: Say) -> Trained:
    """Train the first `n` attempts with stock PEFT and torch's AdamW, a sequence a step, no padding."""
    done = Trained(seconds=[], losses=[])
    for attempt in job.attempts[:n]:
        started = time.monotonic()
        bearing = _with_lora(ground.model, attempt)
        losses = _plain_loop(bearing, attempt, ground.encoded)
        _save(bearing)
        bearing.unload()
        done.seconds.append(time.monotonic() - started)
        done.losses.append(_last_tenth(losses))
        say(f"stock PEFT, candidate {attempt.index}: {done.seconds[-1]:.1f} s")
    return done


def as_seal_does(job: TrainingJob, ground: Ground, *, n: int, say: Say) -> Trained:
    """Train the first `n` attempts as SEAL's inner loop does (its src/inner/TTT_server.py): transformers' Trainer
    and PEFT, one sequence a step, each padded to the context."""
    done = Trained(seconds=[], losses=[])
    for attempt in job.attempts[:n]:
        started = time.monotonic()
        bearing = _with_lora(ground.model, attempt)
        losses = _trainer_loop(bearing, attempt, ground)
        _save(bearing)
        bearing.unload()
        done.seconds.append(time.monotonic() - started)
        done.losses.append(_last_tenth(losses))
        say(f"SEAL's procedure, candidate {attempt.index}: {done.seconds[-1]:.1f} s")
    return done


def _random_7b() -> nn.Module:
    """Return Qwen2.5-7B's shape (its config.json) with random weights: speed does not depend on what they say."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=152_064,
        hidden_size=3584,
        intermediate_size=18_944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        max_position_embeddings=131_072,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=False,
        attn_implementation="sdpa",
    )
    with torch.device("cuda"):
        torch.set_default_dtype(torch.bfloat16)
        try:
            model = Qwen2ForCausalLM(config)
        finally:
            torch.set_default_dtype(torch.float32)
    model.requires_grad_(False)
    return model  # type: ignore[no-any-return]


def _with_lora(model: nn.Module, attempt: Attempt) -> Any:
    from peft import LoraConfig, PeftModel

    torch.manual_seed(attempt.recipe.seed)
    names = {name.rpartition(".")[2] for name, m in model.named_modules() if isinstance(m, nn.Linear)} - {"lm_head"}
    config = LoraConfig(
        r=attempt.recipe.rank,
        lora_alpha=attempt.recipe.alpha,
        target_modules=sorted(names),
        task_type="CAUSAL_LM",
    )
    bearing = PeftModel(model, config)
    bearing.train()
    return bearing


def _plain_loop(bearing: Any, attempt: Attempt, encoded: list[Encoded]) -> list[float]:
    parameters = [p for p in bearing.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, betas=BETAS, weight_decay=0.0)
    losses = []
    for step, batch in enumerate(batches(attempt, encoded)):
        optimizer.param_groups[0]["lr"] = attempt.recipe.learning_rate * schedule(step, attempt.steps)
        row = _row(encoded[batch[0]], length=len(encoded[batch[0]].ids))
        device = parameters[0].device
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype_of_computation(bearing) == torch.bfloat16):
            loss: Tensor = bearing(**{name: value[None].to(device) for name, value in row.items()}).loss
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def _trainer_loop(bearing: Any, attempt: Attempt, ground: Ground) -> list[float]:
    from transformers import Trainer, TrainingArguments
    from transformers.utils import logging

    logging.disable_progress_bar()
    taken = [ground.encoded[batch[0]] for batch in batches(attempt, ground.encoded)]
    rows = [_row(sequence, length=ground.context) for sequence in taken]
    parameters = [p for p in bearing.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=attempt.recipe.learning_rate, betas=BETAS, weight_decay=0.0)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule(step, attempt.steps))
    with tempfile.TemporaryDirectory() as name:
        arguments = TrainingArguments(
            output_dir=name,
            per_device_train_batch_size=1,
            num_train_epochs=1,
            max_grad_norm=CLIP_NORM,
            bf16=dtype_of_computation(bearing) == torch.bfloat16,
            use_cpu=not torch.cuda.is_available(),
            train_sampling_strategy="sequential",
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        trainer = Trainer(model=bearing, args=arguments, train_dataset=rows, optimizers=(optimizer, rates))
        trainer.remove_callback(_printer())
        trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def _printer() -> Any:
    from transformers.trainer_callback import PrinterCallback

    return PrinterCallback


def _row(sequence: Encoded, *, length: int) -> dict[str, Tensor]:
    padding = length - len(sequence.ids)
    labels = [IGNORED] * sequence.answer_start + sequence.ids[sequence.answer_start :] + [IGNORED] * padding
    return {
        "input_ids": torch.tensor(sequence.ids + [0] * padding),
        "attention_mask": torch.tensor([1] * len(sequence.ids) + [0] * padding),
        "labels": torch.tensor(labels),
    }


def _save(bearing: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        bearing.save_pretrained(name)


def _last_tenth(losses: list[float]) -> float:
    return mean(losses[-math.ceil(len(losses) / 10) :])
