"""Handles the decision form: approve or reject. The typed reason survives every error."""

import re
import uuid

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sealserve.client import AsyncClient
from sealserve.errors import InvalidArgument, NotFound, SealserveError, Unauthenticated
from sealserve.web.forms import read_form
from sealserve.web.render import Pages
from sealserve.web.view_data import Connect, held_version
from sealserve.wire.http_statuses import is_passing, status_of

_VERSION = re.compile(r"v?([1-9][0-9]{0,8})", re.ASCII)
TENANT = re.compile(r"[a-z0-9-]{1,63}", re.ASCII)
"""A tenant's name in a path."""


class Decisions:
    """Sends decisions to the server with the token of the person who made them."""

    def __init__(self, pages: Pages, *, connect: Connect, has_login: bool) -> None:
        self._pages = pages
        self._connect = connect
        self._has_login = has_login

    async def decide(self, request: Request, secret: str) -> Response:
        """Approve or reject, then show the version again, with the error if the server refused."""
        tenant, version = version_of(request)
        form = await read_form(request)
        reason, request_id = form.get("reason", ""), form.get("request_id", "")
        try:
            async with self._connect(secret) as client:
                if form.get("decision") == "approve":
                    etag = form.get("etag", "")
                    await client.approve(tenant, version, etag=etag, reason=reason, request_id=request_id)
                elif form.get("decision") == "reject":
                    await client.reject(tenant, version, reason=reason, request_id=request_id)
                else:
                    raise InvalidArgument("choose approve or reject", field="decision")
        except NotFound:
            raise
        except SealserveError as error:
            return await self._again(error, secret, tenant=tenant, version=version, form=dict(form))
        return RedirectResponse(f"/approvals/{tenant}/{version}?said={form['decision']}", 303)

    async def _again(
        self, error: SealserveError, secret: str, *, tenant: str, version: int, form: dict[str, str]
    ) -> Response:
        """Show the version with the error and the typed reason; if it cannot be shown now, only the form."""
        reason, status = form.get("reason", ""), status_of(error)
        if not isinstance(error, Unauthenticated) and not is_passing(error):
            try:
                async with self._connect(secret) as client:
                    return await self._whole(client, error, tenant=tenant, version=version, reason=reason)
            except SealserveError as later:
                error, status = later, status_of(later)
        values = {
            "tenant": tenant, "version": version, "reason": reason, "error": error.message,
            "etag": form.get("etag", ""), "request_id": form.get("request_id", "") or new_request_id(),
            "is_stranger": isinstance(error, Unauthenticated), "is_passing": is_passing(error),
        }  # fmt: skip
        return HTMLResponse(self._pages.render("retry.html", has_login=self._has_login, **values), status)

    async def _whole(
        self, client: AsyncClient, error: SealserveError, *, tenant: str, version: int, reason: str
    ) -> Response:
        held = await held_version(client, tenant, version)
        values = {"held": held, "said": "", "error": error.message, "reason": reason, "request_id": new_request_id()}
        return HTMLResponse(self._pages.render("held.html", has_login=self._has_login, **values), status_of(error))


def version_of(request: Request) -> tuple[str, int]:
    """Return the tenant and version that the path names. Raises: NotFound (it names none)."""
    tenant, version = request.path_params["tenant"], _VERSION.fullmatch(request.path_params["version"])
    if version is None or not TENANT.fullmatch(tenant):
        raise NotFound(request.url.path, kind="page")
    return tenant, int(version[1])


def new_request_id() -> str:
    """Return an id that makes a decision idempotent."""
    return uuid.uuid4().hex
