"""One prefix-cache salt per tenant, so that no tenant can time its way to another's prompts (law 7).

The salt is HMAC-SHA256 (RFC 2104) of the tenant's name under a key that never leaves this machine.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from sealserve.errors import StorageFailed

KEY_BYTES = 32
ASKER_DIGITS = 16


class TenantSalts:
    """Makes salts from one secret key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def open(cls, path: Path) -> "TenantSalts":
        """Read the key at `path`, made on first use with mode 0600.

        Raises: StorageFailed (cannot be read or made, or is not a key).
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _create(path)
            key = path.read_bytes()
        except OSError as error:
            raise StorageFailed(f"{path} cannot be read or made; check the disk and its permissions") from error
        if len(key) != KEY_BYTES:
            raise StorageFailed(f"{path} is not a key of {KEY_BYTES} bytes; remove it and a new one is made")
        return cls(key)

    def salt(self, tenant: str) -> str:
        """Return the tenant's salt: the same every time, unguessable without the key."""
        return hmac.new(self._key, tenant.encode(), hashlib.sha256).hexdigest()

    def asker(self, tenant: str, sticky_key: str) -> str:
        """Return what stands for the key within this tenant and does not tell it; empty for an empty one."""
        told = f"{tenant}\0{sticky_key}".encode(errors="surrogatepass")
        return hmac.new(self._key, told, hashlib.sha256).hexdigest()[:ASKER_DIGITS] if sticky_key else ""


def _create(path: Path) -> None:
    """Write aside, force to disk, and link: a second process that comes at the same time reads the first's key."""
    if path.exists():
        return
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, secrets.token_bytes(KEY_BYTES))
        os.fsync(handle)
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        os.close(handle)
        os.unlink(aside)
