"""One tenant's question, answered: admitted, pinned to one version, streamed, counted.

What the network layer calls. Knows nothing of gRPC, of how versions come to be, or of other tenants.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field

from sealserve.engine.engine import ChatTurn, Delta, Engine, EngineInfo, GenerateRequest, Sampling
from sealserve.errors import NotFound, SealserveError, Unavailable
from sealserve.serving.adapter_table import AdapterTable, Route
from sealserve.serving.admission import Admission, until
from sealserve.serving.salt import TenantSalts
from sealserve.telemetry import Metrics, Telemetry, trace_headers
from sealserve.telemetry.names import OPERATION_CHAT, Attribute, request_span
from sealserve.views import Answer, AnswerEvent, Answering, Ended, Piece, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a tenant asks. `min_activation` refuses until this replica answers with at least that activation."""

    tenant: str
    turns: tuple[ChatTurn, ...]
    sampling: Sampling = field(default_factory=Sampling)
    request_id: str = ""
    min_activation: int = 0
    deadline_seconds: float | None = None


class Answers:
    """Answers questions. `find_tenant` blocks, and raises NotFound for a name that is no tenant."""

    def __init__(
        self,
        engine: Engine,
        table: AdapterTable,
        *,
        admission: Admission,
        salts: TenantSalts,
        find_tenant: Callable[[str], object],
        default_deadline_seconds: float,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._engine = engine
        self._table = table
        self._admission = admission
        self._salts = salts
        self._find_tenant = find_tenant
        self._default_deadline = default_deadline_seconds
        self._telemetry = telemetry or Telemetry.off()
        self._known: set[str] = set()  # tenants are never deleted

    async def stream(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        """Give who answers, then the text as it comes, then the end. Closing it frees the sequence.

        Raises: NotFound (tenant), InvalidArgument, QuotaExceeded, DeadlineExceeded, EngineFailed, Unavailable.
        """
        await self._require(question.tenant)
        info = await self._engine.info()
        call = _Call(question, info, default_deadline_seconds=self._default_deadline)
        attributes = {Attribute.OPERATION: OPERATION_CHAT, Attribute.TENANT: question.tenant}
        with (
            self._telemetry.span(request_span(OPERATION_CHAT, info.model), attributes) as span,
            call.recorded(self._telemetry.metrics),
        ):
            async with aclosing(self._deltas(question, call)) as deltas:
                async for route, delta in deltas:
                    if not call.has_begun:
                        span.set_attribute(Attribute.VERSION.value, route.version)
                        self._telemetry.link(span, route.origin)
                    for event in call.events(route, delta):
                        yield event

    async def answer(self, question: Question) -> Answer:
        """Return the whole answer. Raises: as `stream`."""
        text: list[str] = []
        answering: Answering | None = None
        async with aclosing(self.stream(question)) as events:
            async for event in events:
                match event:
                    case Answering():
                        answering = event
                    case Piece():
                        text.append(event.text)
                    case Ended() if answering is not None:
                        return Answer(text="".join(text), finish=event.finish, usage=event.usage, answering=answering)
        raise Unavailable("the answer was cut off")

    async def count_tokens(self, tenant: str, turns: tuple[ChatTurn, ...]) -> int:
        """Return how many prompt tokens `turns` make. Raises: NotFound (tenant), InvalidArgument, Unavailable."""
        await self._require(tenant)
        return await self._engine.count_tokens(turns)

    async def _deltas(self, question: Question, call: "_Call") -> AsyncGenerator[tuple[Route, Delta], None]:
        async with self._admission.entered(question.tenant, deadline=call.deadline):
            with self._table.pin(question.tenant) as route:
                if route.activation < question.min_activation:
                    raise Unavailable("this replica does not answer with that activation yet", reason="NOT_YET_ACTIVE")
                stream = self._engine.generate(self._request(question, route, call))
                async with aclosing(stream):  # type: ignore[type-var]  # every engine's iterator is a generator
                    while (delta := await _next(stream, deadline=call.deadline)) is not None:
                        yield route, delta

    def _request(self, question: Question, route: Route, call: "_Call") -> GenerateRequest:
        return GenerateRequest(
            request_id=call.request_id,
            turns=question.turns,
            adapter=route.engine_name,
            sampling=question.sampling,
            cache_salt=self._salts.salt(question.tenant),
            trace_headers=trace_headers(),
        )

    async def _require(self, tenant: str) -> None:
        if tenant not in self._known:
            await asyncio.to_thread(self._find_tenant, tenant)
            self._known.add(tenant)


async def _next(stream: AsyncIterator[Delta], *, deadline: float) -> Delta | None:
    try:
        async with until(deadline):
            return await anext(stream, None)
    except NotFound as error:  # routed, but not in the engine: it was rebuilt and has yet to load it again
        raise Unavailable("the version that should answer is being loaded", reason="ADAPTER_LOADING") from error


class _Call:
    """One call's clock and counts."""

    def __init__(self, question: Question, info: EngineInfo, *, default_deadline_seconds: float) -> None:
        self._time = asyncio.get_running_loop().time
        self._started = self._time()
        self._info = info
        self._usage = Usage(prompt_tokens=0, completion_tokens=0, cached_tokens=0)
        self._first_token_seconds: float | None = None
        seconds = question.deadline_seconds
        self.deadline = self._started + (default_deadline_seconds if seconds is None else seconds)
        self.request_id = question.request_id or secrets.token_hex(8)
        self.has_begun = False

    def events(self, route: Route, delta: Delta) -> Iterator[AnswerEvent]:
        """Give the events that `delta` makes, the first one's announcement included."""
        self._usage = Usage(
            prompt_tokens=delta.prompt_tokens,
            completion_tokens=delta.completion_tokens,
            cached_tokens=delta.cached_tokens,
        )
        if not self.has_begun:
            self.has_begun = True
            self._first_token_seconds = self._time() - self._started
            yield Answering(
                request_id=self.request_id,
                tenant=route.tenant,
                version=route.version,
                activation=route.activation,
                base_digest=self._info.base_digest,
                prompt_tokens=delta.prompt_tokens,
            )
        if delta.text:
            yield Piece(text=delta.text, completion_tokens=delta.completion_tokens)
        if delta.finish is not None:
            yield Ended(finish=delta.finish, usage=self._usage)

    @contextmanager
    def recorded(self, metrics: Metrics) -> Iterator[None]:
        """Run the body and record how it ended."""
        error = ""
        try:
            yield
        except SealserveError as failure:
            error = failure.reason
            raise
        except (asyncio.CancelledError, GeneratorExit):
            error = "CANCELLED"
            raise
        finally:
            metrics.request_finished(
                self._time() - self._started,
                model=self._info.model,
                input_tokens=self._usage.prompt_tokens,
                output_tokens=self._usage.completion_tokens,
                first_token_seconds=self._first_token_seconds,
                error=error,
            )
