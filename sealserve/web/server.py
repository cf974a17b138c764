"""The HTTP server of the approvals page; each request opens its own client of `serve`."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import uvicorn

from sealserve.client import AsyncClient
from sealserve.errors import BadConfig
from sealserve.network import reachable
from sealserve.settings.certificates import CertificateWatch
from sealserve.settings.settings import Settings
from sealserve.web.app import make_app
from sealserve.web.view_data import Connect

CALL_SECONDS = 20.0
DRAIN_SECONDS = 5
RENEW_SECONDS = 10.0
"""Time between two looks at the files of the certificate."""


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
    page, files = settings.web, settings.web.certificate_files()
    if files:
        files.read()
    listener = _listener(*page.endpoint())
    app = make_app(
        page, connect=connect_to(settings), is_open=settings.serve.auth == "off", clock=lambda: datetime.now(UTC)
    )
    server = _Server(
        uvicorn.Config(
            app,
            ssl_certfile=page.tls_certificate,
            ssl_keyfile=page.tls_key,
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # whoever sends them could say what the scheme is
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )
    running = asyncio.create_task(server.serve(sockets=[listener]), name="page")
    on_started(f"{'https' if page.is_secure else 'http'}://{page.address}/")
    renewing = asyncio.create_task(_renew(server, watch), name="certificate") if watch else None
    try:
        await asyncio.shield(running)
    finally:
        if renewing:
            renewing.cancel()
        server.should_exit = True
        await running
        listener.close()


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


async def _renew(server: uvicorn.Server, watch: CertificateWatch) -> None:
    """Load a replaced certificate into the listener's context, which new connections use."""
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        if await asyncio.to_thread(watch.renewed) and server.config.ssl:
            with suppress(OSError):  # replaced again in this moment: at the next look
                server.config.ssl.load_cert_chain(watch.files.certificate, watch.files.key)


class _Server(uvicorn.Server):
    """Leaves signals to the daemon, which cancels `serve_page`."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        text = (
            f"web.address {host}:{port}: cannot listen there; the port is in use or the host is not local. "
            "Stop the other process, set web.address to another port, or set it to off to run without the page"
        )
        raise BadConfig(text) from error
