"""The training child: `python -m sealserve.learning.lora_train --job job.json --directory out --candidates 0 1`.

Trains the named candidates of the job in one pass over one frozen base (LoRA, arXiv 2106.09685) and leaves each as a
PEFT directory. A candidate that is finished already is not trained again, an interrupted one goes on from its last
checkpoint. Ends when its parent does. Knows the process and the base; the pass itself is `one_pass.py`.
"""

import argparse
import json
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sealserve.engine.base_model import base_shape
from sealserve.errors import SealserveError, TrainingFailed
from sealserve.learning.batches import encode
from sealserve.learning.one_pass import Bench, Pass
from sealserve.learning.slot_memory import capacity
from sealserve.learning.training import (
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
    """Train what is not trained yet; return an exit code of `training.py`."""
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
    torch.set_num_threads(given.threads)
    try:
        job = read_job(given.job)
        if given.check_base:
            check_base(job)
        run(job, given.directory, mine=set(given.candidates), children=given.children)
    except TrainingFailed as error:
        _say(error=error.message)
        return EXIT_FAILED
    except SealserveError as error:
        _say(error=error.message)
        return EXIT_BAD_JOB
    return EXIT_DONE


def run(job: TrainingJob, directory: Path, *, mine: set[int], children: int = 1) -> None:
    """Leave the candidates `mine` of `job` in `directory`. Raises: TrainingFailed, BadConfig (base directory)."""
    waiting = [a for a in job.attempts if a.index in mine and not _is_finished(job, directory, a.index)]
    if not waiting:
        return
    encoded = encode(job.sequences, base=job.base_directory)
    model = load_base(job.base_directory)
    dtype = torch.bfloat16 if has_bfloat16(model) else torch.float32
    slots = capacity(model, waiting, encoded, children=children)
    _say(ready=len(waiting), slots=slots)
    bench = Bench(model=model, encoded=encoded, dtype=dtype, capacity=slots)
    Pass(job, waiting, bench=bench, directory=directory, say=_say).run()


def load_base(directory: Path) -> nn.Module:
    """Return the frozen base on the device that this process sees: bf16 on CUDA."""
    from transformers import AutoModelForCausalLM

    on_gpu = torch.cuda.is_available()
    model = AutoModelForCausalLM.from_pretrained(
        directory,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=torch.bfloat16 if on_gpu else torch.float32,
        attn_implementation="sdpa",
    )
    model.requires_grad_(False)
    return model.to("cuda" if on_gpu else "cpu")  # type: ignore[no-any-return]


def has_bfloat16(model: nn.Module) -> bool:
    """Halves the step where the processor has it (0.26 s to 0.16 s, 3 M parameters, one core); elsewhere it costs."""
    on_cpu = next(model.parameters()).device.type == "cpu"
    return not on_cpu or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


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


def _say(**progress: Any) -> None:
    print(json.dumps(progress), flush=True)


def _end_with_parent() -> None:
    """The parent holds our standard input open: when it dies, however it dies, reading ends and so do we."""
    while os.read(0, 4096):  # not sys.stdin: its lock, held here, would abort the interpreter at its end
        pass
    os._exit(EXIT_ORPHANED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
