"""Opens the registry that the settings name, keeps the data directory to its owner, and signs the audit chain."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from sealserve.backup import UNFINISHED_FILE
from sealserve.errors import SealserveError, StorageFailed
from sealserve.learning.editor.store import take_in_files
from sealserve.private_files import DIRECTORY_MODE, Exposed, make_all_private
from sealserve.proof.heads import HEAD_FILE, write_head
from sealserve.proof.keys import KeyRing
from sealserve.registry.registry import Registry
from sealserve.settings.settings import Settings
from sealserve.telemetry.names import LogEvent

HEAD_SECONDS = 3600.0
"""Between two signatures of the audit chain's head: how much of it could be rewritten unseen."""

_LOG = structlog.get_logger(__name__)


def open_registry(settings: Settings) -> Registry:
    """Return the registry of `settings`; its directories are created, and editors' files of earlier releases taken in.

    Raises: StorageFailed (also if the data directory is only half restored), BadConfig (url).
    """
    directory = settings.data_directory
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=DIRECTORY_MODE)
    except OSError as error:
        raise StorageFailed(f"{directory} cannot be created: {error.strerror}") from error
    if (directory / UNFINISHED_FILE).exists():
        raise StorageFailed(f"{directory} was not restored to the end: empty it and run sealserve restore again")
    registry = Registry.of(settings)
    take_in_files(registry, directory)
    return registry


def keep_private(settings: Settings) -> None:
    """Take others' access to the files of the data directory away, and log what was or could not be changed."""
    make_all_private(settings.data_directory, tell=_tell)


async def sign_heads(settings: Settings, registry: Registry, keys: KeyRing) -> None:
    """Sign the head of the audit chain now, every hour, and when cancelled; failures are logged.

    Copies of artifacts that are not needed any more are dropped as often.
    """
    try:
        while True:
            await asyncio.to_thread(_sign_head, settings, registry, keys)
            await asyncio.sleep(HEAD_SECONDS)
            with suppress(StorageFailed):  # the object store is away: next time
                await asyncio.to_thread(registry.artifacts.drop_copies)
    finally:
        _sign_head(settings, registry, keys)


def _sign_head(settings: Settings, registry: Registry, keys: KeyRing) -> None:
    try:
        rows = write_head(registry, keys, settings.data_directory / HEAD_FILE, now=datetime.now(UTC))
    except (SealserveError, OSError) as error:
        _LOG.error(LogEvent.AUDIT_HEAD_NOT_SIGNED, error=str(error), error_type=type(error).__name__)
        return
    _LOG.info(LogEvent.AUDIT_HEAD_SIGNED, rows=rows)


def _tell(found: Exposed, is_repaired: bool) -> None:
    _LOG.warning(
        LogEvent.FILE_REPAIRED if is_repaired else LogEvent.FILE_NOT_REPAIRED,
        path=str(found.path),
        mode=f"{found.mode:o}",
    )
