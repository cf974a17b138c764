"""Settings of logs, traces and metrics."""

from pydantic import Field

from sealserve.settings.section import Section


class TelemetrySettings(Section):
    """[telemetry]: traces, metrics, logs."""

    otlp_endpoint: str = Field(
        "", description="address of an OTLP gRPC receiver, for example http://localhost:4317; empty: no export"
    )
    log_format: str = Field(
        "json", pattern="^(json|console)$", description="json: one object per line; console: for people"
    )
    log_level: str = Field(
        "info",
        pattern="^(debug|info|warning|error)$",
        description="least severe level that is logged: debug, info, warning or error",
    )
    metric_interval_seconds: float = Field(10, gt=0, description="time between two exports of metrics")
