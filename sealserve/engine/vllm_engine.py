"""The engine over vLLM, in this process: many adapters, one base model, every adapter checked before it is loaded.

What it keeps straight is names: each loaded adapter has one name and one fresh number, a request only ever names
a loaded one, and a failed load leaves nothing behind (vLLM by itself guarantees none of these). It does not
restart itself: `supervised.py` does.
"""

import asyncio
import gc
import itertools
import math
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import structlog

from sealserve.engine.base_model import BaseShape, base_shape
from sealserve.engine.chat import Chat, require_fitting
from sealserve.engine.engine import AdapterFiles, Delta, GenerateRequest, Likelihood, Progress, ScoreRequest
from sealserve.engine.preflight import Stamp, check_adapter, size_of, stamp_of
from sealserve.errors import BadAdapter, BadConfig, EngineFailed, InvalidArgument, NotFound, Unavailable
from sealserve.records.inference import ChatTurn, EngineInfo, EngineState, FinishReason, Sampling, TokenLogprob
from sealserve.records.sampling import check_sampling
from sealserve.settings.engine import EngineSettings
from sealserve.telemetry.names import LogEvent

_QUIET = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "PYTHONWARNINGS": "ignore::FutureWarning,ignore:resource_tracker:UserWarning",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
}
"""Read by vLLM when it is imported, and by its processes; what the operator has set already stays."""

_LOG = structlog.get_logger(__name__)
_LEAST_CONTEXT = 64
_FINISH = {reason.value: reason for reason in FinishReason}
_CLOSE_SECONDS = 5.0  # for aborted streams to hand over their last delta
BYTES_BETWEEN_STEPS = 2**24
"""So many bytes of adapters vLLM loads between two steps, and always one adapter: every running answer waits for it.
They are some fifty adapters of the embedded model; one core reads and copies them in a tenth of a second."""


@dataclass(frozen=True, slots=True)
class _Model:
    """What exists only while vLLM runs. `core` is the module that holds every call into it."""

    core: Any
    llm: Any
    heartbeat: Any
    chat: Chat
    shape: BaseShape
    max_context_tokens: int

    @property
    def max_prompt_characters(self) -> int:
        return self.max_context_tokens * self.chat.longest_entry


@dataclass(slots=True)
class _Adapters:
    """`loaded` is what a request may name; `paths` remembers every name ever loaded, for names are never reused.

    Adapters of different names are loaded and unloaded at the same time: vLLM carries out the calls that came in
    during a step in their order, between that step and the next. One that is being loaded has its place already, and
    one gives up its place when its removal is sent, so that vLLM never has more of them than places.
    """

    loaded: dict[str, Any] = field(default_factory=dict)
    arriving: set[str] = field(default_factory=set)
    paths: dict[str, Path] = field(default_factory=dict)
    stamps: dict[str, Stamp] = field(default_factory=dict)  # of the files that were loaded last under a name
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    locks: "WeakValueDictionary[str, asyncio.Lock]" = field(default_factory=WeakValueDictionary)
    sent_bytes: int = 0  # size of the adapters that vLLM was told to load and has not loaded yet
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_one_done: asyncio.Event = field(default_factory=asyncio.Event)

    def alone_with(self, name: str) -> asyncio.Lock:
        """Return the lock that is held while the adapter of that name is loaded or unloaded."""
        return self.locks.setdefault(name, asyncio.Lock())

    @contextmanager
    def place_for(self, name: str, *, places: int) -> Iterator[None]:
        """Keep a place for the adapter while the body loads it. Raises: Unavailable (ADAPTERS_FULL)."""
        if len(self.loaded) + len(self.arriving) >= places:
            raise Unavailable(
                f"{places} adapters are loaded; raise engine.loaded_adapters", retry_seconds=30, reason="ADAPTERS_FULL"
            )
        self.arriving.add(name)
        try:
            yield
        finally:
            self.arriving.discard(name)

    @asynccontextmanager
    async def sent(self, size_bytes: int) -> AsyncIterator[None]:
        """Run the body, which has vLLM load so many bytes, as soon as not too many others are on their way."""
        async with self.sending:
            while self.sent_bytes and self.sent_bytes + size_bytes > BYTES_BETWEEN_STEPS:
                self.is_one_done.clear()
                await self.is_one_done.wait()
            self.sent_bytes += size_bytes
        try:
            yield
        finally:
            self.sent_bytes -= size_bytes
            self.is_one_done.set()


class VllmEngine:
    """`Engine` over vLLM's AsyncLLM. Use it from one event loop."""

    def __init__(self, settings: EngineSettings, *, base: Path, otlp_endpoint: str = "") -> None:
        self._settings = settings
        self._base = base
        self._otlp_endpoint = otlp_endpoint
        self._model: _Model | None = None
        self._is_serving = False
        self._is_closed = False
        self._adapters = _Adapters()
        self._running: set[str] = set()
        self._idle = asyncio.Event()  # set while nothing runs
        self._numbers = itertools.count(1)
        self._is_unwanted = threading.Event()

    async def start(self) -> None:
        """Return when the first request can be answered. Raises: BadConfig (model files), EngineFailed."""
        shape = await asyncio.to_thread(base_shape, self._base)
        core = await asyncio.to_thread(_import_core)
        max_context_tokens = self._context(core, shape)
        try:
            self._model = await asyncio.to_thread(self._build, core, shape, max_context_tokens)
        except asyncio.CancelledError:
            self._is_unwanted.set()  # the thread cannot be stopped: it takes down what it has built
            raise
        await self._warm_up()
        self._is_serving = True

    async def close(self) -> None:
        """Stop; running requests end with ABORT. Twice is the same as once."""
        model, self._is_serving, self._is_closed = self._model, False, True
        if model is None:
            return
        if self._running and not model.llm.errored:
            await model.llm.abort(list(self._running))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), _CLOSE_SECONDS)
        self._model = None
        model.chat.close()
        model.core.stop_reading(model.llm)
        await asyncio.to_thread(model.core.shut_down, model.llm)
        del model
        await asyncio.to_thread(gc.collect)  # left to the interpreter's exit, AsyncLLM's finalizer prints a traceback

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta, None]:
        """Stream the answer; closing the iterator frees the sequence. Raises: see `Engine.generate`."""
        check_sampling(request.sampling)
        model = self._serving()
        adapter = self._adapter(request.adapter)
        require_fitting(request.turns, max_characters=model.max_prompt_characters)
        ids = await model.chat.prompt_ids(request.turns)
        room = self._room(model, len(ids))
        params = model.core.generation_params(
            request.sampling,
            max_tokens=min(request.sampling.max_tokens, room),
            end_of_turn=model.chat.end_of_turn,
        )
        stream = self._stream(model, ids, params, adapter=adapter, request=request)
        tokens = 0
        async with aclosing(stream):
            async for output in stream:
                for completion in output.outputs:
                    tokens += len(completion.token_ids)
                    if completion.text or completion.logprobs or completion.finish_reason is not None:
                        yield _delta(
                            completion,
                            completion_tokens=tokens,
                            prompt_tokens=len(ids),
                            cached_tokens=output.num_cached_tokens or 0,
                            top=request.sampling.logprobs or 0,
                        )

    async def score(self, request: ScoreRequest) -> Likelihood:
        """Return log p(completion and its end of turn | turns). Raises: see `Engine.score`."""
        model = self._serving()
        adapter = self._adapter(request.adapter)
        require_fitting(request.turns, max_characters=model.max_prompt_characters, completion=request.completion)
        ids = await model.chat.prompt_ids(request.turns)
        completion = model.chat.completion_ids(request.completion)
        if not completion:
            raise InvalidArgument("the completion is empty", field="completion")
        self._room(model, len(ids) + len(completion))
        stream = self._stream(model, ids + completion, model.core.scoring_params(), adapter=adapter, request=request)
        logprobs: list[Any] = []
        async with aclosing(stream):
            async for output in stream:
                logprobs = output.prompt_logprobs or logprobs
        return _likelihood(logprobs[len(ids) :], completion)

    async def count_tokens(self, turns: tuple[ChatTurn, ...]) -> int:
        """Return how many prompt tokens `turns` make. Raises: InvalidArgument, Unavailable."""
        model = self._serving()
        require_fitting(turns, max_characters=model.max_prompt_characters)
        return len(await model.chat.prompt_ids(turns))

    async def load(self, adapter: AdapterFiles) -> None:
        """Make the adapter answerable by name. Raises: BadAdapter, Unavailable (dead, or its table is full)."""
        model = self._serving()
        async with self._adapters.alone_with(adapter.name):
            if self._adapters.paths.get(adapter.name, adapter.path) != adapter.path:
                raise BadAdapter(f"the name {adapter.name!r} was used for other files", defect="name_reused")
            if adapter.name in self._adapters.loaded:
                return
            with self._adapters.place_for(adapter.name, places=self._settings.adapter_places):
                stamp = await asyncio.to_thread(self._check, adapter, model.shape)
                async with self._adapters.sent(size_of(stamp)):
                    self._adapters.loaded[adapter.name] = await self._add(model, adapter)
            self._adapters.paths[adapter.name], self._adapters.stamps[adapter.name] = adapter.path, stamp

    async def unload(self, name: str) -> bool:
        """Drop the adapter; False if it was not loaded. Raises: Unavailable."""
        model = self._serving()
        async with self._adapters.alone_with(name):
            adapter = self._adapters.loaded.pop(name, None)
            if adapter is not None:
                await model.core.control(model.llm, model.llm.remove_lora(adapter.lora_int_id))
            return adapter is not None

    async def info(self) -> EngineInfo:
        """Return what runs now. Never raises."""
        model = self._model
        return EngineInfo(
            state=self._state(),
            model=model.shape.model if model else self._base.name,
            base_digest=model.shape.digest if model else "",
            max_context_tokens=model.max_context_tokens if model else 0,
            max_rank=self._settings.max_rank,
            slots=self._settings.adapter_slots,
            loaded=tuple(sorted(self._adapters.loaded)),
            rebuilds=0,
            max_prompt_characters=model.max_prompt_characters if model else 0,
        )

    def was_killed(self) -> bool:
        """True if one of vLLM's processes was ended by a signal from outside. May block for seconds."""
        return self._model is not None and bool(self._model.core.was_killed(self._model.llm))

    def progress(self) -> Progress:
        """Return the steps done and the CPU time used since the start. Reads /proc; never raises."""
        model = self._model
        if model is None:
            return Progress(steps=0, cpu_seconds=0.0, slowest_step_seconds=0.0)
        return Progress(
            steps=model.heartbeat.steps,
            cpu_seconds=model.core.cpu_seconds(model.llm),
            slowest_step_seconds=model.heartbeat.slowest_step_seconds,
        )

    def _build(self, core: Any, shape: BaseShape, max_context_tokens: int) -> _Model:
        chat = Chat.open(self._base)
        llm, heartbeat = core.build(
            self._settings,
            self._base,
            modules=sorted({name.rpartition(".")[2] for name in shape.linear}),
            max_context_tokens=max_context_tokens,
            otlp_endpoint=self._otlp_endpoint,
        )
        if self._is_unwanted.is_set():
            core.shut_down(llm)
        return _Model(
            core=core, llm=llm, heartbeat=heartbeat, chat=chat, shape=shape, max_context_tokens=max_context_tokens
        )

    def _context(self, core: Any, shape: BaseShape) -> int:
        fitting: int = core.fitting_context(self._settings, shape)
        wanted = self._settings.max_context_tokens or fitting
        if wanted > shape.max_context_tokens:
            raise BadConfig(f"engine.max_context_tokens is {wanted}; {shape.model} has {shape.max_context_tokens}")
        if wanted > fitting or fitting < _LEAST_CONTEXT:
            raise BadConfig(
                f"engine.kv_cache_gib {self._settings.kv_cache_gib} holds {fitting} tokens of {shape.model}, "
                f"and {max(wanted, _LEAST_CONTEXT)} are needed: raise it, or lower engine.max_context_tokens"
            )
        if fitting < shape.max_context_tokens and self._settings.max_context_tokens is None:
            _LOG.info(LogEvent.CONTEXT_FITTED, tokens=fitting, model_tokens=shape.max_context_tokens)
        return wanted

    async def _warm_up(self) -> None:
        """Run each kind of request once: the first of a kind pays for lazy set-up."""
        turns = (ChatTurn(role="user", content="Hello."),)
        self._is_serving = True
        try:
            request = GenerateRequest(request_id="warm-up", turns=turns, sampling=Sampling(max_tokens=2))
            async for _ in self.generate(request):
                pass
            await self.score(ScoreRequest(request_id="warm-up", turns=turns, completion="Hello."))
            await self._warm_up_constraints(turns)
        finally:
            self._is_serving = False

    async def _warm_up_constraints(self, turns: tuple[ChatTurn, ...]) -> None:
        """Read the vocabulary, which takes a second where it is large. A tokenizer that cannot be read is no fault of
        the start: constrained requests are refused then, each by itself."""
        sampling = Sampling(max_tokens=2, choice=("Hello.",))
        with suppress(InvalidArgument):
            async for _ in self.generate(GenerateRequest(request_id="warm-up", turns=turns, sampling=sampling)):
                pass

    def _serving(self) -> _Model:
        if self._model is None or not self._is_serving:
            raise Unavailable("the engine is not running", reason="ENGINE_STOPPED")
        if self._model.llm.errored:
            raise self._model.core.dead()
        return self._model

    def _state(self) -> EngineState:
        if self._model is None:
            return EngineState.STOPPED if self._is_closed else EngineState.STARTING
        if self._model.llm.errored:
            return EngineState.STOPPED
        return EngineState.SERVING if self._is_serving else EngineState.STARTING

    def _adapter(self, name: str | None) -> Any:
        if name is None:
            return None
        adapter = self._adapters.loaded.get(name)
        if adapter is None:
            raise NotFound(name, kind="loaded adapter")
        return adapter

    def _room(self, model: _Model, prompt_tokens: int) -> int:
        room = model.max_context_tokens - prompt_tokens
        if room < 1:
            raise InvalidArgument(
                f"the conversation has {prompt_tokens} tokens; this model takes {model.max_context_tokens - 1}",
                field="messages", reason="PROMPT_TOO_LONG",
            )  # fmt: skip
        return room

    async def _stream(
        self, model: _Model, ids: list[int], params: Any, *, adapter: Any, request: GenerateRequest | ScoreRequest
    ) -> AsyncGenerator[Any, None]:
        request_id = f"{request.request_id}-{next(self._numbers)}"
        headers = getattr(request, "trace_headers", ()) if self._otlp_endpoint else ()
        constraint = request.sampling.constraint if isinstance(request, GenerateRequest) else ""
        outputs = model.llm.generate(
            model.core.prompt(ids, cache_salt=request.cache_salt), params, request_id,
            lora_request=adapter, priority=request.priority, trace_headers=dict(headers) or None,
        )  # fmt: skip
        self._running.add(request_id)
        self._idle.clear()
        try:
            with model.core.translated(constraint=constraint):
                async with aclosing(outputs):
                    async for output in outputs:
                        yield output
        finally:
            self._running.discard(request_id)
            if not self._running:
                self._idle.set()

    def _check(self, adapter: AdapterFiles, shape: BaseShape) -> Stamp:
        """Return the stamp of the adapter's files, which may be loaded. Raises: BadAdapter.

        Files that were loaded before and are unchanged are not read again.
        """
        stamp = stamp_of(adapter.path)
        if stamp != self._adapters.stamps.get(adapter.name):
            check_adapter(adapter.path, shape, max_rank=self._settings.max_rank)
        return stamp

    async def _add(self, model: _Model, adapter: AdapterFiles) -> Any:
        lora = model.core.lora(adapter.name, next(self._adapters.numbers), adapter.path)
        is_added = False
        try:
            outcome = await model.core.control(model.llm, model.llm.add_lora(lora))
            is_added = outcome is True
        finally:
            if not is_added and not model.llm.errored:  # a failed or cancelled add may have left half an adapter
                await model.core.control(model.llm, model.llm.remove_lora(lora.lora_int_id))
        if not is_added:
            cause = outcome if isinstance(outcome, Exception) else None
            raise BadAdapter("the engine refused the adapter", defect="refused_by_engine") from cause
        return lora


def _import_core() -> Any:
    """Import vLLM: seconds. Errors that it keeps hold the frames below this one, so no engine may be among them."""
    os.environ.update(_QUIET | {name: os.environ[name] for name in _QUIET if name in os.environ})
    from sealserve.engine import vllm_core

    return vllm_core


def _delta(completion: Any, *, completion_tokens: int, prompt_tokens: int, cached_tokens: int, top: int) -> Delta:
    finish: FinishReason | None = None
    if completion.finish_reason is not None:
        finish = _FINISH.get(completion.finish_reason)
        if finish is None:
            raise EngineFailed("the engine failed on this request; it may be tried again")
    return Delta(
        text=completion.text,
        completion_tokens=completion_tokens,
        prompt_tokens=prompt_tokens,
        cached_tokens=cached_tokens,
        finish=finish,
        index=completion.index,
        logprobs=tuple(
            _token_logprob(token, likeliest, top=top)
            for token, likeliest in zip(completion.token_ids, completion.logprobs or (), strict=False)
        ),
    )


def _token_logprob(token: int, likeliest: Any, *, top: int) -> TokenLogprob:
    """`likeliest` has the tokens at one place by id: the first `top`, and the sampled one whatever its rank."""
    ranked = sorted(likeliest.values(), key=lambda found: found.rank or 0)
    return TokenLogprob(
        token=likeliest[token].decoded_token or "",
        logprob=_finite(likeliest[token].logprob),
        top=tuple((found.decoded_token or "", _finite(found.logprob)) for found in ranked[:top]),
    )


def _finite(logprob: float) -> float:
    """JSON has no infinity; OpenAI's API writes this number for it."""
    return max(logprob, -9999.0)


def _likelihood(logprobs: list[Any], completion: list[int]) -> Likelihood:
    if len(logprobs) != len(completion):
        raise EngineFailed("the engine gave no score; it may be tried again")
    total = math.fsum(position[token].logprob for position, token in zip(logprobs, completion, strict=True))
    if not math.isfinite(total):
        raise EngineFailed("the engine's score is not a number")
    return Likelihood(log_likelihood=total, tokens=len(completion))
