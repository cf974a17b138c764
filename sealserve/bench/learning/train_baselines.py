"""Ways to train the same candidates on the same batches: our one pass, stock PEFT in one process or one per core, and
SEAL's code.

All over a base that is loaded before time is taken, with the same LoRA layers, initial scale, optimizer, schedule and
precision; each writes its adapters to disk. The only module of `bench` that imports torch and peft.
"""

import asyncio
import gc
import math
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor, nn

from sealserve.canonical import Json
from sealserve.errors import FailedPrecondition, TrainingFailed
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
CONTEXTS = {"nano": 1024, "qwen2.5-7b": 2048}
"""Tokens that SEAL's code pads every sequence to, by shape: its own 2,048, or the embedded model's context."""

START_SECONDS = 300.0
"""That the processes of stock PEFT wait for each other, until all have loaded the base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What one way did: how long it took, and each candidate's mean loss over its last tenth.

    `rates` are candidates per minute, of every part that was timed for itself: a candidate, or a pass.
    """

    candidates: int
    seconds: float
    rates: list[float]
    losses: list[float]
    processes: int = 1

    @property
    def per_minute(self) -> float:
        """Candidates a minute."""
        return 60 * self.candidates / self.seconds


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
        return Ground(model=load_base(job.base_directory), encoded=encoded, context=CONTEXTS[shape])
    if shape != "qwen2.5-7b":
        raise FailedPrecondition(f"no shape {shape!r} is known; there are nano and qwen2.5-7b")
    if not torch.cuda.is_available():
        raise FailedPrecondition("the shape qwen2.5-7b needs a CUDA GPU of 40 GB or more; without one, use nano")
    gc.collect()  # two such models do not fit on the smaller cards
    torch.cuda.empty_cache()
    return Ground(model=_random_7b(), encoded=encoded, context=CONTEXTS[shape])


def lengths_of(job: TrainingJob, *, shape: str) -> tuple[float, int]:
    """Return the mean tokens of a sequence, and the context that SEAL's code pads to."""
    encoded = encode(job.sequences, base=job.base_directory)
    return round(mean(len(sequence.ids) for sequence in encoded), 1), CONTEXTS.get(shape, 0)


def machine() -> str:
    """Return the kind of machine, as results name it."""
    cores = f"{len(os.sched_getaffinity(0))} CPU cores"
    return f"{torch.cuda.get_device_name()}, {cores}" if torch.cuda.is_available() else cores


def in_children(job: TrainingJob, *, passes: int) -> Trained:
    """Train all attempts as a cycle does, in as many children as default settings start on this machine.

    All of it `passes` times. Time runs from the first child that has loaded its base until every adapter has passed
    pre-flight.
    """
    done = [_in_children(job) for _ in range(passes)]
    return Trained(
        candidates=sum(one.candidates for one in done),
        seconds=sum(one.seconds for one in done),
        rates=[one.per_minute for one in done],
        losses=done[0].losses,
        processes=done[0].processes,
    )


def in_one_pass(job: TrainingJob, ground: Ground) -> Trained:
    """Train all attempts together, in this process. The model bears slots afterwards."""
    model, encoded = ground.model, ground.encoded
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        started = time.monotonic()
        bench = PassContext(model=model, encoded=encoded, dtype=dtype_of_computation(model), capacity=len(job.attempts))
        MultiLoraTrainer(job, list(job.attempts), bench=bench, directory=directory, say=lambda **_: None).run()
        seconds = time.monotonic() - started
        losses = [read_result(directory, attempt.index).losses[-1] for attempt in job.attempts]
    n = len(losses)
    return Trained(candidates=n, seconds=seconds, rates=[60 * n / seconds], losses=losses)


def one_at_a_time(job: TrainingJob, ground: Ground, *, n: int, say: Say) -> Trained:
    """Train the first `n` attempts with stock PEFT and torch's AdamW; batches are padded to their longest sequence."""

    def train(bearing: Any, attempt: Attempt) -> list[float]:
        return _plain_loop(bearing, attempt, ground.encoded)

    return _each(job.attempts[:n], ground, train, label="stock PEFT", say=say)


def one_process_per_core(job: TrainingJob, *, n: int, say: Say) -> Trained:
    """Train the first `n` attempts as `one_at_a_time` does, shared by a process per core with one thread each.

    Time runs from when every process has loaded its base until the last one ends. Raises: TrainingFailed (one dies).
    """
    processes = min(n, len(os.sched_getaffinity(0)))
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    results: list[Connection] = []
    for place in range(processes):
        result, theirs = context.Pipe(duplex=False)
        share = replace(job, attempts=job.attempts[place:n:processes])
        context.Process(target=_train_share, args=(share, barrier, theirs), daemon=True).start()
        theirs.close()
        results.append(result)
    try:
        shares = [result.recv() for result in results]
    except EOFError as error:
        raise TrainingFailed("a process with stock PEFT ended early; what it printed says why") from error
    seconds = max(ended for _, ended, _ in shares) - min(started for started, _, _ in shares)
    say(f"stock PEFT, {n} candidates in {processes} processes: {seconds:.1f} s")
    return Trained(
        candidates=n,
        seconds=seconds,
        rates=[processes * rate for _, _, done in shares for rate in done.rates],
        losses=[shares[place % processes][2].losses[place // processes] for place in range(n)],
        processes=processes,
    )


def as_seal_does(job: TrainingJob, ground: Ground, *, n: int, say: Say) -> Trained:
    """Train the first `n` attempts as SEAL's inner loop does (its src/inner/TTT_server.py): transformers' Trainer
    and PEFT, one sequence a step, each padded to the context."""

    def train(bearing: Any, attempt: Attempt) -> list[float]:
        return _trainer_loop(bearing, attempt, ground)

    return _each(job.attempts[:n], ground, train, label="SEAL's code", say=say)


def _in_children(job: TrainingJob) -> Trained:
    ready: list[float] = []

    def on_progress(report: Json) -> None:
        if "ready" in report:
            ready.append(time.monotonic())

    with tempfile.TemporaryDirectory() as name:
        rank = max(attempt.recipe.rank for attempt in job.attempts)
        trainer = ChildTrainer(LearnSettings(), max_rank=rank, executor=ProcessExecutor(LearnSettings()))
        trained = asyncio.run(trainer.train(job, Path(name), on_progress=on_progress))
        seconds = time.monotonic() - ready[0]
    losses = [candidate.final_loss for candidate in trained]
    return Trained(candidates=len(losses), seconds=seconds, rates=[], losses=losses, processes=len(ready))


def _each(
    attempts: tuple[Attempt, ...],
    ground: Ground,
    train: Callable[[Any, Attempt], list[float]],
    *,
    label: str,
    say: Say,
) -> Trained:
    """Train one attempt after another with PEFT by `train`, which returns the loss of every step."""
    seconds, losses = [], []
    for attempt in attempts:
        started = time.monotonic()
        bearing = _with_lora(ground.model, attempt)
        of_steps = train(bearing, attempt)
        _save(bearing)
        bearing.unload()
        seconds.append(time.monotonic() - started)
        losses.append(_last_tenth(of_steps))
        say(f"{label}, candidate {attempt.index}: {seconds[-1]:.1f} s")
    return Trained(candidates=len(seconds), seconds=sum(seconds), rates=[60 / one for one in seconds], losses=losses)


def _train_share(job: TrainingJob, barrier: Barrier, result: Connection) -> None:
    """Train all of the job's attempts in this process, and send (start, end, what was done)."""
    torch.set_num_threads(1)
    ground = ground_of(job, shape="nano")
    barrier.wait(START_SECONDS)
    started = time.monotonic()
    done = one_at_a_time(job, ground, n=len(job.attempts), say=lambda line: None)
    result.send((started, time.monotonic(), done))


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
        length = max(len(encoded[place].ids) for place in batch)
        rows = [_row(encoded[place], length=length) for place in batch]
        device = parameters[0].device
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype_of_computation(bearing) == torch.bfloat16):
            stacked = {name: torch.stack([row[name] for row in rows]).to(device) for name in rows[0]}
            loss: Tensor = bearing(**stacked).loss
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
