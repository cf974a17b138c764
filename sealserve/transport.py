"""How calls travel: what a caller shows to be known, whom it trusts, and where plain text is allowed.

Shared by both ends of the wire. Knows no service and reads no settings.
"""

import ipaddress
from dataclasses import dataclass
from typing import Any

import grpc

from sealserve.errors import BadConfig

AUTHORIZATION_KEY = "authorization"
_SCHEME = "bearer "


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What a client needs for TLS: certificates it trusts (PEM), and the server's name if the address has another."""

    authority: bytes
    name: str = ""


def bearer(secret: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata that shows `secret`; none for an empty one (RFC 6750, section 2.1)."""
    return ((AUTHORIZATION_KEY, f"Bearer {secret}"),) if secret else ()


def shown_secret(metadata: Any) -> str:
    """Return the secret that a call's metadata show; "" if none."""
    value = dict(metadata or ()).get(AUTHORIZATION_KEY, "")
    is_bearer = isinstance(value, str) and value[: len(_SCHEME)].lower() == _SCHEME
    return value[len(_SCHEME) :].strip() if is_bearer else ""


def is_loopback(address: str) -> bool:
    """Whether `address` (host:port, or unix:path) can be reached from this machine alone."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reachable(address: str) -> str:
    """Return where a process of this machine reaches a listener on `address`: of all interfaces, the loopback."""
    return address.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")


def require_private(address: str, *, secret: str, tls: Tls | None, insecure: bool) -> None:
    """Return if `secret` may be sent to `address`. Raises: BadConfig (others on the way could read it)."""
    if secret and tls is None and not insecure and not is_loopback(address):
        raise BadConfig(
            f"a token does not travel in plain text to {address}: give the server's certificate authority "
            "(serve.tls_authority, tls=), or say that the way is private (serve.insecure = true, insecure=True)"
        )


def open_channel(make: Any, address: str, *, tls: Tls | None, options: list[tuple[str, Any]]) -> Any:
    """Return a channel of `make`, which is the module grpc or grpc.aio."""
    if tls is None:
        return make.insecure_channel(address, options=options)
    named = [*options, ("grpc.ssl_target_name_override", tls.name)] if tls.name else options
    return make.secure_channel(address, grpc.ssl_channel_credentials(tls.authority), options=named)
