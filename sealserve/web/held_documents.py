"""The page of a held document, and its form: release it, or reject and delete it.

The decisions are those of `sealserve doc release` and `sealserve doc forget`; the server says who may take them.
"""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sealserve.client import AsyncClient
from sealserve.errors import FailedPrecondition, InvalidArgument, NotFound, SealserveError, Unauthenticated
from sealserve.records.documents import DocumentState
from sealserve.web.decisions import TENANT, new_request_id
from sealserve.web.forms import read_form
from sealserve.web.render import Pages
from sealserve.web.view_data import Connect, paper_of
from sealserve.wire.http_statuses import is_passing, status_of

_DOCUMENT = re.compile(r"[0-9a-f]{16}", re.ASCII)


class HeldDocuments:
    """Shows held documents, and sends decisions to the server with the token of the person who made them."""

    def __init__(self, pages: Pages, *, connect: Connect, has_login: bool) -> None:
        self._pages = pages
        self._connect = connect
        self._has_login = has_login

    async def show(self, request: Request, secret: str) -> Response:
        """Show a document with the form for the decision. Raises: NotFound."""
        tenant, name = document_of(request)
        async with self._connect(secret) as client:
            paper = await paper_of(client, tenant, name)
        said = request.query_params.get("said", "")
        return self._page(tenant, name, paper=paper, said=said)

    async def decide(self, request: Request, secret: str) -> Response:
        """Release or delete the document, then show it again, with the error if the server refused."""
        tenant, name = document_of(request)
        form = dict(await read_form(request))
        try:
            async with self._connect(secret) as client:
                await _send(client, form, tenant=tenant, name=name)
        except NotFound:
            raise
        except SealserveError as error:
            return await self._again(error, secret, tenant=tenant, name=name, form=form)
        return RedirectResponse(f"/documents/{tenant}/{name}?said={form['decision']}", 303)

    async def _again(
        self, error: SealserveError, secret: str, *, tenant: str, name: str, form: dict[str, str]
    ) -> Response:
        """Show the document with the error and the typed reason; if it cannot be shown now, only the form."""
        typed: dict[str, Any] = {"reason": form.get("reason", ""), "status": status_of(error)}
        if not isinstance(error, Unauthenticated) and not is_passing(error):
            try:
                async with self._connect(secret) as client:
                    paper = await paper_of(client, tenant, name)
                    return self._page(tenant, name, paper=paper, error=error.message, **typed)
            except SealserveError as later:
                error, typed["status"] = later, status_of(later)
        return self._page(
            tenant,
            name,
            paper=None,
            error=error.message,
            request_id=form.get("request_id", ""),
            is_stranger=isinstance(error, Unauthenticated),
            is_passing=is_passing(error),
            **typed,
        )

    def _page(self, tenant: str, name: str, *, status: int = 200, request_id: str = "", **values: Any) -> Response:
        shown = {"said": "", "error": "", "reason": "", "is_stranger": False, "is_passing": False, **values}
        shown |= {"tenant": tenant, "name": name, "request_id": request_id or new_request_id()}
        return HTMLResponse(self._pages.render("document.html", has_login=self._has_login, **shown), status)


async def _send(client: AsyncClient, form: dict[str, str], *, tenant: str, name: str) -> None:
    """Raises: as the calls; FailedPrecondition (to be rejected, but not held any more)."""
    typed = {"reason": form.get("reason", ""), "request_id": form.get("request_id", "")}
    if form.get("decision") == "release":
        await client.release_document(tenant, name, **typed)
    elif form.get("decision") == "reject":
        present = await client.document(tenant, name)
        if present.state not in (DocumentState.HELD, DocumentState.FORGOTTEN):
            raise FailedPrecondition(f"the document is {present.state}, and no policy holds it", reason="NOT_HELD")
        await client.forget_document(tenant, name, **typed)
    else:
        raise InvalidArgument("choose release or reject", field="decision")


def document_of(request: Request) -> tuple[str, str]:
    """Return the tenant and document that the path names. Raises: NotFound (it names none)."""
    tenant, document = request.path_params["tenant"], request.path_params["document"]
    if not _DOCUMENT.fullmatch(document) or not TENANT.fullmatch(tenant):
        raise NotFound(request.url.path, kind="page")
    return tenant, document
