"""The training child: `python -m sealserve.learning.multi_lora.main --job job.json --directory out --candidates 0 1`.

Trains the named candidates of the job in one pass over one frozen base (LoRA, arXiv 2106.09685) and writes each as a
PEFT directory. A finished candidate is not trained again; an interrupted one resumes from its last checkpoint. The
process ends when its parent does. The pass itself is `trainer.py`; torch is imported only once there is something to
train.
"""

import argparse
import gc
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sealserve.engine.base_model import base_shape
from sealserve.errors import SealserveError, TrainingFailed
from sealserve.learning.training_job import (
    EXIT_BAD_JOB,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_ORPHANED,
    TrainingJob,
    adapter_path,
    read_job,
    read_result,
)


def main(arguments: list[str]) -> int:
    """Train the candidates that are not finished yet; return an exit code of `training_job.py`."""
    parser = argparse.ArgumentParser(description="Trains LoRA candidates of one job.")
    parser.add_argument("--job", type=Path, required=True)
    parser.add_argument("--directory", type=Path, required=True, help="where candidates are written")
    parser.add_argument("--candidates", type=int, nargs="+", required=True, help="which candidates of the job")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--children", type=int, default=1, help="processes that share the device, this one included")
    parser.add_argument("--niceness", type=int, default=0)
    parser.add_argument("--check-base", action="store_true", help="the base here must be the one that the job names")
    given = parser.parse_args(arguments)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(given.niceness)
    try:
        job = read_job(given.job)
        if given.check_base:
            check_base(job)
        run(job, given.directory, mine=set(given.candidates), children=given.children, threads=given.threads)
    except TrainingFailed as error:
        _say(error=error.message)
        return EXIT_FAILED
    except SealserveError as error:
        _say(error=error.message)
        return EXIT_BAD_JOB
    return EXIT_DONE


def run(job: TrainingJob, directory: Path, *, mine: set[int], children: int = 1, threads: int = 1) -> None:
    """Leave the candidates `mine` of `job` in `directory`. Raises: TrainingFailed, BadConfig (base directory)."""
    waiting = [a for a in job.attempts if a.index in mine and not _is_finished(job, directory, a.index)]
    if not waiting:
        return
    with _importing():
        import torch

        from sealserve.learning.multi_lora.base_model import dtype_of_computation, load_base
        from sealserve.learning.multi_lora.batches import encode
        from sealserve.learning.multi_lora.dry_run import dry_run, refused_by_name
        from sealserve.learning.multi_lora.memory import memory_errors_explained, plan
        from sealserve.learning.multi_lora.trainer import MultiLoraTrainer, PassContext
    torch.set_num_threads(threads)
    encoded = encode(job.sequences, base=job.base_directory)
    with memory_errors_explained():
        model = load_base(job.base_directory)
        bench = PassContext(model=model, encoded=encoded, dtype=dtype_of_computation(model), capacity=len(waiting))
        with refused_by_name(model):
            trainer = MultiLoraTrainer(job, waiting, bench=bench, directory=directory, say=_say)
            token_bytes = dry_run(job, bench, trainer.stack)
            trainer.protect()
        room = plan(
            wanted=len(waiting),
            numbers=trainer.stack.size,
            longest=max(len(encoded[row].ids) for attempt in waiting for row in attempt.order),
            token_bytes=token_bytes,
            children=children,
            device=trainer.stack.weights_GP.device,
        )
        trainer.limit(room)
        _say(ready=len(waiting), slots=room.slots, tokens=room.tokens, remarks=trainer.remarks)
        trainer.run()


def check_base(job: TrainingJob) -> None:
    """Return if the base here is the one that the job names.

    Raises: TrainingFailed (other weights lie at the same path on this machine), BadConfig (none do).
    """
    if base_shape(job.base_directory).digest != job.base_digest:
        raise TrainingFailed(f"the base model at {job.base_directory} on {socket.gethostname()} is another one")


def _is_finished(job: TrainingJob, directory: Path, index: int) -> bool:
    try:
        result = read_result(directory, index)
    except TrainingFailed:
        return False
    return result.job == job.digest() and (bool(result.failure) or adapter_path(directory, index).is_dir())


@contextmanager
def _importing() -> Iterator[None]:
    """Import without collecting garbage: what imports make stays, and looking through it is a sixth of their time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _say(**progress: Any) -> None:
    print(json.dumps(progress), flush=True)


def _end_with_parent() -> None:
    """The parent holds our standard input open: when it dies, however it dies, reading ends and so do we."""
    while os.read(0, 4096):  # not sys.stdin: its lock, held here, would abort the interpreter at its end
        pass
    os._exit(EXIT_ORPHANED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
