"""The section [web]: where the page for approvals listens.

The page is a client of `serve`, which decides what the page may show and do.
"""

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from sealserve.errors import BadConfig
from sealserve.network import is_loopback
from sealserve.settings.certificates import CertificateFiles
from sealserve.settings.section import Section

OFF = "off"
_MAX_PORT = 65_535


class WebSettings(Section):
    """[web]: the page for approvals. Beyond loopback it needs TLS, unless `insecure` is set."""

    address: str = Field(
        "127.0.0.1:7433", description="host:port of the page for approvals; off: `sealserve up` starts no page"
    )
    tls_certificate: Path | None = Field(None, description="PEM file with the page's certificate chain; unset: no TLS")
    tls_key: Path | None = Field(None, description="PEM file with the private key of tls_certificate")
    insecure: bool = Field(
        False, description="true: allow plain text beyond loopback, for networks that are private already"
    )

    @field_validator("address")
    @classmethod
    def _is_an_address(cls, address: str) -> str:
        if address in ("", OFF):  # an empty variable of the environment counts as not set: there it is spelled off
            return OFF
        host, _, port = address.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or int(port) > _MAX_PORT:
            raise ValueError(f"web.address must be host:port, or off; it is {address}")
        return address

    @model_validator(mode="after")
    def _is_guarded(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("web.tls_certificate and web.tls_key go together: set both or neither")
        if self.is_off or is_loopback(self.address) or self.tls_certificate is not None or self.insecure:
            return self
        raise ValueError(
            f"web.address {self.address} is not loopback: set web.tls_certificate and web.tls_key, "
            "or say web.insecure = true where the way is private already"
        )

    @property
    def is_off(self) -> bool:
        """Whether there is no page."""
        return self.address == OFF

    @property
    def is_secure(self) -> bool:
        """Whether the page is served over TLS."""
        return self.tls_certificate is not None

    def endpoint(self) -> tuple[str, int]:
        """Return (host, port) to listen on. Raises: BadConfig (off)."""
        if self.is_off:
            raise BadConfig("web.address is off: set it to host:port, for example 127.0.0.1:7433")
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)

    def certificate_files(self) -> CertificateFiles | None:
        """Return the files of the page's certificate; None: plain text."""
        if self.tls_certificate is None or self.tls_key is None:
            return None
        return CertificateFiles(section="web", certificate=self.tls_certificate, key=self.tls_key)
