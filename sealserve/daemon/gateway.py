"""OpenAI's API over HTTP, wired to the parts of `serve`."""

from typing import TYPE_CHECKING

from sealserve.daemon.web import certificate_watch
from sealserve.gateway.app import GatewayParts, make_gateway
from sealserve.rpc.server import RpcServer
from sealserve.web.listener import HttpListener

if TYPE_CHECKING:
    from sealserve.daemon.serve import ServeParts


def open_gateway(parts: "ServeParts", server: RpcServer) -> HttpListener:
    """Return the listener at http.address, not started yet; it lets in and answers as `server` does."""
    settings = parts.settings
    app = make_gateway(
        GatewayParts(
            access=server.access,
            answers=parts.answers,
            engine=parts.gated,
            registry=parts.registry,
            is_serving=server.health.is_serving,
            metrics=parts.telemetry.scrape,
            max_bytes=settings.serve.max_message_bytes,
            deadline_seconds=settings.http.deadline_seconds,
        )
    )
    files = settings.http.certificate_files()
    watch = certificate_watch(files) if files else None
    return HttpListener(app, settings.http, drain_seconds=settings.serve.drain_seconds, watch=watch)
