"""Starting and stopping telemetry: providers of our own, exporters when an endpoint is set.

The providers are handed on as an object, since an engine in the same process may set the process-wide ones; those are
set to ours only while nobody else has. Without an endpoint spans still have ids, so that logs and lineage can name
them.
"""

import os
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Self
from urllib.parse import urlsplit

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider, NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider, Span, TracerProvider

from sealserve.network import NO_PROXY, is_loopback
from sealserve.settings.telemetry import TelemetrySettings
from sealserve.telemetry.logs import configure_logs
from sealserve.telemetry.metrics import Metrics
from sealserve.telemetry.traces import Attributes, open_span, span_context

SCOPE = "sealserve"
VERSION = version("sealserve")
EXPORT_TIMEOUT_SECONDS = 5.0
SHUTDOWN_SECONDS = 5.0
"""A receiver that is away delays shutdown by no more than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """One process's tracer and metrics. Safe to share between threads and tasks."""

    tracer_provider: TracerProvider
    meter_provider: MeterProvider
    metrics: Metrics = field(repr=False)
    scrape: Callable[[], bytes] = field(default=bytes, repr=False)
    """Returns the metrics in Prometheus' text format; blocks. Nothing where they are not kept for scraping."""

    @classmethod
    def off(cls) -> Self:
        """Return telemetry that records nothing: for tests, tools and defaults."""
        return cls._of(NoOpTracerProvider(), NoOpMeterProvider(), labelled_tenants=0)

    @classmethod
    def _of(
        cls,
        tracer_provider: TracerProvider,
        meter_provider: MeterProvider,
        *,
        labelled_tenants: int,
        scrape: Callable[[], bytes] = bytes,
    ) -> Self:
        metrics = Metrics(meter_provider.get_meter(SCOPE, VERSION), labelled_tenants=labelled_tenants)
        return cls(tracer_provider=tracer_provider, meter_provider=meter_provider, metrics=metrics, scrape=scrape)

    def span(
        self, name: str, attributes: Attributes | None = None, *, links: Iterable[str] = (), parent: str | None = None
    ) -> AbstractContextManager[Span]:
        """Return a context manager that runs its body in a span named `name` (from `names`).

        `links` and `parent` are traceparents. An exception marks the span with `error.type`, without its message,
        and rises.
        """
        tracer = self.tracer_provider.get_tracer(SCOPE, VERSION)
        return open_span(tracer, name, attributes or {}, links=links, parent=parent)

    def link(self, span: Span, to: str) -> None:
        """Link `span` to the traceparent `to`, for example a request to its version's cycle; nothing if unreadable."""
        context = span_context(to)
        if context:
            span.add_link(context)

    def shutdown(self) -> None:
        """Export what is left and stop, within SHUTDOWN_SECONDS."""
        worker = threading.Thread(target=self._stop, name="telemetry-shutdown", daemon=True)
        worker.start()
        worker.join(SHUTDOWN_SECONDS)

    def _stop(self) -> None:
        if isinstance(self.tracer_provider, SdkTracerProvider):
            self.tracer_provider.shutdown()
        if isinstance(self.meter_provider, SdkMeterProvider):
            self.meter_provider.shutdown(timeout_millis=SHUTDOWN_SECONDS * 1000)


def start_telemetry(settings: TelemetrySettings, *, service: str, is_scraped: bool = False) -> Telemetry:
    """Configure logs and return running telemetry for `service` ("serve", "learn"). Exports to the endpoint, if any.

    With `is_scraped` metrics are kept for `Telemetry.scrape`.
    """
    configure_logs(log_format=settings.log_format, log_level=settings.log_level)
    resource = Resource.create(
        {
            "service.name": f"sealserve-{service}",
            "service.namespace": "sealserve",
            "service.version": VERSION,
            "process.pid": os.getpid(),
        }
    )
    tracer_provider = SdkTracerProvider(resource=resource, shutdown_on_exit=False)
    readers: list[MetricReader] = []
    scrape: Callable[[], bytes] = bytes
    if settings.otlp_endpoint:
        readers.append(_export(settings, tracer_provider))
    if is_scraped:
        reader, scrape = _scraped()
        readers.append(reader)
    meter_provider: MeterProvider = NoOpMeterProvider()
    if readers:
        meter_provider = SdkMeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False)
    _offer_globally(tracer_provider, meter_provider)
    return Telemetry._of(tracer_provider, meter_provider, labelled_tenants=settings.labelled_tenants, scrape=scrape)


def _scraped() -> tuple[MetricReader, Callable[[], bytes]]:
    """A registry of its own: vLLM has metrics in the process-wide one."""
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    return PrometheusMetricReader(registry=registry), lambda: generate_latest(registry)


def _export(settings: TelemetrySettings, tracer_provider: SdkTracerProvider) -> MetricReader:
    """Attach OTLP exporters. Imported here: without an endpoint nobody pays for them."""
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    url = urlsplit(settings.otlp_endpoint)
    way: dict[str, Any] = {
        "endpoint": settings.otlp_endpoint,
        "insecure": url.scheme == "http",
        "timeout": EXPORT_TIMEOUT_SECONDS,
        "channel_options": (NO_PROXY,) if is_loopback(f"{url.hostname}:0") else None,
    }
    spans = OTLPSpanExporter(**way)
    tracer_provider.add_span_processor(BatchSpanProcessor(spans, schedule_delay_millis=1000))
    return PeriodicExportingMetricReader(
        OTLPMetricExporter(**way),
        export_interval_millis=settings.metric_interval_seconds * 1000,
        export_timeout_millis=EXPORT_TIMEOUT_SECONDS * 1000,
    )


def _offer_globally(tracer_provider: TracerProvider, meter_provider: MeterProvider) -> None:
    if isinstance(trace.get_tracer_provider(), ProxyTracerProvider):
        trace.set_tracer_provider(tracer_provider)
        metrics.set_meter_provider(meter_provider)
