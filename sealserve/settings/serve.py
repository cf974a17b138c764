"""The section [serve]: where the server listens, who may call it, and its limits."""

import socket
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from sealserve.network import Tls, is_loopback
from sealserve.settings.certificates import CertificateFiles, read_file
from sealserve.settings.section import Section, from_text

MAX_NAME_CHARACTERS = 255
"""Of the registry's column."""


class ServeSettings(Section):
    """[serve]: the listener and its limits. Beyond loopback it needs tokens, and TLS unless `insecure` is set."""

    address: str = Field("127.0.0.1:7431", description="host:port of the gRPC listener")
    auth: str = Field(
        "token",
        pattern="^(token|off)$",
        description="token: callers show a token; off: every caller may do everything, on loopback only",
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file with the listener's certificate chain; unset: no TLS"
    )
    tls_key: Path | None = Field(None, description="PEM file with the private key of tls_certificate")
    tls_authority: Path | None = Field(
        None, description="PEM file with the certificates that clients trust; unset: tls_certificate"
    )
    tls_name: str = Field(
        "", description="server name in the certificate, if it differs from the host in address; empty: that host"
    )
    insecure: bool = Field(
        False, description="true: allow plain text beyond loopback, for networks that are private already"
    )
    max_message_bytes: int = Field(8 * 2**20, ge=2**16, description="largest gRPC message, in bytes")
    max_concurrent_requests: int = Field(64, ge=1, description="generate calls in flight, over all tenants")
    max_queued_per_tenant: int = Field(32, ge=1, description="generate calls of one tenant that may wait")
    learning_slowdown: float = Field(
        2.0,
        ge=0,
        description="how many times as long as alone nine of ten tenants' calls may take while learning uses the same "
        "engine, which is given less work otherwise; 0: learning does not yield",
    )
    default_deadline_seconds: float = Field(60, gt=0, description="deadline of a call that sets none")
    max_connections: int = Field(
        1024, ge=1, description="connections at the same time; further ones are closed at once"
    )
    max_connection_seconds: float = Field(
        600,
        ge=10,
        description="age at which a connection is replaced by a new one, so that clients spread over replicas; calls "
        "that run get as long again to end",
    )
    token_grace_seconds: float = Field(
        300,
        ge=0,
        description="time for which a token that was valid is accepted while the registry's database is unreachable",
    )
    drain_seconds: float = Field(
        10, ge=0, description="time that running calls get to end at shutdown; 0: they are cut off at once"
    )
    poll_seconds: float = Field(0.25, gt=0, description="time between two looks for new activations in the registry")
    rollback_window_seconds: float = Field(
        3600, ge=0, description="time that a tenant's previous version stays loaded after a switch"
    )
    adapter_wait_seconds: float = Field(
        60,
        ge=0,
        description="time that a call may wait for its tenant's version to be loaded, within its own deadline; after "
        "it, ADAPTER_LOADING; 0: calls do not wait, and the version is loaded for the next one",
    )
    resident_tenants: Annotated[tuple[str, ...], BeforeValidator(from_text)] = Field(
        (),
        description="tenants whose versions stay loaded, whoever else is asked for; those of the policy's "
        "residency.tenants do, too",
    )
    replica: str = Field(
        "",
        max_length=MAX_NAME_CHARACTERS,
        description="name of this server in the registry; each replica needs its own; empty: host name and port",
    )
    answer_days: float = Field(
        30,
        ge=0,
        description="days for which the registry keeps which version gave which answer; 0: it keeps none, and thumbs "
        "do not count in a watch",
    )

    @model_validator(mode="after")
    def _yields(self) -> Self:
        if 0 < self.learning_slowdown < 1:
            raise ValueError("serve.learning_slowdown is 0 (learning does not yield) or at least 1")
        return self

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

    def replica_name(self) -> str:
        """Return the name of this server in the registry: the same at every start on this host and port."""
        port = self.address.rpartition(":")[2]
        return self.replica or f"{socket.gethostname()}-{port}"[:MAX_NAME_CHARACTERS]

    def certificate_files(self) -> CertificateFiles | None:
        """Return the files of the listener's certificate; None: plain text."""
        if self.tls_certificate is None or self.tls_key is None:
            return None
        return CertificateFiles(section="serve", certificate=self.tls_certificate, key=self.tls_key)

    def tls(self) -> Tls | None:
        """Return what clients of this server need; None: plain text. Raises: BadConfig (unreadable)."""
        trusted = self.tls_authority or self.tls_certificate
        if trusted is None:
            return None
        key = "serve.tls_authority" if self.tls_authority else "serve.tls_certificate"
        return Tls(authority=read_file(trusted, key), name=self.tls_name)
