"""Structured logs on stderr: one JSON object a line (or coloured lines for a terminal), with trace and span ids.

Text of documents, prompts and answers is data and is never logged: its usual keys are blanked at any depth. Lines of
other libraries come out in the same form.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED = "[redacted]"

REDACTED_KEYS = frozenset({
    "answer", "answers", "article", "body", "completion", "content", "contents", "document_text", "messages",
    "prompt", "prompts", "question", "questions", "quiz", "raw", "self_edit_text", "text", "texts", "title", "turns",
})  # fmt: skip
"""Keys whose values hold what somebody wrote. Log an id, a digest or a size instead."""

_GRPC_LOGGER, _GRPC_NOISE = "grpc._cython.cygrpc", "ExecuteBatchError raised in core"
"""What gRPC logs as an error, with a stack trace, whenever a caller hangs up."""

_QUIET_LIBRARIES = ("alembic", "apscheduler", "httpx", "watchfiles")


def configure_logs(*, log_format: str = "json", log_level: str = "info") -> None:
    """Send structlog and the standard library's logging to stderr in `log_format` ("json" or "console").

    Process-wide, as logging is; calling it again replaces the earlier set-up.
    """
    level = getattr(logging, log_level.upper())
    shared = _shared_processors()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_render(log_format)))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for library in _QUIET_LIBRARIES:
        logging.getLogger(library).setLevel(max(level, logging.WARNING))
    logging.getLogger(_GRPC_LOGGER).addFilter(_is_no_noise)


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Blank the values of REDACTED_KEYS at any depth; the event's own name stays."""
    return {key: _clean(key, value) for key, value in event.items()}


def add_trace_ids(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add trace_id and span_id of the current span, in hex, when there is one."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format(context.trace_id, "032x")
        event["span_id"] = format(context.span_id, "016x")
    return event


def _is_no_noise(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_GRPC_NOISE)


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        add_trace_ids,
        redact,
    ]


def _render(log_format: str) -> list[Processor]:
    drop = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if log_format == "console":
        return [drop, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    return [drop, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _clean(key: object, value: Any) -> Any:
    if key in REDACTED_KEYS:
        return REDACTED
    if isinstance(value, MutableMapping | Mapping):
        return {inner: _clean(inner, item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean("", item) for item in value]
    return value
