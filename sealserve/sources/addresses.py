"""Decides which network addresses a source may lead to; private ones are refused by default.

A name is resolved once for each request, and the connection goes to the address that was checked, so DNS rebinding
gains nothing.
"""

import ipaddress
import socket
from typing import TypeAlias

from sealserve.sources.connector import SourceFailed

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Return whether the address is public: global unicast, also inside the IPv6 forms of an IPv4 address.

    Special addresses are those of IANA's registries (RFC 6890), as the standard library knows them.
    """
    inner = _embedded(address)
    if inner is not None:
        return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


def _embedded(address: Address) -> Address | None:
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def resolve(host: str, port: int, *, allow_private: bool) -> str:
    """Return an address of `host` to connect to. Raises: SourceFailed (no address, or one that is not public)."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SourceFailed(f"{host}: its address cannot be found: {error}", reason="NO_ADDRESS") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses:
        raise SourceFailed(f"{host}: it has no address", reason="NO_ADDRESS")
    for address in addresses:
        if not allow_private and not is_public(ipaddress.ip_address(address.partition("%")[0])):
            text = f"{host} is {address}, which is not a public address; the operator may set "
            raise SourceFailed(f"{text}sources.allow_private_addresses", reason="PRIVATE_ADDRESS")
    return addresses[0]
