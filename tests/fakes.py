"""Simulators behind the real interfaces.

`FakeEngine` answers at once, deterministically, and differently under each adapter; tests script what it says,
how slowly, and when it dies.
"""

import asyncio
import hashlib
import itertools
import json
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sealserve.engine.base_model import BaseShape
from sealserve.engine.chat import check_turns
from sealserve.engine.engine import AdapterFiles, Delta, GenerateRequest, Likelihood, Progress, ScoreRequest
from sealserve.engine.preflight import CONFIG_FILE, check_adapter
from sealserve.errors import BadAdapter, InvalidArgument, NotFound, Unavailable
from sealserve.grading.json_schemas import is_accepted
from sealserve.policy.enforcement import RECOVERY, PolicyEnforcer
from sealserve.records.approvals import Approval
from sealserve.records.documents import IncomingDocument, Refusal
from sealserve.records.inference import ChatTurn, EngineInfo, EngineState, FinishReason, Sampling, TokenLogprob
from sealserve.records.policy_decisions import PolicyDecision
from sealserve.records.sampling import check_sampling

MAX_CONTEXT_TOKENS = 512
BASE_DIGEST = "b" * 64
Answerer = Callable[[str | None, str], str | None]


class FakeEngine:
    """`Engine` without a model. One token is one word of the answer, and one byte of the prompt.

    `answers[(adapter, last user turn)]` is what it says, else what `answerer` returns, else words made from a hash
    of the adapter's files and the turn. `likelihoods` does the same for scores. With `base` adapters pass the real
    preflight; without, their directory must hold an adapter_config.json.
    """

    def __init__(self, *, base: BaseShape | None = None, max_rank: int = 8, answerer: Answerer | None = None) -> None:
        self.answers: dict[tuple[str | None, str], str] = {}
        self.likelihoods: dict[tuple[str | None, str, str], float] = {}
        self.max_context_tokens = MAX_CONTEXT_TOKENS
        self.max_prompt_characters = 0
        self.requests: list[GenerateRequest | ScoreRequest] = []
        self.load_calls: list[str] = []
        self.aborted: list[str] = []
        self.gate = asyncio.Event()  # clear it to hold every generation before its next word
        self.gate.set()
        self.is_dead = False
        self.is_killed = False  # from outside: its death is nobody's fault
        self.progress_steps, self.steps_per_look = 0, 0  # a supervisor that looks sees so many more steps
        self.progress_cpu_seconds, self.cpu_seconds_per_look = 0.0, 0.0
        self.slowest_step_seconds = 0.0
        self.is_deaf = False  # hangs: accepts requests and never answers
        self.deadly: set[str] = set()  # generating under one of these adapters kills the engine
        self._base = base
        self._max_rank = max_rank
        self._answerer = answerer
        self._state = EngineState.STARTING
        self._loaded: dict[str, Path] = {}
        self._places: dict[str, Path] = {}
        self._contents: dict[str | None, str] = {}
        self._closing = asyncio.Event()
        self._cached: set[tuple[str | None, str, str]] = set()
        self._numbers = itertools.count(1)

    async def start(self) -> None:
        self._state = EngineState.SERVING

    async def close(self) -> None:
        self._closing.set()
        self._state = EngineState.STOPPED

    def die(self) -> None:
        """Kill it: every running and later call raises Unavailable(ENGINE_DEAD)."""
        self.is_dead = True
        self._closing.set()

    def was_killed(self) -> bool:
        return self.is_killed

    def progress(self) -> Progress:
        self.progress_steps += self.steps_per_look
        self.progress_cpu_seconds += self.cpu_seconds_per_look
        return Progress(
            steps=self.progress_steps,
            cpu_seconds=self.progress_cpu_seconds,
            slowest_step_seconds=self.slowest_step_seconds,
        )

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta, None]:
        check_sampling(request.sampling)
        self._check(request.adapter)
        prompt_tokens = self._count(request.turns)
        self.requests.append(request)
        if request.adapter in self.deadly:
            self.die()
        limit = min(request.sampling.max_tokens, self.max_context_tokens - prompt_tokens)
        cached = self._cached_tokens(request, prompt_tokens)
        counts: dict[str, Any] = {"prompt_tokens": prompt_tokens, "cached_tokens": cached}
        texts = [self._words(_numbered(request, number)) for number in range(request.sampling.n)]
        finishes = [FinishReason.STOP if len(words) <= limit else FinishReason.LENGTH for words in texts]
        rows = [words[:limit] for words in texts]
        open_rows, done = len(rows), 0
        try:
            for place in range(max(map(len, rows))):
                for index, words in enumerate(rows):
                    if place >= len(words):
                        continue
                    if await self._is_cut_off():
                        open_rows = 0
                        for left in range(len(rows)):
                            yield Delta(
                                text="", completion_tokens=done, finish=FinishReason.ABORT, index=left, **counts
                            )
                        return
                    done += 1
                    is_last = place == len(words) - 1
                    open_rows -= is_last
                    yield Delta(
                        text=words[place],
                        completion_tokens=done,
                        finish=finishes[index] if is_last else None,
                        index=index,
                        logprobs=_logprobs(request.sampling, words[place]),
                        **counts,
                    )
        finally:
            if open_rows:
                self.aborted.append(request.request_id)

    async def score(self, request: ScoreRequest) -> Likelihood:
        self._check(request.adapter)
        self._count(request.turns)
        self.requests.append(request)
        await self._is_cut_off()
        key = (request.adapter, request.turns[-1].content, request.completion)
        tokens = len(request.completion.split()) + 1
        default = -tokens * (1 + _hash(*map(str, key)) % 1000 / 1000)
        return Likelihood(log_likelihood=self.likelihoods.get(key, default), tokens=tokens)

    async def count_tokens(self, turns: tuple[ChatTurn, ...]) -> int:
        self._check(None)
        return self._count(turns, is_bounded=False)

    async def load(self, adapter: AdapterFiles) -> None:
        self._check(None)
        self.load_calls.append(adapter.name)
        if self._places.get(adapter.name, adapter.path) != adapter.path:
            raise BadAdapter(f"the name {adapter.name!r} was used for other files", defect="name_reused")
        if adapter.name in self._loaded:
            return
        if self._base is not None:
            check_adapter(adapter.path, self._base, max_rank=self._max_rank)
        elif not (adapter.path / CONFIG_FILE).is_file():
            raise BadAdapter(f"the adapter has no {CONFIG_FILE}", defect="missing_file")
        self._loaded[adapter.name] = self._places[adapter.name] = adapter.path
        self._contents[adapter.name] = _digest(adapter.path)

    async def unload(self, name: str) -> bool:
        self._check(None)
        return self._loaded.pop(name, None) is not None

    async def info(self) -> EngineInfo:
        return EngineInfo(
            state=EngineState.STOPPED if self.is_dead else self._state,
            model="fake",
            base_digest=self._base.digest if self._base else BASE_DIGEST,
            max_context_tokens=self.max_context_tokens,
            max_rank=self._max_rank,
            slots=2,
            loaded=tuple(sorted(self._loaded)),
            rebuilds=0,
            max_prompt_characters=self.max_prompt_characters,
        )

    def _check(self, adapter: str | None) -> None:
        if self.is_dead:
            raise Unavailable("the engine has stopped", reason="ENGINE_DEAD")
        if self._state is not EngineState.SERVING:
            raise Unavailable("the engine is not running", reason="ENGINE_STOPPED")
        if adapter is not None and adapter not in self._loaded:
            raise NotFound(adapter, kind="loaded adapter")

    async def _is_cut_off(self) -> bool:
        """Wait for the gate; True when the engine was closed meanwhile. Raises: Unavailable (it died)."""
        if self.is_deaf:
            await self._closing.wait()
        if not self.gate.is_set():
            waits = [asyncio.ensure_future(event.wait()) for event in (self.gate, self._closing)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
        if self.is_dead:
            raise Unavailable("the engine has stopped", reason="ENGINE_DEAD")
        await asyncio.sleep(0)
        return self._closing.is_set()

    def _words(self, request: GenerateRequest) -> list[str]:
        question = request.turns[-1].content
        text = self.answers.get((request.adapter, question))
        if text is None and self._answerer is not None:
            text = self._answerer(request.adapter, question)
        if text is None:
            seed = request.sampling.seed if request.sampling.temperature > 0 else 0
            if seed is None:
                seed = next(self._numbers)
            contents = self._contents.get(request.adapter)
            text = " ".join(_word(contents, question, str(seed), str(i)) for i in range(8))
        text = _held_to(request.sampling, text)
        for stop in request.sampling.stop:
            text = text.split(stop)[0]
        words = text.split(" ")
        return [word + " " for word in words[:-1]] + words[-1:]

    def _count(self, turns: tuple[ChatTurn, ...], *, is_bounded: bool = True) -> int:
        check_turns(turns)
        tokens = sum(len(turn.content.encode()) + 4 for turn in turns)
        if is_bounded and tokens >= self.max_context_tokens:
            raise InvalidArgument(
                f"the conversation has {tokens} tokens; this model takes {self.max_context_tokens - 1}",
                field="messages",
                reason="PROMPT_TOO_LONG",
            )
        return tokens

    def _cached_tokens(self, request: GenerateRequest, prompt_tokens: int) -> int:
        key = (request.adapter, request.cache_salt, request.turns[-1].content)
        is_cached = key in self._cached
        self._cached.add(key)
        return prompt_tokens // 128 * 128 if is_cached else 0


def _numbered(request: GenerateRequest, number: int) -> GenerateRequest:
    """Return what gives another answer, where a seed would give the same one."""
    seed = request.sampling.seed
    return request if seed is None else replace(request, sampling=replace(request.sampling, seed=seed + number))


def _logprobs(sampling: Sampling, word: str) -> tuple[TokenLogprob, ...]:
    if sampling.logprobs is None:
        return ()
    likeliest = [(word, -0.5), *((f"other{i}", -1.0 - i) for i in range(20))]
    return (TokenLogprob(token=word, logprob=-0.5, top=tuple(likeliest[: sampling.logprobs])),)


def _held_to(sampling: Sampling, text: str) -> str:
    """Return `text` if it is an allowed answer, else one that is."""
    if sampling.choice and text not in sampling.choice:
        return sampling.choice[_hash(text) % len(sampling.choice)]
    if sampling.regex and not re.fullmatch(sampling.regex, text):
        return _match(re._parser.parse(sampling.regex))  # type: ignore[attr-defined]
    if sampling.json_schema and not is_accepted(text, sampling.json_schema):
        return json.dumps(_value(json.loads(sampling.json_schema)), separators=(",", ":"))
    return text


def _match(pattern: Any) -> str:
    """Return a short text that a parsed pattern matches: the first branch, the fewest repeats."""
    return "".join(_part(str(kind), value) for kind, value in pattern)


def _part(kind: str, value: Any) -> str:
    match kind:
        case "LITERAL":
            return chr(value)
        case "ANY":
            return "x"
        case "IN":
            return _member(*value[0])
        case "MAX_REPEAT" | "MIN_REPEAT":
            return _match(value[2]) * int(value[0])
        case "SUBPATTERN":
            return _match(value[3])
        case "BRANCH":
            return _match(value[1][0])
        case "AT":
            return ""
    raise NotImplementedError(f"the fake cannot write {kind}")


def _member(kind: Any, value: Any) -> str:
    match str(kind):
        case "RANGE":
            return chr(value[0])
        case "LITERAL":
            return chr(value)
    return {"CATEGORY_DIGIT": "0", "CATEGORY_WORD": "w", "CATEGORY_SPACE": " "}.get(str(value), "~")


def _value(schema: dict[str, Any]) -> Any:
    """Return a small value for the keywords that schemas of self-edits use."""
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    match schema.get("type"):
        case "object":
            return {name: _value(part) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [_value(schema.get("items", {}))] * schema.get("minItems", 0)
        case "string":
            return "w" * schema.get("minLength", 1)
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return True
    return None


def _digest(path: Path) -> str:
    files = sorted(file for file in path.iterdir() if file.is_file())
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _word(*seed: str | None) -> str:
    return f"w{_hash(*seed) % 10_000}"


def _hash(*parts: str | None) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:8])


class PermissiveEnforcer(PolicyEnforcer):
    """`PolicyEnforcer` that allows everything, records nothing and countersigns nothing."""

    def __init__(self) -> None:
        """It needs neither registry nor rules."""

    def refuse_document(self, tenant: str, incoming: IncomingDocument, *, actor: str) -> Refusal | None:
        return None

    def require_promote(self, tenant: str, version: int, *, actor: str) -> None:
        return

    def require_rollback(self, tenant: str, to_version: int | None, *, actor: str, reason: str) -> None:
        return

    def require_release(self, tenant: str, document: str, *, actor: str) -> None:
        return

    def approve(self, held: Approval, *, actor: str) -> tuple[bool, tuple[PolicyDecision, ...]]:
        return True, ()

    def countersign_released(self, tenant: str, *, actor: str = RECOVERY) -> None:
        return
