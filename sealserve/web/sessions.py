"""Login sessions: the token is kept in a cookie until the browser closes.

The page stores no state; the server checks the token on every call.
"""

import re

from starlette.requests import Request
from starlette.responses import Response

from sealserve.errors import Unauthenticated
from sealserve.records.principals import MAX_SECRET_CHARACTERS
from sealserve.settings.web import WebSettings

_SECRET = re.compile(rf"[A-Za-z0-9._~+/=-]{{1,{MAX_SECRET_CHARACTERS}}}", re.ASCII)
"""A bearer token (RFC 6750, section 2.1)."""


class Sessions:
    """Reads and writes the cookie. Its name contains the port, since browsers share cookies between ports."""

    def __init__(self, settings: WebSettings) -> None:
        self._is_secure = settings.is_secure
        self._name = f"sealserve-{settings.endpoint()[1]}"

    def secret_of(self, request: Request) -> str:
        """Return the token of the request; "" if it has none or a malformed one."""
        shown = request.cookies.get(self._name, "")
        return shown if _SECRET.fullmatch(shown) else ""

    def begin(self, response: Response, secret: str) -> None:
        """Set the cookie to `secret`."""
        response.set_cookie(self._name, secret, httponly=True, samesite="strict", secure=self._is_secure)

    def end(self, response: Response) -> None:
        """Delete the cookie."""
        response.delete_cookie(self._name, httponly=True, samesite="strict", secure=self._is_secure)


def typed_secret(text: str) -> str:
    """Return the token that was typed in. Raises: Unauthenticated (empty or malformed)."""
    secret = text.strip()
    if not secret:
        raise Unauthenticated("enter a token", reason="TOKEN_MISSING")
    if not _SECRET.fullmatch(secret):
        raise Unauthenticated("this is not a valid token: paste the whole token and nothing else")
    return secret
