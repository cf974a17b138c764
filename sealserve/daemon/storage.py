"""Opens the registry that the settings name."""

from sealserve.errors import StorageFailed
from sealserve.registry.registry import Registry
from sealserve.settings.settings import Settings


def open_registry(settings: Settings) -> Registry:
    """Return the registry of `settings`; its directories are created. Raises: StorageFailed, BadConfig (url)."""
    try:
        settings.data_directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(f"{settings.data_directory} cannot be created: {error.strerror}") from error
    return Registry.open(settings.registry_url, settings.artifact_directory, limits=settings.limits)
