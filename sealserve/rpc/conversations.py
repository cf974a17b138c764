"""A tenant's conversation, checked and answered event by event: what gRPC and HTTP have in common."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass

from sealserve.engine.chat import require_fitting
from sealserve.engine.engine import Delta, Engine
from sealserve.errors import EngineFailed, InvalidArgument, Unavailable
from sealserve.records.inference import ChatTurn, FinishReason, Sampling, TokenLogprob
from sealserve.records.reports import Answer, AnswerEvent, Answering, Choice, Ended, Piece, Usage
from sealserve.rpc.budget import CURRENT_SHARE
from sealserve.rpc.call_context import CURRENT_CALL
from sealserve.rpc.delta_merging import merged
from sealserve.serving.answers import Answers

RETRY_SECONDS = 0.25
MERGE_SECONDS = 0.02
"""At most this long, a token waits for the next to travel with. Nobody reads faster."""

MAX_KEY_CHARACTERS = 256
_LAST_ROLES = ("user", "prompt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a caller asks. `version` None: the one whose turn it is."""

    tenant: str
    turns: tuple[ChatTurn, ...]
    sampling: Sampling
    version: int | None = None
    min_activation: int = 0
    sticky_key: str = ""


class Choices:
    """The answers to one conversation, gathered from pieces of their texts."""

    def __init__(self) -> None:
        self._texts: dict[int, list[str]] = {}
        self._logprobs: dict[int, list[TokenLogprob]] = {}
        self._finishes: dict[int, FinishReason] = {}

    def add(self, part: Delta | Piece) -> None:
        """Take note of some more text."""
        self._texts.setdefault(part.index, []).append(part.text)
        self._logprobs.setdefault(part.index, []).extend(part.logprobs)
        if part.finish is not None:
            self._finishes[part.index] = part.finish

    def whole(self, *, finish: FinishReason | None) -> tuple[Choice, ...]:
        """Return the answers in order, at least one; `finish` is that of those whose end was not told."""
        return tuple(
            Choice(
                index=index,
                text="".join(self._texts.get(index, ())),
                finish=self._finishes.get(index, finish) or FinishReason.ABORT,
                logprobs=tuple(self._logprobs.get(index, ())),
            )
            for index in sorted(self._texts or {0: [""]})
        )


class Conversations:
    """Checks questions, hands them to `answers`, and tells the answer as it comes."""

    def __init__(self, answers: Answers, engine: Engine) -> None:
        self._answers = answers
        self._engine = engine

    async def answer(self, question: Question) -> Answer:
        """Return the whole answer. Raises: as `events`."""
        choices, answering = Choices(), None
        async with aclosing(self.events(question)) as events:
            async for event in events:
                if isinstance(event, Piece):
                    choices.add(event)
                elif isinstance(event, Answering):
                    answering = event
                elif answering is not None:
                    found = choices.whole(finish=event.finish)
                    return Answer(
                        text=found[0].text,
                        finish=found[0].finish,
                        usage=event.usage,
                        answering=answering,
                        choices=found,
                    )
        raise EngineFailed("the engine ended without an answer")

    async def events(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        """Yield one Answering, Pieces, one Ended. Pieces are merged while the reader is slow; the first never waits.

        Raises: InvalidArgument, NotFound, FailedPrecondition (a version that may not answer), QuotaExceeded,
        Unavailable, DeadlineExceeded, EngineFailed.
        """
        _check(question)
        info, call = await self._engine.info(), CURRENT_CALL.get()
        require_fitting(question.turns, max_characters=info.max_prompt_characters)
        stream = self._answers.stream(
            question.tenant,
            question.turns,
            question.sampling,
            version=question.version,
            request_id=call.request_id,
            sticky_key=question.sticky_key,
            deadline_seconds=call.deadline_seconds,
        )
        async with aclosing(merged(stream, seconds=MERGE_SECONDS)) as parts:
            route = await anext(parts, None)
            if route is None:
                raise EngineFailed("the engine ended without an answer")
            if route.activation < question.min_activation:
                text = (
                    f"this replica answers with activation {route.activation}, not yet with {question.min_activation}"
                )
                raise Unavailable(text, reason="NOT_YET_ACTIVE", retry_seconds=RETRY_SECONDS)
            share, taken, end = CURRENT_SHARE.get(), 0, _End(question.sampling.n)
            async for delta in parts:
                used = delta.prompt_tokens + delta.completion_tokens
                share.take_tokens(max(0, used - taken))
                if not taken:
                    yield Answering(
                        request_id=call.request_id,
                        tenant=question.tenant,
                        version=route.version,
                        activation=route.activation,
                        base_digest=info.base_digest,
                        prompt_tokens=delta.prompt_tokens,
                    )
                taken = max(taken, used)
                for event in end.told(delta):
                    yield event
            if not end.is_told:
                raise EngineFailed("the engine ended before its answer did")


def _check(question: Question) -> None:
    if question.turns[-1].role not in _LAST_ROLES:
        raise InvalidArgument("the last turn must be the user's", field="messages")
    if len(question.sticky_key) > MAX_KEY_CHARACTERS:
        raise InvalidArgument(f"a key has at most {MAX_KEY_CHARACTERS} characters", field="sticky_key")


class _End:
    """Says when all `n` answers have ended."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._finishes: dict[int, FinishReason] = {}
        self._tokens = 0

    @property
    def is_told(self) -> bool:
        """Whether all have ended."""
        return len(self._finishes) == self._n

    def told(self, delta: Delta) -> Iterator[AnswerEvent]:
        """Yield what a reader is told of `delta`."""
        self._tokens = max(self._tokens, delta.completion_tokens)
        finish = delta.finish if self._n > 1 else None
        if delta.text or delta.logprobs or finish is not None:
            yield Piece(
                text=delta.text,
                completion_tokens=self._tokens,
                index=delta.index,
                logprobs=delta.logprobs,
                finish=finish,
            )
        if delta.finish is not None:
            self._finishes[delta.index] = delta.finish
            if self.is_told:
                usage = Usage(
                    prompt_tokens=delta.prompt_tokens,
                    completion_tokens=self._tokens,
                    cached_tokens=delta.cached_tokens,
                )
                yield Ended(finish=self._finishes.get(0, delta.finish), usage=usage)
