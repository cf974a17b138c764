"""Settings of logs, traces and metrics."""

from urllib.parse import urlsplit

from pydantic import Field, field_validator

from sealserve.settings.section import Section


class TelemetrySettings(Section):
    """[telemetry]: traces, metrics, logs."""

    otlp_endpoint: str = Field(
        "",
        description="address of an OTLP gRPC receiver: http://host:port in plain text, for example "
        "http://localhost:4317, or https://host:port with TLS; empty: no export",
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
    labelled_tenants: int = Field(
        200,
        ge=0,
        description="tenants that metrics tell apart: the first that each process meets; further ones count together "
        "as _OTHER",
    )

    @field_validator("otlp_endpoint")
    @classmethod
    def _names_its_transport(cls, endpoint: str) -> str:
        url = urlsplit(endpoint)
        if not endpoint or (url.scheme in ("http", "https") and url.hostname and url.path in ("", "/")):
            return endpoint
        host = (url.netloc if url.scheme in ("http", "https", "grpc", "grpcs") else endpoint).partition("/")[0]
        raise ValueError(
            f"{endpoint!r} does not say how to connect: write http://{host or 'localhost:4317'} for plain text or "
            f"https://{host or 'localhost:4317'} for TLS, without a path (4317 is the usual port of OTLP over gRPC)"
        )
