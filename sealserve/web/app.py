"""The routes of the approvals page: inbox, held version, held document, login and error pages.

Permissions are checked by the server; its error messages are shown unchanged.
"""

from collections.abc import Callable
from datetime import datetime
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sealserve import errors
from sealserve.local_tokens import ADMIN_FILE
from sealserve.network import is_loopback
from sealserve.settings.web import WebSettings
from sealserve.web.decisions import Decisions, new_request_id, version_of
from sealserve.web.forms import read_form
from sealserve.web.held_documents import HeldDocuments
from sealserve.web.render import Pages
from sealserve.web.security import Guard
from sealserve.web.sessions import Sessions, typed_secret
from sealserve.web.view_data import Connect, held_version, inbox_of
from sealserve.wire.http_statuses import is_passing, status_of


def make_app(settings: WebSettings, *, connect: Connect, is_open: bool, clock: Callable[[], datetime]) -> ASGIApp:
    """Return the page as an ASGI application. With `is_open` (serve.auth = off) nobody logs in."""
    site = _Site(settings, connect=connect, is_open=is_open, clock=clock)
    decisions = Decisions(site.pages, connect=connect, has_login=not is_open)
    documents = HeldDocuments(site.pages, connect=connect, has_login=not is_open)
    routes = [
        Route("/", site.logged_in(site.inbox), methods=["GET"]),
        Route("/login", site.ask_token, methods=["GET"]),
        Route("/login", site.log_in, methods=["POST"]),
        Route("/logout", site.log_out, methods=["POST"]),
        Route("/approvals/{tenant}/{version}", site.logged_in(site.approval), methods=["GET"]),
        Route("/approvals/{tenant}/{version}", site.guarded(decisions.decide), methods=["POST"]),
        Route("/documents/{tenant}/{document}", site.logged_in(documents.show), methods=["GET"]),
        Route("/documents/{tenant}/{document}", site.guarded(documents.decide), methods=["POST"]),
        Route("/page.css", site.style, methods=["GET"]),
    ]
    handlers: dict[Any, Any] = {
        errors.SealserveError: site.fault,
        HTTPException: site.no_such_page,
        500: site.broken,
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers), address=settings.address)


class _Site:
    """The read-only pages and the login."""

    def __init__(
        self, settings: WebSettings, *, connect: Connect, is_open: bool, clock: Callable[[], datetime]
    ) -> None:
        self.pages = Pages(clock=clock)
        self._connect = connect
        self._is_open = is_open
        self._is_local = is_loopback(settings.address)
        self._sessions = Sessions(settings)
        self._css = files("sealserve.web").joinpath("static/page.css").read_bytes()

    def guarded(self, serve: Callable[[Request, str], Any]) -> Callable[[Request], Any]:
        """Return `serve`, called with the token that the request shows."""

        async def call(request: Request) -> Response:
            response: Response = await serve(request, self._sessions.secret_of(request))
            return response

        return call

    def logged_in(self, serve: Callable[[Request, str], Any]) -> Callable[[Request], Any]:
        """Return `serve`, called with the token of the request; without one, the login form is shown."""

        async def call(request: Request) -> Response:
            secret = self._sessions.secret_of(request)
            if not secret and not self._is_open:
                return self._login(after=request.url.path, status=401)
            response: Response = await serve(request, secret)
            return response

        return call

    async def inbox(self, request: Request, secret: str) -> Response:
        """Show the versions and documents that await a decision, and the latest decisions."""
        async with self._connect(secret) as client:
            found = await inbox_of(client)
        return self._page("inbox.html", inbox=found)

    async def approval(self, request: Request, secret: str) -> Response:
        """Show a held version with the form for the decision."""
        tenant, version = version_of(request)
        async with self._connect(secret) as client:
            held = await held_version(client, tenant, version)
        said = request.query_params.get("said", "")
        return self._page("held.html", held=held, said=said, error="", reason="", request_id=new_request_id())

    async def ask_token(self, request: Request) -> Response:
        """Show the login form."""
        return RedirectResponse("/", 303) if self._is_open else self._login(after="/")

    async def log_in(self, request: Request) -> Response:
        """Store the token in a cookie if the server accepts it; else show the form again with the error."""
        form = await read_form(request)
        after = _own_path(form.get("after", "/"))
        try:
            secret = typed_secret(form.get("token", ""))
            async with self._connect(secret) as client:
                await anext(client.tenants(), None)
        except errors.SealserveError as error:
            return self._login(after=after, error=error.message, status=status_of(error))
        response = RedirectResponse(after, 303)
        self._sessions.begin(response, secret)
        return response

    async def log_out(self, request: Request) -> Response:
        """Delete the cookie."""
        response = RedirectResponse("/login", 303)
        self._sessions.end(response)
        return response

    async def style(self, request: Request) -> Response:
        """Return the style sheet."""
        return Response(self._css, media_type="text/css")

    async def fault(self, request: Request, error: errors.SealserveError) -> Response:
        """Show an error; if the token is no longer valid, show the login form."""
        if isinstance(error, errors.Unauthenticated):
            response = self._login(after=_own_path(request.url.path), error=error.message, status=401)
            self._sessions.end(response)
            return response
        if isinstance(error, errors.NotFound):
            return self._nowhere()
        status = status_of(error)
        return self._page("fault.html", status=status, message=error.message, is_passing=is_passing(error))

    async def no_such_page(self, request: Request, error: HTTPException) -> Response:
        """Answer requests for unknown paths and methods."""
        if error.status_code == 404:
            return self._nowhere()
        text = "This method is not supported here."
        return self._page("fault.html", status=error.status_code, message=text, is_passing=False)

    async def broken(self, request: Request, error: Exception) -> Response:
        """Answer an internal error; details are only in the log."""
        text = "Internal error. The details are in the log of the page."
        return self._page("fault.html", status=500, message=text, is_passing=False)

    def _nowhere(self) -> Response:
        """Return the same page for resources that do not exist and for those the caller may not see."""
        text = "This page does not exist, or you may not see it."
        return self._page("fault.html", status=404, message=text, is_passing=False)

    def _login(self, *, after: str, error: str = "", status: int = 200) -> Response:
        admin_file = ADMIN_FILE if self._is_local else ""
        return self._page("login.html", status=status, after=after, error=error, admin_file=admin_file)

    def _page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(self.pages.render(template, has_login=not self._is_open, **values), status)


def _own_path(path: str) -> str:
    """Return `path` where it is one of this site; else the inbox: a form may name it, and forms can be forged."""
    is_own = path.startswith("/") and not path.startswith(("//", "/login", "/logout")) and path.isascii()
    return path if is_own and path.isprintable() and "\\" not in path and not urlsplit(path).netloc else "/"
