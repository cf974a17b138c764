"""The section [http]: where `serve` speaks OpenAI's API."""

from typing import ClassVar

from pydantic import Field

from sealserve.settings.listener import ListenerSettings


class HttpSettings(ListenerSettings):
    """[http]: OpenAI's API, health and metrics over HTTP. Beyond loopback it needs TLS, unless `insecure` is set."""

    section: ClassVar[str] = "http"

    address: str = Field(
        "127.0.0.1:7432", description="host:port at which `serve` speaks OpenAI's API; off: over gRPC alone"
    )
    deadline_seconds: float = Field(
        600, gt=0, description="deadline of a call that sets none; OpenAI's clients wait for 600 seconds"
    )
