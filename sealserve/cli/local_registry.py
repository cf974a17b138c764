"""The registry itself, for commands that run where the daemon runs: no server is asked."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sealserve.cli.session import Session

if TYPE_CHECKING:
    from sealserve.registry.registry import Registry


@contextmanager
def registry_of(session: Session) -> "Iterator[Registry]":
    """Give the registry that the settings name. Raises: StorageFailed, BadConfig."""
    from sealserve.daemon.storage import open_registry

    registry = open_registry(session.settings())
    try:
        yield registry
    finally:
        registry.close()


def local_actor() -> str:
    """Return what the audit trail calls whoever runs a command on this machine."""
    return f"local:{getpass.getuser()}"
