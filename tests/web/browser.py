"""What a browser would send, without one: the page as an application over a real server, and a person's cookie jar."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import httpx

from sealserve.client import AsyncClient
from sealserve.records.principals import Principal, Role
from sealserve.settings.web import WebSettings
from sealserve.web.app import make_app
from tests.registry.world import World
from tests.rpc.harness import Served, served, settings

ORIGIN = "http://127.0.0.1:7433"
OWN = {"sec-fetch-site": "same-origin"}


@dataclass(kw_only=True)
class Page:
    """The page, and one person who looks at it."""

    here: Served
    http: httpx.AsyncClient

    @property
    def world(self) -> World:
        return self.here.world

    def token(self, name: str, role: Role, *tenants: str, expires_days: int | None = None) -> str:
        """Make a token and return its secret."""
        principal = Principal(name=name, role=role, tenants=tenants or None)
        return self.here.registry.tokens.create(principal, actor="test", expires_days=expires_days)[1]

    async def log_in(self, name: str = "bea", role: Role = Role.APPROVER, *tenants: str) -> None:
        """Log a new person in."""
        answer = await self.post("/login", token=self.token(name, role, *tenants))
        assert (answer.status_code, answer.headers["location"]) == (303, "/")

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Open a page."""
        return await self.http.get(path, headers=headers)

    async def post(self, path: str, **form: str) -> httpx.Response:
        """Send a form as a browser does from one of our pages."""
        return await self.http.post(path, data=form, headers=OWN)

    async def decide(self, decision: str, *, reason: str = "", path: str = "/approvals/acme/1") -> httpx.Response:
        """Open a held version and send its form."""
        page = await self.get(path)
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
        return await self.post(path, decision=decision, reason=reason, **hidden)


@asynccontextmanager
async def looking(directory: Path, *, rules: Path | None = None, is_open: bool = False) -> AsyncIterator[Page]:
    """A server, the page before it, and somebody who has not logged in."""
    async with served(directory, rules=rules, serve=settings(auth="off" if is_open else "token")) as here:
        app = make_app(
            WebSettings(),
            connect=lambda secret: AsyncClient(here.address, token=secret, timeout_seconds=20),
            is_open=is_open,
            clock=lambda: datetime.now(UTC) + timedelta(hours=3),
        )
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as http:
            yield Page(here=here, http=http)


def words(answer: httpx.Response) -> str:
    """The page without tags, as it is read."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.text)))
