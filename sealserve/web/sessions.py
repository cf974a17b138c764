"""How a browser shows who is there: the token that a person typed in, kept in a cookie until the browser closes.

The page keeps nothing: whose token it is, and until when it is good, the server says at every call.
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
    """Reads and writes the cookie. One page's is not another's on the same machine: cookies know no ports."""

    def __init__(self, settings: WebSettings) -> None:
        self._is_secure = settings.is_secure
        self._name = f"sealserve-{settings.endpoint()[1]}"

    def secret_of(self, request: Request) -> str:
        """Return the token that the browser shows; "" for none, or what cannot be one."""
        shown = request.cookies.get(self._name, "")
        return shown if _SECRET.fullmatch(shown) else ""

    def begin(self, response: Response, secret: str) -> None:
        """Have the browser show `secret` from now on."""
        response.set_cookie(self._name, secret, httponly=True, samesite="strict", secure=self._is_secure)

    def end(self, response: Response) -> None:
        """Have the browser forget it."""
        response.delete_cookie(self._name, httponly=True, samesite="strict", secure=self._is_secure)


def typed_secret(text: str) -> str:
    """Return the token in what a person typed. Raises: Unauthenticated (none, or it cannot be one)."""
    secret = text.strip()
    if not secret:
        raise Unauthenticated("type or paste a token", reason="TOKEN_MISSING")
    if not _SECRET.fullmatch(secret):
        raise Unauthenticated("this is no token: paste the whole of it, and nothing else")
    return secret
