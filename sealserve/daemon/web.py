"""The `web` process: the approvals page, a client of `serve`."""

import structlog

from sealserve.daemon.lifetime import run_to_end, until_stopped
from sealserve.settings.certificates import CertificateFiles, CertificateWatch
from sealserve.settings.settings import Settings
from sealserve.telemetry import start_telemetry
from sealserve.telemetry.names import LogEvent
from sealserve.web.server import serve_page

_log = structlog.get_logger(__name__)


def run_web(settings: Settings, *, parent: int | None = None) -> None:
    """Serve the approvals page until stopped, as `run_serve` does. Raises: BadConfig (address, port, files)."""
    run_to_end(until_stopped(lambda: web(settings), parent))


async def web(settings: Settings) -> None:
    """Serve the approvals page until cancelled."""
    telemetry = start_telemetry(settings.telemetry, service="web")
    try:
        files = settings.web.certificate_files()
        await serve_page(
            settings,
            on_started=lambda url: _log.info(LogEvent.PAGE_STARTED, url=url),
            watch=certificate_watch(files) if files else None,
        )
    finally:
        telemetry.shutdown()


def certificate_watch(files: CertificateFiles) -> CertificateWatch:
    """Return a watch over `files` that logs what it finds."""
    return CertificateWatch(
        files,
        on_renewed=lambda: _log.info(LogEvent.CERTIFICATE_RENEWED, file=str(files.certificate)),
        on_broken=lambda error: _log.warning(LogEvent.CERTIFICATE_NOT_RENEWED, error=error),
    )
