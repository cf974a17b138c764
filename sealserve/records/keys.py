"""Public keys whose signatures count."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime

KEY_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """An Ed25519 public key that an installation trusts, or trusted until `removed_at`."""

    key: str  # how envelopes name it: the first 16 digits of the fingerprint
    public_key: bytes  # 32 bytes
    name: str
    added_by: str
    added_at: datetime
    removed_at: datetime | None  # None: its signatures count

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the public key's 32 bytes, in hexadecimal digits."""
        return fingerprint(self.public_key)

    @property
    def encoded(self) -> str:
        """The public key in base64."""
        return base64.b64encode(self.public_key).decode()


def fingerprint(public_key: bytes) -> str:
    """Return the SHA-256 of the public key's 32 bytes, in hexadecimal digits."""
    return hashlib.sha256(public_key).hexdigest()


def key_name(public_key: bytes) -> str:
    """Return how envelopes name the key."""
    return fingerprint(public_key)[:KEY_DIGITS]
