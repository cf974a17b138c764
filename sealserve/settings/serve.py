"""The part of [serve] that says where the server listens, and what keeps strangers out. Read by `settings.py` alone."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sealserve.errors import BadConfig
from sealserve.network import Tls, is_loopback
from sealserve.settings.section import Section


class ListenerSettings(BaseModel):
    """Address, tokens and TLS. Beyond loopback there are tokens, and TLS unless somebody says otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = Field("127.0.0.1:7431", description="host:port of the gRPC listener")
    auth: str = Field(
        "token", pattern="^(token|off)$", description="token, or off: everybody may do all; loopback only"
    )
    tls_certificate: Path | None = Field(None, description="certificate chain (PEM) that the listener shows")
    tls_key: Path | None = Field(None, description="private key (PEM) of tls_certificate")
    tls_authority: Path | None = Field(None, description="what clients trust (PEM); unset: tls_certificate itself")
    tls_name: str = Field("", description="server's name in the certificate, where it is not the address's host")
    insecure: bool = Field(False, description="true: plain text beyond loopback; the way is private already")

    @model_validator(mode="after")
    def _is_guarded(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("serve.tls_certificate and serve.tls_key go together: set both or neither")
        if is_loopback(self.address):
            return self
        if self.auth == "off":
            raise ValueError(f"serve.auth = off is for loopback only, and serve.address is {self.address}")
        if self.tls_certificate is None and self.tls_authority is None and not self.insecure:
            raise ValueError(
                f"serve.address {self.address} is not loopback: set serve.tls_certificate and serve.tls_key, "
                "or say serve.insecure = true where the way is private already"
            )
        return self

    def server_certificate(self) -> tuple[bytes, bytes] | None:
        """Return (key, certificate chain) for the listener; None: plain text. Raises: BadConfig (unreadable)."""
        if self.tls_certificate is None or self.tls_key is None:
            return None
        return _bytes(self.tls_key, "serve.tls_key"), _bytes(self.tls_certificate, "serve.tls_certificate")

    def tls(self) -> Tls | None:
        """Return what clients of this server need; None: plain text. Raises: BadConfig (unreadable)."""
        trusted = self.tls_authority or self.tls_certificate
        if trusted is None:
            return None
        key = "serve.tls_authority" if self.tls_authority else "serve.tls_certificate"
        return Tls(authority=_bytes(trusted, key), name=self.tls_name)


def _bytes(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadConfig(f"{key}: {path} cannot be read: {error.strerror}") from error


class ServeSettings(ListenerSettings, Section):
    """[serve]: the listener and its bounds."""

    max_message_bytes: int = Field(8 * 2**20, ge=2**16, description="largest gRPC message, in bytes")
    max_concurrent_requests: int = Field(64, ge=1, description="generate calls in flight over all tenants")
    max_queued_per_tenant: int = Field(32, ge=1, description="generate calls one tenant may have waiting")
    default_deadline_seconds: float = Field(60, gt=0, description="deadline of a call that brings none")
    drain_seconds: float = Field(10, ge=0, description="time for running calls to end at shutdown")
    poll_seconds: float = Field(0.25, gt=0, description="how often the registry is asked for new activations")
    rollback_window_seconds: float = Field(3600, ge=0, description="how long the previous version stays loaded")
    replica: str = Field("replica-1", description="this server's name in the observed table")
    answer_days: float = Field(
        30,
        ge=0,
        description="how long it is kept which version gave which answer; 0: never, and no watch counts thumbs",
    )
