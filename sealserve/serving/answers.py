"""Answers one tenant's conversation: admits it, pins it to one version, streams the answer and counts it.

The network layers, gRPC and HTTP, call it.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from opentelemetry.trace import Span

from sealserve.engine.engine import Delta, Engine, GenerateRequest
from sealserve.errors import NotFound, SealserveError, Unavailable
from sealserve.records.inference import ChatTurn, FinishReason, Sampling
from sealserve.records.versions import BASE_VERSION
from sealserve.serving.adapter_table import AdapterTable, Route
from sealserve.serving.admission import Admission, until
from sealserve.serving.residency import Residency
from sealserve.serving.salt import TenantSalts
from sealserve.telemetry import Metrics, Telemetry, trace_headers
from sealserve.telemetry.names import OPERATION_CHAT, Attribute, request_span


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One call that came to its end under `route`. Held in memory for comparison, never recorded.

    `error` is the reason of the failure, empty when it ended well. Seconds count from the moment the call was let
    in; they are 0 where there was no token, or only one.
    """

    route: Route
    turns: tuple[ChatTurn, ...]
    sampling: Sampling
    request_id: str
    asker: str  # stands for the sticky key, see `TenantSalts.asker`
    text: str
    finish: FinishReason | None
    error: str
    first_token_seconds: float
    per_token_seconds: float


class Listener(Protocol):
    """Is notified of calls. Does not block or raise."""

    def answered(self, answered: Answered) -> None:
        """A call has ended: whole, cut off or failed."""


class _Nobody:
    """Listens to nothing."""

    def answered(self, answered: Answered) -> None:
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerParts:
    """What a conversation passes through. `find_tenant` blocks, and raises NotFound for a name that is no tenant."""

    engine: Engine
    table: AdapterTable
    admission: Admission
    residency: Residency
    salts: TenantSalts
    find_tenant: Callable[[str], object]


class Answers:
    """Answers conversations."""

    def __init__(
        self,
        parts: AnswerParts,
        *,
        default_deadline_seconds: float,
        telemetry: Telemetry | None = None,
        note: Callable[[str, Route, str], None] | None = None,
        listener: Listener | None = None,
        choose: Callable[[str, int], Awaitable[Route]] | None = None,
    ) -> None:
        """`note` hears, with the first token, which request is answered by which route to whom (`AnswerLog.note`).

        `choose` gives the route of a version that a request names (`VersionChoice.route`).
        """
        self._engine = parts.engine
        self._table = parts.table
        self._admission = parts.admission
        self._residency = parts.residency
        self._salts = parts.salts
        self._find_tenant = parts.find_tenant
        self._default_deadline = default_deadline_seconds
        self._telemetry = telemetry or Telemetry.off()
        self._note = note or _note_nothing
        self._listener = listener or _Nobody()
        self._choose = choose or _choose_nothing
        self._known: set[str] = set()  # tenants are never deleted

    async def stream(
        self,
        tenant: str,
        turns: tuple[ChatTurn, ...],
        sampling: Sampling,
        *,
        version: int | None = None,
        request_id: str = "",
        sticky_key: str = "",
        deadline_seconds: float | None = None,
    ) -> AsyncGenerator[Route | Delta, None]:
        """Yield the route that answers, then the deltas. Closing it frees the sequence.

        The route comes with the first token: what is wrong with the request is raised before it. A request whose
        version was revoked before then begins again. While two versions share the tenant's traffic, `sticky_key`, else
        the request id, says which one answers, unless `version` does.
        Raises: NotFound (tenant, version), InvalidArgument, FailedPrecondition (a version that may not answer),
        QuotaExceeded, DeadlineExceeded, EngineFailed, Unavailable.
        """
        await self.require(tenant)
        request_id = request_id or secrets.token_hex(8)
        model = (await self._engine.info()).model
        call = _Call(model, seconds=self._default_deadline if deadline_seconds is None else deadline_seconds)
        asked = _Asked(
            tenant=tenant,
            turns=turns,
            sampling=sampling,
            version=version,
            request_id=request_id,
            sticky_key=sticky_key,
        )
        attributes = {Attribute.OPERATION: OPERATION_CHAT, Attribute.TENANT: tenant}
        with (
            self._telemetry.span(request_span(OPERATION_CHAT, model), attributes) as span,
            call.recorded(self._telemetry.metrics),
        ):
            while True:
                async with aclosing(self._attempt(asked, call, span)) as events:
                    try:
                        async for event in events:
                            yield event
                        return
                    except _Revoked:
                        continue

    async def _attempt(self, asked: "_Asked", call: "_Call", span: Span) -> AsyncGenerator[Route | Delta, None]:
        """Yield as `stream`. Raises: as `stream`; _Revoked (before the first event)."""
        tenant, version = asked.tenant, asked.version
        async with (
            self._resident(tenant, version, deadline=call.deadline) as waited_seconds,
            self._admission.entered(tenant, places=asked.sampling.n, deadline=call.deadline),
            self._pinned(tenant, version, key=asked.sticky_key or asked.request_id) as route,
        ):
            call.waited_seconds += waited_seconds
            span.set_attribute(Attribute.ADAPTER_WAIT_SECONDS.value, call.waited_seconds)
            span.set_attribute(Attribute.VERSION.value, route.version)
            self._telemetry.link(span, route.origin)
            request = self._request(route, asked)
            asker = self._salts.asker(tenant, asked.sticky_key)
            listener = self._listener if version is None else _Nobody()  # a chosen version is no fair sample
            with call.told(listener, route, request, asker=asker):
                async with aclosing(self._engine.generate(request)) as deltas:  # type: ignore[type-var]
                    while (delta := await _next(deltas, deadline=call.deadline)) is not None:
                        if not call.has_begun:
                            self._require_unrevoked(route)
                        if call.count(delta):
                            self._note(request.request_id, route, asker)
                            yield route
                        yield delta

    def _require_unrevoked(self, route: Route) -> None:
        """Return if the route may still answer: it was pinned before the request waited for a slot and the engine."""
        if route.engine_name is not None and self._table.is_revoked(route.engine_name):
            raise _Revoked

    async def require(self, tenant: str) -> None:
        """Return if there is such a tenant; the registry is asked once for each. Raises: NotFound, StorageFailed."""
        if tenant not in self._known:
            await asyncio.to_thread(self._find_tenant, tenant)
            self._known.add(tenant)

    @asynccontextmanager
    async def _resident(self, tenant: str, version: int | None, *, deadline: float) -> AsyncIterator[float]:
        """Keep the tenant's version loaded meanwhile, unless the base model was asked for; give the seconds waited."""
        if version == BASE_VERSION:
            yield 0.0
        else:
            async with self._residency.held(tenant, deadline=deadline) as waited_seconds:
                yield waited_seconds

    @asynccontextmanager
    async def _pinned(self, tenant: str, version: int | None, *, key: str) -> AsyncIterator[Route]:
        """Give the route for one request and count it as in use meanwhile."""
        if version is None:
            with self._table.pin(tenant, key=key) as route:
                yield route
        else:
            with self._table.held(await self._choose(tenant, version)) as route:
                yield route

    def _request(self, route: Route, asked: "_Asked") -> GenerateRequest:
        return GenerateRequest(
            request_id=asked.request_id,
            turns=asked.turns,
            adapter=route.engine_name,
            sampling=asked.sampling,
            cache_salt=self._salts.salt(route.tenant),
            trace_headers=trace_headers(),
        )


async def _choose_nothing(tenant: str, version: int) -> Route:
    raise Unavailable("versions cannot be chosen here", reason="VERSION_NOT_LOADED")


def _note_nothing(request_id: str, route: Route, asker: str) -> None:
    return None


async def _next(deltas: AsyncIterator[Delta], *, deadline: float) -> Delta | None:
    try:
        async with until(deadline):
            return await anext(deltas, None)
    except NotFound as error:  # routed, but not in the engine: it was rebuilt and has yet to load it again
        raise Unavailable("the version that should answer is being loaded", reason="ADAPTER_LOADING") from error


class _Revoked(Exception):
    """The version that a request was pinned to may not answer any more, and has not begun to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What `Answers.stream` was asked."""

    tenant: str
    turns: tuple[ChatTurn, ...]
    sampling: Sampling
    version: int | None
    request_id: str
    sticky_key: str


class _Call:
    """One call's clock and counts. `deadline` is a moment of the event loop's clock."""

    def __init__(self, model: str, *, seconds: float) -> None:
        self._time = asyncio.get_running_loop().time
        self._model = model
        self._started = self._time()
        self._last: Delta | None = None
        self._first_token_seconds: float | None = None
        self._texts: list[str] = []  # of the first answer, if there are several
        self._finish: FinishReason | None = None
        self.waited_seconds = 0.0  # for the tenant's adapter to be loaded
        self.deadline = self._started + seconds

    @property
    def has_begun(self) -> bool:
        """Whether a token has come."""
        return self._last is not None

    def count(self, delta: Delta) -> bool:
        """Take note of `delta`; True if it is the first."""
        is_first = not self.has_begun
        if is_first:
            self._first_token_seconds = self._time() - self._started
        self._last = delta
        if delta.index == 0:
            self._texts.append(delta.text)
            self._finish = delta.finish
        return is_first

    @contextmanager
    def told(self, listener: Listener, route: Route, request: GenerateRequest, *, asker: str) -> Iterator[None]:
        """Run the body, which asks the engine, and tell `listener` how it ended."""
        began, error = self._time(), ""
        try:
            yield
        except _Revoked:
            listener = _Nobody()
            raise
        except SealserveError as failure:
            error = failure.reason
            raise
        finally:
            waited = began - self._started
            first = self._first_token_seconds - waited if self._first_token_seconds is not None else 0.0
            later = self._last.completion_tokens - 1 if self._last else 0
            listener.answered(
                Answered(
                    route=route,
                    turns=request.turns,
                    sampling=request.sampling,
                    request_id=request.request_id,
                    asker=asker,
                    text="".join(self._texts),
                    finish=self._finish,
                    error=error,
                    first_token_seconds=first,
                    per_token_seconds=(self._time() - began - first) / later if later > 0 else 0.0,
                )
            )

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
                model=self._model,
                input_tokens=self._last.prompt_tokens if self._last else 0,
                output_tokens=self._last.completion_tokens if self._last else 0,
                first_token_seconds=self._first_token_seconds,
                error=error,
            )
            if self.waited_seconds > 0:
                metrics.adapter_waited(self.waited_seconds, first_token_seconds=self._first_token_seconds)
