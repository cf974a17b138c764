"""The tokens an installation makes for itself: one for whoever administers it, one for its own processes.

Their secrets lie in the data directory, readable by its owner alone: who can read them can read the registry too.
"""

from collections.abc import Callable
from pathlib import Path

from sealserve.atomic_files import create_file
from sealserve.errors import BadConfig
from sealserve.private_files import DIRECTORY_MODE, FILE_MODE, require_private
from sealserve.records.principals import Principal, Role, Token, new_secret

ADMIN_FILE = "admin.token"
INTERNAL_FILE = "internal.token"
ADMIN = Principal(name="admin", role=Role.ADMIN, tenants=None)
INTERNAL = Principal(name="engine", role=Role.ENGINE, tenants=None)

_MIN_CHARACTERS = 32

Enrol = Callable[..., Token]
"""`Registry.enrol_token`."""


def admin_secret(data_directory: Path, enrol: Enrol) -> str:
    """Return the administrator's secret, made and made known on the first call. Raises: as `own_secret`."""
    secret = own_secret(data_directory / ADMIN_FILE)
    enrol(ADMIN, secret, actor="serve")
    return secret


def internal_secret(data_directory: Path, enrol: Enrol) -> str:
    """Return the secret that opens EngineService, made and made known on the first call. Raises: as `own_secret`."""
    secret = own_secret(data_directory / INTERNAL_FILE)
    enrol(INTERNAL, secret, actor="serve")
    return secret


def own_secret(path: Path) -> str:
    """Return the secret in `path`, made on the first call.

    Two processes that start together get the same one. Raises: BadConfig (unreadable, too short, or open to
    everybody).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=DIRECTORY_MODE)
        create_file(path, new_secret().encode(), mode=FILE_MODE)
        require_private(path)
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path} cannot be read or made: check the owner of the data directory") from error
    if len(secret) < _MIN_CHARACTERS:
        raise BadConfig(f"{path} is too short to be a secret: delete it, a new one is made")
    return secret


def found_secret(path: Path) -> str:
    """Return the secret in `path` if there is one that this user may read, else ""."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
