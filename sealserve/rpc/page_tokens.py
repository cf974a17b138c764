"""Page tokens: where a listing goes on, sealed on the wire.

Inside they hold keys and positions of the registry, some of which count every tenant's rows. Callers get them
encrypted and authenticated: nobody reads in them how much others do, and none is made up.
"""

import base64
import binascii
import json
import secrets
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sealserve.errors import InvalidArgument

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
MAX_TOKEN_CHARACTERS = 4096
KEY_BYTES = 32
_NONCE_BYTES = 12  # as NIST SP 800-38D recommends for GCM


class SealedPageTokens:
    """Seals the page tokens of responses and opens those of requests, with AES-256-GCM under one key."""

    def __init__(self, key: bytes) -> None:
        """`key` has KEY_BYTES."""
        self._cipher = AESGCM(key)

    def open(self, request: Any, *, method: str) -> None:
        """Replace the token in `request`, if it has one, by what was sealed. Raises: InvalidArgument."""
        token = getattr(request, "page_token", "")
        if not token:
            return
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise _refused()
        try:
            raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
            opened = self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], method.encode())
        except (binascii.Error, ValueError, InvalidTag) as error:
            raise _refused() from error
        request.page_token = opened.decode()

    def seal(self, response: Any, *, method: str) -> None:
        """Replace the token in `response`, if it has one, by a sealed one that only `method` takes."""
        token = getattr(response, "next_page_token", "")
        if token:
            nonce = secrets.token_bytes(_NONCE_BYTES)
            sealed = self._cipher.encrypt(nonce, token.encode(), method.encode())
            response.next_page_token = base64.urlsafe_b64encode(nonce + sealed).decode()


def page_size_of(page_size: int) -> int:
    """Return the size to use, the default for 0. Raises: InvalidArgument."""
    if not 0 <= page_size <= MAX_PAGE_SIZE:
        raise InvalidArgument(f"page_size must be between 1 and {MAX_PAGE_SIZE}, not {page_size}", field="page_size")
    return page_size or DEFAULT_PAGE_SIZE


def position_token(scope: str, position: int) -> str:
    """Return the token that leads to `position` of the listing named `scope`."""
    return base64.urlsafe_b64encode(json.dumps([scope, position]).encode()).decode()


def position_of(page_token: str, scope: str) -> int:
    """Return the position a token leads to, 0 for none. Raises: InvalidArgument (of another listing)."""
    if not page_token:
        return 0
    try:
        found_scope, position = json.loads(base64.b64decode(page_token.encode("ascii"), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise _refused() from error
    if found_scope != scope or type(position) is not int or not 0 <= position < 2**63:
        raise _refused()
    return position


def _refused() -> InvalidArgument:
    return InvalidArgument("page_token is not one this listing gave out; start again without it", field="page_token")
