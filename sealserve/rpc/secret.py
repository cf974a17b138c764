"""The secret that only processes of one installation share, so that no tenant can call EngineService.

Kept in the data directory, readable by its owner alone. Knows nothing of calls.
"""

import os
import secrets
from pathlib import Path

from sealserve.errors import BadConfig

SECRET_FILE = "internal.secret"
_MIN_CHARACTERS = 32


def internal_secret(data_directory: Path) -> str:
    """Return the installation's secret, made on the first call.

    Two processes that start together get the same one. Raises: BadConfig (unreadable, too short, or open to others).
    """
    path = data_directory / SECRET_FILE
    try:
        data_directory.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _place(path)
        mode, secret = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path} cannot be read or made: check the owner of the data directory") from error
    if mode & 0o077:
        raise BadConfig(f"{path} can be read by others: chmod 600 it")
    if len(secret) < _MIN_CHARACTERS:
        raise BadConfig(f"{path} is too short to be a secret: delete it, a new one is made")
    return secret


def _place(path: Path) -> None:
    """Write aside, then link: the link fails if another process was first, whose secret then stands."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_urlsafe(48).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(aside, path)
    except FileExistsError:
        return
    finally:
        aside.unlink()
