"""Settings of logs, traces and metrics."""

from pydantic import Field

from sealserve.settings.section import Section


class TelemetrySettings(Section):
    """[telemetry]: traces, metrics, logs."""

    otlp_endpoint: str = Field("", description="OTLP gRPC receiver, for example http://localhost:4317; empty: off")
    log_format: str = Field("json", pattern="^(json|console)$", description="json or console")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug … error")
    metric_interval_seconds: float = Field(10, gt=0, description="time between metric exports")
