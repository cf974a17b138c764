"""One tenant's conversation, answered: admitted, pinned to one version, streamed, counted.

What the network layer calls. Knows nothing of gRPC, of how versions come to be, or of other tenants.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager

from sealserve.engine.engine import ChatTurn, Delta, Engine, GenerateRequest, Sampling
from sealserve.errors import NotFound, SealserveError, Unavailable
from sealserve.serving.adapter_table import AdapterTable, Route
from sealserve.serving.admission import Admission, until
from sealserve.serving.salt import TenantSalts
from sealserve.telemetry import Metrics, Telemetry, trace_headers
from sealserve.telemetry.names import OPERATION_CHAT, Attribute, request_span


class Answers:
    """Answers conversations. `find_tenant` blocks, and raises NotFound for a name that is no tenant."""

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
        note: Callable[[str, Route], None] | None = None,
    ) -> None:
        """`note` hears, with the first token, which request is answered by which route (`AnswerLog.note`)."""
        self._engine = engine
        self._table = table
        self._admission = admission
        self._salts = salts
        self._find_tenant = find_tenant
        self._default_deadline = default_deadline_seconds
        self._telemetry = telemetry or Telemetry.off()
        self._note = note or _note_nothing
        self._known: set[str] = set()  # tenants are never deleted

    async def stream(
        self,
        tenant: str,
        turns: tuple[ChatTurn, ...],
        sampling: Sampling,
        *,
        request_id: str = "",
        deadline_seconds: float | None = None,
    ) -> AsyncGenerator[Route | Delta, None]:
        """Yield the route that answers, then the deltas. Closing it frees the sequence.

        The route comes with the first token: what is wrong with the request is raised before it.
        Raises: NotFound (tenant), InvalidArgument, QuotaExceeded, DeadlineExceeded, EngineFailed, Unavailable.
        """
        await self._require(tenant)
        model = (await self._engine.info()).model
        call = _Call(model, seconds=self._default_deadline if deadline_seconds is None else deadline_seconds)
        attributes = {Attribute.OPERATION: OPERATION_CHAT, Attribute.TENANT: tenant}
        with (
            self._telemetry.span(request_span(OPERATION_CHAT, model), attributes) as span,
            call.recorded(self._telemetry.metrics),
        ):
            async with self._admission.entered(tenant, deadline=call.deadline):
                with self._table.pin(tenant) as route:
                    span.set_attribute(Attribute.VERSION.value, route.version)
                    self._telemetry.link(span, route.origin)
                    request = self._request(route, turns, sampling=sampling, request_id=request_id)
                    async with aclosing(self._engine.generate(request)) as deltas:  # type: ignore[type-var]
                        while (delta := await _next(deltas, deadline=call.deadline)) is not None:
                            if call.count(delta):
                                self._note(request.request_id, route)
                                yield route
                            yield delta

    def _request(
        self, route: Route, turns: tuple[ChatTurn, ...], *, sampling: Sampling, request_id: str
    ) -> GenerateRequest:
        return GenerateRequest(
            request_id=request_id or secrets.token_hex(8),
            turns=turns,
            adapter=route.engine_name,
            sampling=sampling,
            cache_salt=self._salts.salt(route.tenant),
            trace_headers=trace_headers(),
        )

    async def _require(self, tenant: str) -> None:
        if tenant not in self._known:
            await asyncio.to_thread(self._find_tenant, tenant)
            self._known.add(tenant)


def _note_nothing(request_id: str, route: Route) -> None:
    return None


async def _next(deltas: AsyncIterator[Delta], *, deadline: float) -> Delta | None:
    try:
        async with until(deadline):
            return await anext(deltas, None)
    except NotFound as error:  # routed, but not in the engine: it was rebuilt and has yet to load it again
        raise Unavailable("the version that should answer is being loaded", reason="ADAPTER_LOADING") from error


class _Call:
    """One call's clock and counts. `deadline` is a moment of the event loop's clock."""

    def __init__(self, model: str, *, seconds: float) -> None:
        self._time = asyncio.get_running_loop().time
        self._model = model
        self._started = self._time()
        self._last: Delta | None = None
        self._first_token_seconds: float | None = None
        self.deadline = self._started + seconds

    def count(self, delta: Delta) -> bool:
        """Take note of `delta`; True if it is the first."""
        is_first = self._last is None
        if is_first:
            self._first_token_seconds = self._time() - self._started
        self._last = delta
        return is_first

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
