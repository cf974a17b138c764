"""All checks, in the order in which to fix what they find.

None loads a model or starts anything. Opening the registry brings it to the newest schema, as every start does; a
probe file in the data directory is removed again.
"""

from collections.abc import Callable

from sealserve.doctor import base_model, connections, documents, machine, packages, storage
from sealserve.doctor.finding import Finding
from sealserve.settings.settings import Settings

CHECKS: tuple[Callable[[Settings], Finding], ...] = (
    packages.check_python,
    machine.check_processor,
    packages.check_engine_packages,
    packages.check_training_packages,
    machine.check_executor,
    machine.check_niceness,
    base_model.check_model,
    base_model.check_memory,
    base_model.check_fitness,
    base_model.check_judge,
    storage.check_data_directory,
    storage.check_free_disk,
    storage.check_file_modes,
    storage.check_registry,
    storage.check_keys,
    storage.check_active_versions,
    storage.check_policy,
    documents.check_watched_directory,
    documents.check_sources,
    connections.check_certificates,
    connections.check_proxy,
    connections.check_telemetry,
    connections.check_server,
)


def examine(settings: Settings) -> tuple[Finding, ...]:
    """Return all findings, in the order in which to fix them."""
    return tuple(check(settings) for check in CHECKS)
