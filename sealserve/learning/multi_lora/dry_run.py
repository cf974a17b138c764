"""Trains, writes and checks one small adapter before the real ones: what would fail after hours fails at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import print_exc

from torch import nn

from sealserve.engine.base_model import BaseShape, layer_shapes
from sealserve.engine.preflight import check_adapter
from sealserve.errors import BadAdapter, TrainingFailed
from sealserve.learning.multi_lora.batches import Encoded
from sealserve.learning.multi_lora.layers import SlotStack
from sealserve.learning.multi_lora.memory import SavedBytes, is_out_of_memory
from sealserve.learning.multi_lora.trainer import MultiLoraTrainer, PassContext
from sealserve.learning.training_job import Attempt, TrainingJob, adapter_path, read_result

TOKENS = 64
"""Of the one sequence: enough to count what a token costs, and little work for a large base on a CPU."""


def dry_run(job: TrainingJob, bench: PassContext, stack: SlotStack) -> int:
    """Take one step of rank 1 as every candidate takes its steps, and check what is written as the parent will.

    Return the bytes that a token keeps until backward. Raises: TrainingFailed (this base cannot be trained, and why).
    """
    kind = type(bench.model).__name__
    probe = _probe(max(bench.encoded, key=lambda sequence: len(sequence.ids) - sequence.answer_start))
    recipe = replace(
        job.attempts[0].recipe,
        rank=1,
        alpha=1,
        batch_size=1,
        learning_rate=1e-3,
        stop_loss=0.0,
        weight_change_penalty=0,
        protected_share=0,
    )
    attempt = Attempt(index=0, recipe=recipe, steps=1, order=(0,))
    alone = replace(bench, encoded=[probe], capacity=1)
    saved = SavedBytes(bench.model)
    with TemporaryDirectory() as directory:
        trainer = MultiLoraTrainer(
            job, [attempt], bench=alone, directory=Path(directory), say=lambda **_: None, stack=stack
        )
        with saved.hooks():
            trainer.run()
        if failure := read_result(Path(directory), 0).failure:
            raise TrainingFailed(f"{kind} cannot be trained: {failure.partition(': ')[2]}")
        linear = layer_shapes(job.base_directory)
        shape = BaseShape(model=kind, digest=job.base_digest, linear=linear, max_context_tokens=0)
        try:
            check_adapter(adapter_path(Path(directory), 0), shape, max_rank=1)
        except BadAdapter as error:
            raise TrainingFailed(f"{kind} cannot be trained: its adapter would be refused: {error.message}") from error
    return -(-saved.total // len(probe.ids))


@contextmanager
def refused_by_name(model: nn.Module) -> Iterator[None]:
    """Raise TrainingFailed, with the architecture's name, for what the model's own code raises inside the block."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError) as error:
        if is_out_of_memory(error):
            raise
        print_exc()
        raise TrainingFailed(f"{type(model).__name__} cannot be trained: {type(error).__name__}: {error}") from error


def _probe(sequence: Encoded) -> Encoded:
    """Return the end of the sequence, which is to be learned: a kept one has no gradient at the first step."""
    ids = sequence.ids[-TOKENS:]
    start = max(1, sequence.answer_start - len(sequence.ids) + len(ids))
    return Encoded(ids, start, is_kept=False, taught_ids=[], taught_start=0)
