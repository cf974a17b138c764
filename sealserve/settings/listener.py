"""HTTP listeners: what their sections have in common, and the section [http], where `serve` speaks OpenAI's API."""

from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from sealserve.errors import BadConfig
from sealserve.network import is_loopback
from sealserve.settings.certificates import CertificateFiles
from sealserve.settings.section import Section

OFF = "off"
_MAX_PORT = 65_535


class ListenerSettings(Section):
    """A listener for HTTP. Beyond loopback it needs TLS, unless `insecure` is set."""

    section: ClassVar[str]

    address: str
    tls_certificate: Path | None = Field(
        None, description="PEM file with the listener's certificate chain; unset: no TLS"
    )
    tls_key: Path | None = Field(None, description="PEM file with the private key of tls_certificate")
    insecure: bool = Field(
        False, description="true: allow plain text beyond loopback, for networks that are private already"
    )

    max_connections: int = Field(
        1024, ge=2, description="connections at the same time, half of them from one address; further ones are closed"
    )

    @field_validator("address")
    @classmethod
    def _is_an_address(cls, address: str) -> str:
        if address in ("", OFF):  # an empty variable of the environment counts as not set: there it is spelled off
            return OFF
        host, _, port = address.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or int(port) > _MAX_PORT:
            raise ValueError(f"{cls.section}.address must be host:port, or off; it is {address}")
        return address

    @model_validator(mode="after")
    def _is_guarded(self) -> Self:
        name = self.section
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError(f"{name}.tls_certificate and {name}.tls_key go together: set both or neither")
        if self.is_off or is_loopback(self.address) or self.tls_certificate is not None or self.insecure:
            return self
        raise ValueError(
            f"{name}.address {self.address} is not loopback: set {name}.tls_certificate and {name}.tls_key, "
            f"or say {name}.insecure = true where the way is private already"
        )

    @property
    def is_off(self) -> bool:
        """Whether nothing listens."""
        return self.address == OFF

    @property
    def is_secure(self) -> bool:
        """Whether it is served over TLS."""
        return self.tls_certificate is not None

    def endpoint(self) -> tuple[str, int]:
        """Return (host, port) to listen on. Raises: BadConfig (off)."""
        if self.is_off:
            raise BadConfig(f"{self.section}.address is off: set it to host:port")
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)

    def certificate_files(self) -> CertificateFiles | None:
        """Return the files of the listener's certificate; None: plain text."""
        if self.tls_certificate is None or self.tls_key is None:
            return None
        return CertificateFiles(section=self.section, certificate=self.tls_certificate, key=self.tls_key)


class HttpSettings(ListenerSettings):
    """[http]: OpenAI's API, health and metrics over HTTP. Beyond loopback it needs TLS, unless `insecure` is set."""

    section: ClassVar[str] = "http"

    address: str = Field(
        "127.0.0.1:7432", description="host:port at which `serve` speaks OpenAI's API; off: over gRPC alone"
    )
    deadline_seconds: float = Field(
        600, gt=0, description="deadline of a call that sets none; OpenAI's clients wait for 600 seconds"
    )
