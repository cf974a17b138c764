"""Security headers for every response, and refusal of cross-site requests and foreign host names."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sealserve.network import is_loopback

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send `Origin: null` with our own forms
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
}

MAX_BODY_BYTES = 64 * 1024
"""Larger than any form here: a reason has 1024 characters."""

_SAFE_METHODS = ("GET", "HEAD")


class Guard:
    """Passes same-origin requests on to `app`; adds `HEADERS` to every response."""

    def __init__(self, app: ASGIApp, *, address: str) -> None:
        """`address` is where the page listens; on loopback, only local host names are accepted."""
        self._app = app
        self._is_local = is_loopback(address)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with 403, 413 or 421, or call the app."""
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._is_local and not _is_local_host(host):
            return _refused(421, "This page is only available under local names, such as 127.0.0.1 or localhost.")
        if scope["method"] in _SAFE_METHODS:
            return None
        if not _is_own(headers, f"{scope['scheme']}://{host}"):
            return _refused(403, "This request came from another site; nothing was changed. Try again on the page.")
        if _length(headers.getlist("content-length")) > MAX_BODY_BYTES:
            return _refused(413, f"The form is larger than {MAX_BODY_BYTES} bytes; nothing was changed.")
        return None


def _is_own(headers: Headers, origin: str) -> bool:
    """Whether the request came from our own pages, by Fetch Metadata or else (over plain HTTP) by origin."""
    site = headers.get("sec-fetch-site")
    return site == "same-origin" if site is not None else headers.get("origin") == origin


def _is_local_host(host: str) -> bool:
    """Whether `host` is a local name. Other names could point here by DNS rebinding."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_loopback(f"[{name}]:0" if ":" in name else f"{name}:0")


def _length(values: Iterable[str]) -> int:
    return max((int(value) for value in values if value.isascii() and value.isdigit()), default=0)


def _refused(status: int, text: str) -> ASGIApp:
    return PlainTextResponse(f"{text}\n", status_code=status)
