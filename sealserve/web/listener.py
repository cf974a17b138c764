"""An HTTP listener in a process that has other work: starts and stops when told, shows a renewed certificate."""

import asyncio
import contextlib
import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from sealserve.errors import BadConfig
from sealserve.settings.certificates import CertificateWatch
from sealserve.settings.listener import ListenerSettings

RENEW_SECONDS = 10.0
"""Time between two looks at the files of the certificate."""

KEEP_ALIVE_SECONDS = 75
"""Clients that keep connections do so for about a minute."""


REQUEST_SECONDS = 30.0
"""How long a new connection may bring no request."""


class HttpListener:
    """Serves one application at one address."""

    def __init__(
        self, app: ASGIApp, settings: ListenerSettings, *, drain_seconds: float, watch: CertificateWatch | None = None
    ) -> None:
        """Running calls get `drain_seconds` to end when it stops. A certificate that `watch` finds replaced is shown
        from then on.
        """
        self._app = app
        self._settings = settings
        self._drain_seconds = drain_seconds
        self._watch = watch
        self._server: _Server | None = None
        self._running: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen, and return the port. Raises: BadConfig (off, port in use, TLS files)."""
        files = self._settings.certificate_files()
        if files:
            files.read()
        listener = _listener(self._settings)
        self._server = _Server(
            uvicorn.Config(
                self._app,
                http=_bounded(self._settings.max_connections),
                ssl_certfile=self._settings.tls_certificate,
                ssl_keyfile=self._settings.tls_key,
                lifespan="off",
                ws="none",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,  # whoever sends them could say what the scheme is
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=math.ceil(self._drain_seconds),
            )
        )
        self._running = asyncio.create_task(self._server.serve(sockets=[listener]), name=self._settings.section)
        if self._watch:
            self._renewing = asyncio.create_task(_renew(self._server, self._watch), name="certificate")
        return int(listener.getsockname()[1])

    async def wait(self) -> None:
        """Return when it has ended. Raises: what ended it."""
        if self._running is not None:
            await asyncio.shield(self._running)

    async def stop(self) -> None:
        """Take no more calls, let running ones end, cut off the rest."""
        if self._renewing is not None:
            self._renewing.cancel()
        if self._server is not None and self._running is not None:
            self._server.should_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await self._running


async def _renew(server: uvicorn.Server, watch: CertificateWatch) -> None:
    """Load a replaced certificate into the listener's context, which new connections use."""
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        if await asyncio.to_thread(watch.renewed) and server.config.ssl:
            with suppress(OSError):  # replaced again in this moment: at the next look
                server.config.ssl.load_cert_chain(watch.files.certificate, watch.files.key)


class _Server(uvicorn.Server):
    """Leaves signals to the daemon, which stops the listener."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _bounded(most: int) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol for at most so many connections, half of them from one address.

    uvicorn's own bound (limit_concurrency) would refuse the requests of those that are connected already.
    """

    class Bounded(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
        """One connection; it is closed at once if there are too many, and later if it brings no request."""

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            own = sum(other.client[0] == self.client[0] for other in self.connections if self.client and other.client)
            if len(self.connections) > most or own > most // 2:
                transport.abort()
            else:
                asyncio.get_running_loop().call_later(REQUEST_SECONDS, self.close_if_silent)

        def close_if_silent(self) -> None:
            if self.cycle is None:
                self.transport.close()

    return Bounded


def _listener(settings: ListenerSettings) -> socket.socket:
    host, port = settings.endpoint()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        name = settings.section
        text = (
            f"{name}.address {host}:{port}: cannot listen there; the port is in use or the host is not local. "
            f"Stop the other process, set {name}.address to another port, or set it to off"
        )
        raise BadConfig(text) from error
