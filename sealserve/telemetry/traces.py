"""Span context in and out: W3C `traceparent` strings, and the exact way a failed span is marked.

A version's lineage keeps the traceparent of the cycle that made it, and a request's span links to it. Knows
nothing of exporters.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sealserve.errors import SealserveError
from sealserve.telemetry.names import Attribute

Value = str | bool | int | float | tuple[str, ...]
Attributes = Mapping[Attribute, Value]

_PROPAGATOR = TraceContextTextMapPropagator()


def traceparent() -> str:
    """Return the current span's W3C traceparent (version 00), or "" outside any span."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent", "")


def trace_headers() -> tuple[tuple[str, str], ...]:
    """Return the current span's context as header pairs, for gRPC metadata or the engine; () outside any span."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return tuple(sorted(carrier.items()))


def remote_context(parent: str) -> Context | None:
    """Return a context whose current span is `parent`; None for text that is no traceparent."""
    context = _PROPAGATOR.extract({"traceparent": parent}, context=Context())
    return context if trace.get_current_span(context).get_span_context().is_valid else None


def span_context(text: str) -> SpanContext | None:
    """Return the span context that the traceparent `text` names; None if it names none."""
    context = remote_context(text)
    return trace.get_current_span(context).get_span_context() if context else None


@contextmanager
def open_span(
    tracer: Tracer, name: str, attributes: Attributes, *, links: Iterable[str], parent: str | None
) -> Iterator[Span]:
    """Run the body in a span. An exception marks it with `error.type`, without its message, and rises.

    `links` and `parent` are traceparents; those that cannot be read are left out. A parent given but unreadable
    starts a new trace; without one the current span is the parent.
    """
    contexts = [context for context in map(span_context, links) if context]
    with tracer.start_as_current_span(
        name,
        context=(remote_context(parent) or Context()) if parent is not None else None,
        attributes={key.value: value for key, value in attributes.items()},
        links=[Link(context) for context in contexts],
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            mark_failed(span, error)
            raise


def mark_failed(span: Span, error: BaseException) -> None:
    """Give the span status ERROR and `error.type`: a reason word or a class name, never text from a document."""
    span.set_attribute(Attribute.ERROR_TYPE.value, error_type(error))
    span.set_status(Status(StatusCode.ERROR))


def error_type(error: BaseException) -> str:
    """Return the stable word for `error`: our reason, or the class's qualified name."""
    return error.reason if isinstance(error, SealserveError) else type(error).__qualname__
