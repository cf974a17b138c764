"""Page tokens of listings that the registry returns whole or by position. Opaque to callers."""

import base64
import binascii
import json

from sealserve.errors import InvalidArgument

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000


def page_size_of(page_size: int) -> int:
    """Return the size to use, the default for 0. Raises: InvalidArgument."""
    if not 0 <= page_size <= MAX_PAGE_SIZE:
        raise InvalidArgument(f"page_size must be between 1 and {MAX_PAGE_SIZE}, not {page_size}", field="page_size")
    return page_size or DEFAULT_PAGE_SIZE


def position_token(scope: str, position: int) -> str:
    """Return the token that leads to `position` of the listing named `scope`."""
    return base64.urlsafe_b64encode(json.dumps([scope, position]).encode()).decode()


def position_of(page_token: str, scope: str) -> int:
    """Return the position a token leads to, 0 for none. Raises: InvalidArgument (made up, or of another listing)."""
    if not page_token:
        return 0
    try:
        found_scope, position = json.loads(base64.b64decode(page_token.encode("ascii"), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError) as error:
        raise _refused() from error
    if found_scope != scope or type(position) is not int or not 0 <= position < 2**63:
        raise _refused()
    return position


def _refused() -> InvalidArgument:
    return InvalidArgument("page_token is not one this listing gave out; start again without it", field="page_token")
