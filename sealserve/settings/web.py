"""The section [web]: where the page for approvals listens. Read by `settings.py` alone.

The page is a client of `serve`; what it may show and do is decided there.
"""

import ssl
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sealserve.errors import BadConfig
from sealserve.network import is_loopback
from sealserve.settings.section import Section

OFF = "off"
_MAX_PORT = 65_535


class PageSettings(BaseModel):
    """Address and TLS. Beyond loopback there is TLS, unless somebody says otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = Field(
        "127.0.0.1:7433", description="host:port of the page for approvals; off: `sealserve up` starts none"
    )
    tls_certificate: Path | None = Field(None, description="certificate chain (PEM) that the page shows")
    tls_key: Path | None = Field(None, description="private key (PEM) of tls_certificate")
    insecure: bool = Field(False, description="true: plain text beyond loopback; the way is private already")

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

    def require_pair(self) -> None:
        """Return if there is no TLS, or its two files can be used. Raises: BadConfig."""
        if self.tls_certificate is None or self.tls_key is None:
            return
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.tls_certificate, self.tls_key)
        except (OSError, ssl.SSLError) as error:
            text = (
                f"web.tls_certificate {self.tls_certificate} and web.tls_key {self.tls_key} are no readable pair in PEM"
            )
            raise BadConfig(text) from error


class WebSettings(PageSettings, Section):
    """[web]: the page for approvals."""
