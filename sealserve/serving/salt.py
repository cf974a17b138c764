"""One prefix-cache salt per tenant, so that no tenant can find out another's prompts by timing (law 7).

The salt is HMAC-SHA256 (RFC 2104) of the tenant's name under a key that never leaves this machine.
"""

import hashlib
import hmac
import secrets
from pathlib import Path

from sealserve.atomic_files import create_file
from sealserve.errors import StorageFailed
from sealserve.private_files import DIRECTORY_MODE, FILE_MODE, require_private

KEY_BYTES = 32
ASKER_DIGITS = 16


class TenantSalts:
    """Makes salts from one secret key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def open(cls, path: Path) -> "TenantSalts":
        """Read the key at `path`, made on first use with mode 0600.

        Raises: StorageFailed (cannot be read or made, or is not a key), BadConfig (open to everybody).
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=DIRECTORY_MODE)
            create_file(path, secrets.token_bytes(KEY_BYTES), mode=FILE_MODE)
            require_private(path)
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
