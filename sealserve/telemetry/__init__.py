"""Traces, metrics and logs. `names` is the one list of every span, metric and attribute that sealserve emits.

A component takes a `Telemetry` and uses `telemetry.span(...)` and `telemetry.metrics`; `Telemetry.off()` does
nothing, cheaply.
"""

from sealserve.telemetry import names
from sealserve.telemetry.logs import configure_logs
from sealserve.telemetry.metrics import Metrics
from sealserve.telemetry.start import Telemetry, start_telemetry
from sealserve.telemetry.traces import trace_headers, traceparent

__all__ = ["Metrics", "Telemetry", "configure_logs", "names", "start_telemetry", "trace_headers", "traceparent"]
