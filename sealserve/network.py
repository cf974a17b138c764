"""How calls travel: what a caller shows to be known, whom it trusts, and where plain text is allowed.

Shared by both ends of the wire.
"""

import ipaddress
from dataclasses import dataclass

from sealserve.errors import BadConfig

NO_PROXY = ("grpc.enable_http_proxy", 0)
"""The channel option with which gRPC ignores http_proxy, https_proxy and grpc_proxy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What a client needs for TLS: certificates it trusts (PEM), and the server's name if the address has another."""

    authority: bytes
    name: str = ""


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
