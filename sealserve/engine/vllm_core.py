"""The calls into vLLM 0.32: building its engine, its parameter types, its errors. Imported late: it takes seconds.

Everything that would change with another vLLM version is here.
"""

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import GracefulHTTPError, VLLMClientError, VLLMServerError
from vllm.inputs.engine import tokens_input
from vllm.lora.request import LoRARequest
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.metrics.loggers import StatLoggerBase

from sealserve.engine import vllm_cpu_lora
from sealserve.engine.base_model import BaseShape
from sealserve.engine.sockets import socket_directory
from sealserve.errors import EngineFailed, InvalidArgument, Unavailable
from sealserve.processes.processor import cpu_dtype
from sealserve.records.inference import Sampling
from sealserve.settings.engine import DEFAULT_GPU_FRACTION, EngineSettings

ENGINE_DEAD = "ENGINE_DEAD"
_GIB = 2**30
_POLL_SECONDS = 0.5
_DEATH_SECONDS = 5.0  # for a process that is ending to be gone
_STEPS_TIMED = 100
_SHUTDOWN_SECONDS = 2.0  # nothing runs any more; the CPU worker needs more than 5 s to end by itself
_BLOCK_TOKENS = 128  # vLLM's block on CPU
_STRUCTURED = {"backend": "guidance", "disable_any_whitespace": True}
"""vLLM's "auto" would let the first request choose one backend for all. llguidance refuses what it cannot enforce and
compiles nothing ahead: a schema with lengths, which took xgrammar 25 s at 150,000 tokens, costs it 4 ms. Free
whitespace lets a weak model write nothing else until it is cut."""

_PROCESSES = "sealserve.engine.vllm_processes"  # imported by vLLM's own processes, and on a CPU only
_FEW_CORES = 4  # up to here, pinning threads to cores costs more (a trainer shares them) than it gains


class Heartbeat(StatLoggerBase):  # type: ignore[misc]
    """Counts and times the engine's steps: vLLM reports to it after each one, also after one without output."""

    def __init__(self, vllm_config: Any = None, engine_index: int = 0) -> None:
        self.steps = 0
        self._seconds: deque[float] = deque(maxlen=_STEPS_TIMED)
        self._began: float | None = None  # of the present step; None while nothing runs, for idling is no step

    @property
    def slowest_step_seconds(self) -> float:
        """How long the slowest of the last steps took; 0 before the first that is known."""
        return max(self._seconds, default=0.0)

    def record(
        self, scheduler_stats: Any, iteration_stats: Any, mm_cache_stats: Any = None, engine_idx: int = 0
    ) -> None:
        """Count one step. Its length is known if work was left over from the one before."""
        self.steps += 1
        now = time.monotonic()
        if self._began is not None:
            self._seconds.append(now - self._began)
        if scheduler_stats is not None:
            is_busy = scheduler_stats.num_running_reqs + scheduler_stats.num_waiting_reqs > 0
            self._began = now if is_busy else None

    def log_engine_initialized(self) -> None:
        """Say nothing."""


def build(
    settings: EngineSettings, directory: Path, *, modules: list[str], max_context_tokens: int, otlp_endpoint: str
) -> tuple[AsyncLLM, Heartbeat]:
    """Start vLLM's processes and return when the model is loaded. Blocks; sets this process's VLLM_ variables.

    The heartbeat counts the engine's steps from then on.

    Only `modules` (last parts of names) make room for adapters: vLLM's default would add the embeddings and the output
    layer, whose part of an adapter is as wide as the vocabulary and always empty.

    Raises: EngineFailed (it did not start).
    """
    is_cpu = current_platform.is_cpu()
    # A prompt cut in two makes vLLM 0.32 rewind the generator of a seeded request; torch's CPU generator cannot, and
    # the whole engine dies ("CPU Generator does not use offset"). So prompts are never cut on CPU.
    memory = (
        {
            "kv_cache_memory_bytes": int(settings.kv_cache_gib * _GIB),
            "enable_chunked_prefill": False,
            "distributed_executor_backend": f"{_PROCESSES}.CandidExecutor",
            "worker_cls": f"{_PROCESSES}.AsleepWorker",
        }
        if is_cpu
        else {"gpu_memory_utilization": settings.gpu_memory_fraction or DEFAULT_GPU_FRACTION}
    )
    dtype = cpu_dtype(settings.dtype) if is_cpu else settings.dtype
    try:
        os.environ.update(_environment(settings, is_cpu=is_cpu))
        args = AsyncEngineArgs(
            model=str(directory), tokenizer=str(directory), dtype=dtype, max_model_len=max_context_tokens,
            max_num_seqs=settings.max_sequences, enable_lora=True, max_loras=settings.adapter_slots,
            max_cpu_loras=settings.adapter_places, max_lora_rank=settings.max_rank, lora_target_modules=modules,
            lora_dtype=vllm_cpu_lora.DTYPE if is_cpu else "auto",
            scheduling_policy="priority", enable_prefix_caching=True, disable_log_stats=True, enable_log_requests=False,
            trust_remote_code=False, load_format="safetensors", use_tqdm_on_load=False,
            structured_outputs_config=_STRUCTURED, otlp_traces_endpoint=otlp_endpoint or None, **memory,
        )  # fmt: skip
        heartbeat = Heartbeat()
        return AsyncLLM.from_engine_args(args, stat_loggers=[lambda *_: heartbeat]), heartbeat
    except (RuntimeError, ValueError, TimeoutError, OSError, VLLMServerError) as error:
        raise EngineFailed("the engine did not start; its log says why") from error


def fitting_context(settings: EngineSettings, shape: BaseShape) -> int:
    """Return the longest context whose keys and values fit into the KV cache on CPU; the model's own elsewhere.

    vLLM refuses to start when one full context does not fit.
    """
    if not current_platform.is_cpu() or not shape.kv_values_per_token:
        return shape.max_context_tokens
    is_wide = cpu_dtype(settings.dtype) == "float32" or settings.dtype == "float32"
    room = int(settings.kv_cache_gib * _GIB) // (shape.kv_values_per_token * (4 if is_wide else 2))
    return min(shape.max_context_tokens, room // _BLOCK_TOKENS * _BLOCK_TOKENS)


def stop_reading(engine: AsyncLLM) -> None:
    """Stop taking outputs, so that the end of the processes is not reported as their failure. On the engine's loop."""
    if engine.output_handler is not None:
        engine.output_handler.cancel()


def shut_down(engine: AsyncLLM) -> None:
    """End vLLM's processes, by force if they do not end by themselves. Blocks for seconds."""
    engine.shutdown(timeout=_SHUTDOWN_SECONDS)


def cpu_seconds(engine: AsyncLLM) -> float:
    """Return the CPU time that vLLM's processes have used; 0 where it cannot be read (no /proc)."""
    manager = engine.engine_core.resources.engine_manager
    roots = [process.pid for process in manager.processes] if manager is not None else []
    return sum(map(_cpu_seconds, _with_children(roots)))


def _with_children(pids: list[int]) -> Iterator[int]:
    for pid in pids:
        yield pid
        with suppress(OSError, ValueError):
            yield from _with_children(
                [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
            )


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process: fields 14 and 15 of /proc/PID/stat (proc(5)), after the name in brackets."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def was_killed(engine: AsyncLLM) -> bool:
    """True if vLLM's engine process, or a worker below it (`CandidExecutor`), was ended by SIGKILL or SIGTERM.

    Blocks for seconds if the process is still ending: it reports its failure before.
    """
    manager = engine.engine_core.resources.engine_manager
    if manager is None:
        return False
    for process in manager.processes:
        process.join(_DEATH_SECONDS)
    codes = manager.finished_procs().values()
    return any(code in (-signal.SIGKILL, -signal.SIGTERM) for code in codes)


def generation_params(sampling: Sampling, *, max_tokens: int, end_of_turn: int | None) -> SamplingParams:
    """Return vLLM's parameters; only new text is sent, merged while the reader is slow.

    vLLM ends an answer at the tokenizer's end of sequence; the template's end of turn may be another token.
    """
    ends = [] if end_of_turn is None else [end_of_turn]
    with translated():
        return SamplingParams(
            max_tokens=max_tokens, min_tokens=min(sampling.min_tokens, max_tokens), n=sampling.n, seed=sampling.seed,
            temperature=sampling.temperature, top_p=sampling.top_p, top_k=sampling.top_k, min_p=sampling.min_p,
            presence_penalty=sampling.presence_penalty, frequency_penalty=sampling.frequency_penalty,
            repetition_penalty=sampling.repetition_penalty, logit_bias=dict(sampling.logit_bias) or None,
            stop=list(sampling.stop), stop_token_ids=[*ends, *sampling.stop_token_ids], logprobs=sampling.logprobs,
            structured_outputs=_constraint(sampling), output_kind=RequestOutputKind.DELTA,
        )  # fmt: skip


def _constraint(sampling: Sampling) -> StructuredOutputsParams | None:
    if not sampling.constraint:
        return None
    return StructuredOutputsParams(
        choice=list(sampling.choice) or None, regex=sampling.regex or None, json=sampling.json_schema or None,
        grammar=sampling.grammar or None,
    )  # fmt: skip


def scoring_params() -> SamplingParams:
    """Return parameters that give each prompt token's log probability. vLLM reads no cached prefix for these.

    Nobody reads the text, and decoding each token of the prompt would cost this process's event loop.
    """
    return SamplingParams(
        max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False, output_kind=RequestOutputKind.FINAL_ONLY
    )


def prompt(ids: list[int], *, cache_salt: str) -> Any:
    """Return the prompt; an empty salt shares its cached prefix with every other unsalted prompt."""
    return tokens_input(ids, cache_salt=cache_salt or None)


def lora(name: str, number: int, path: Path) -> LoRARequest:
    """Return the request to load or use an adapter; `path` must be absolute, or vLLM takes it for a hub name."""
    return LoRARequest(lora_name=name, lora_int_id=number, lora_path=str(path))


def dead() -> Unavailable:
    """Return the error that says the engine's processes are gone."""
    return Unavailable("the engine has stopped and is being started again", retry_seconds=10, reason=ENGINE_DEAD)


@contextmanager
def translated(*, constraint: str = "") -> Iterator[None]:
    """Turn vLLM's errors into ours; its text stays in the cause. `constraint` is the likeliest field to be refused."""
    try:
        yield
    except EngineDeadError as error:
        raise dead() from error
    except GracefulHTTPError as error:
        raise Unavailable("the engine's queue is full", retry_seconds=1, reason="QUEUE_FULL") from error
    except VLLMClientError as error:
        field = str(getattr(error, "parameter", None) or constraint or "sampling")
        raise InvalidArgument(f"the engine does not take this value of {field}", field=field) from error
    except VLLMServerError as error:
        raise EngineFailed("the engine failed on this request; it may be tried again") from error


async def control(engine: AsyncLLM, call: Coroutine[Any, Any, Any]) -> Any:
    """Run one control call (add_lora …) to its end and return its result or the exception it ended in.

    vLLM reports a failed call as a bare Exception and leaves the caller waiting forever when the engine dies in
    the middle of one, so the exception is returned rather than caught, and the wait watches the engine.
    Raises: Unavailable (the engine is dead).
    """
    task = asyncio.ensure_future(call)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=_POLL_SECONDS)
            if engine.errored and not task.done():
                raise dead()
    finally:
        task.cancel()
    failure = task.exception()
    if isinstance(failure, EngineDeadError):
        raise dead() from failure
    return failure if failure is not None else task.result()


def _environment(settings: EngineSettings, *, is_cpu: bool) -> dict[str, str]:
    variables = {
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # a fork after gRPC has started its threads may hang
        "VLLM_RPC_BASE_PATH": str(socket_directory()),
        "LLGUIDANCE_LOG_LEVEL": "0",  # it would quote the tenant's pattern
    }
    if is_cpu:
        cores = len(os.sched_getaffinity(0))
        # With LoRA on the CPU vLLM compiles nothing but its logprob kernel, which costs 20 s and a C++ compiler.
        variables["TORCH_COMPILE_DISABLE"] = "1"
        if settings.threads or cores <= _FEW_CORES:
            variables["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
            # All of a few cores, whose threads wait asleep for each other as vLLM's processes do (`AsleepCondition`):
            # SmolLM2-135M answers in two thirds of the time that one thread takes of two idle cores, and in the same
            # time where a trainer keeps both busy. Threads that spin took four times as long there.
            variables["OMP_NUM_THREADS"] = str(settings.threads or cores)
            variables["OMP_WAIT_POLICY"], variables["GOMP_SPINCOUNT"] = "PASSIVE", "0"
    return variables
