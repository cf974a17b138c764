"""Direct access to the registry, for commands that run on the daemon's machine."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sealserve.cli.session import Session

if TYPE_CHECKING:
    from sealserve.registry.registry import Registry


@contextmanager
def registry_of(session: Session) -> "Iterator[Registry]":
    """Open the registry of the settings. Raises: StorageFailed, BadConfig."""
    from sealserve.daemon.storage import open_registry

    registry = open_registry(session.settings())
    try:
        yield registry
    finally:
        registry.close()


def local_actor() -> str:
    """Return the actor that the audit log records for local commands."""
    return f"local:{getpass.getuser()}"
