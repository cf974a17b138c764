"""Opens the registry that the settings name, and keeps the data directory to its owner."""

import structlog

from sealserve.backup import UNFINISHED_FILE
from sealserve.errors import StorageFailed
from sealserve.learning.editor.store import take_in_files
from sealserve.private_files import DIRECTORY_MODE, Exposed, make_all_private
from sealserve.registry.registry import Registry
from sealserve.settings.settings import Settings
from sealserve.telemetry.names import LogEvent

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
    registry = Registry.open(settings.registry_url, settings.artifact_directory)
    take_in_files(registry, directory)
    return registry


def keep_private(settings: Settings) -> None:
    """Take others' access to the files of the data directory away, and log what was or could not be changed."""
    make_all_private(settings.data_directory, tell=_tell)


def _tell(found: Exposed, is_repaired: bool) -> None:
    event = LogEvent.FILE_REPAIRED if is_repaired else LogEvent.FILE_NOT_REPAIRED
    _LOG.warning(event, path=str(found.path), mode=f"{found.mode:o}")
