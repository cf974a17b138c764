"""The HTTP server of the approvals page; each request opens its own client of `serve`."""

from collections.abc import Callable
from datetime import UTC, datetime

from sealserve.client import AsyncClient
from sealserve.network import reachable
from sealserve.settings.certificates import CertificateWatch
from sealserve.settings.settings import Settings
from sealserve.web.app import make_app
from sealserve.web.listener import HttpListener
from sealserve.web.view_data import Connect

CALL_SECONDS = 20.0
DRAIN_SECONDS = 5


async def serve_page(
    settings: Settings,
    *,
    on_started: Callable[[str], None] = lambda url: None,
    watch: CertificateWatch | None = None,
) -> None:
    """Serve the page at web.address until cancelled; `on_started` is called with its URL.

    A certificate that `watch` finds replaced is shown from then on.
    Raises: BadConfig (off, port in use, TLS files).
    """
    page = settings.web
    app = make_app(
        page, connect=connect_to(settings), is_open=settings.serve.auth == "off", clock=lambda: datetime.now(UTC)
    )
    listener = HttpListener(app, page, drain_seconds=DRAIN_SECONDS, watch=watch)
    await listener.start()
    on_started(f"{'https' if page.is_secure else 'http'}://{page.address}/")
    try:
        await listener.wait()
    finally:
        await listener.stop()


def connect_to(settings: Settings) -> Connect:
    """Return a function that opens a client of `serve` with a given token. Raises: BadConfig (a file of TLS)."""
    serve = settings.serve
    address = reachable(serve.address)
    serve.tls()

    def connect(secret: str) -> AsyncClient:
        return AsyncClient(
            address,
            token=secret,
            tls=serve.tls(),  # read for each request: the certificate may have been replaced
            insecure=serve.insecure,
            timeout_seconds=CALL_SECONDS,
            max_message_bytes=serve.max_message_bytes,
        )

    return connect
