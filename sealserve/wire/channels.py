"""gRPC channels and the bearer token that travels with each call."""

from typing import Any

import grpc

from sealserve.network import NO_PROXY, Tls, is_loopback

AUTHORIZATION_KEY = "authorization"

_SCHEME = "bearer "


def bearer(secret: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata that shows `secret`; none for an empty one (RFC 6750, section 2.1)."""
    return ((AUTHORIZATION_KEY, f"Bearer {secret}"),) if secret else ()


def shown_secret(metadata: Any) -> str:
    """Return the secret that a call's metadata show; "" if none."""
    value = dict(metadata or ()).get(AUTHORIZATION_KEY, "")
    is_bearer = isinstance(value, str) and value[: len(_SCHEME)].lower() == _SCHEME
    return value[len(_SCHEME) :].strip() if is_bearer else ""


def open_channel(make: Any, address: str, *, tls: Tls | None, options: list[tuple[str, Any]]) -> Any:
    """Return a channel of `make`, which is the module grpc or grpc.aio.

    The proxy of http_proxy, https_proxy or grpc_proxy is used for TLS to another machine alone: it would read what is
    plain text, and its loopback is not this machine's (https://grpc.github.io/grpc/core/group__grpc__arg__keys.html).
    """
    if tls is None or is_loopback(address):
        options = [*options, NO_PROXY]
    if tls is None:
        return make.insecure_channel(address, options=options)
    named = [*options, ("grpc.ssl_target_name_override", tls.name)] if tls.name else options
    return make.secure_channel(address, grpc.ssl_channel_credentials(tls.authority), options=named)
