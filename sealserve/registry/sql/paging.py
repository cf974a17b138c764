"""Pages of a listing and the opaque tokens that lead to the next one."""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Column, Row, Select

from sealserve.errors import InvalidArgument
from sealserve.records.pages import Page
from sealserve.registry.sql.database import Transaction

MAX_PAGE_SIZE = 1000

T = TypeVar("T")
Key = str | int


def page(
    tx: Transaction,
    query: Select[Any],
    *,
    key: Column[Any],
    scope: str,
    page_size: int,
    page_token: str,
    convert: Callable[[Row[Any]], T],
    newest_first: bool = False,
) -> Page[T]:
    """Return the page of `query` after `page_token`, ordered by `key`.

    `scope` names the listing: a token of another one is refused. Raises: InvalidArgument (page_size, page_token).
    """
    if not 1 <= page_size <= MAX_PAGE_SIZE:
        raise InvalidArgument(f"page_size must be between 1 and {MAX_PAGE_SIZE}, not {page_size}", field="page_size")
    if page_token:
        after = _decoded(page_token, scope=scope, kind=key.type.python_type)
        query = query.where(key < after if newest_first else key > after)
    rows = tx.rows(query.order_by(key.desc() if newest_first else key).limit(page_size + 1))
    has_more = len(rows) > page_size
    kept = rows[:page_size]
    token = _encoded(kept[-1]._mapping[key], scope=scope) if has_more else ""
    return Page(items=tuple(map(convert, kept)), next_page_token=token)


def _encoded(key: Key, *, scope: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([scope, key]).encode()).decode()


def _decoded(token: str, *, scope: str, kind: type) -> Key:
    try:
        found_scope, key = json.loads(base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise _refused() from error
    if found_scope != scope or type(key) is not kind or (isinstance(key, int) and not 0 <= key < 2**63):
        raise _refused()
    return kind(key)  # type: ignore[no-any-return]


def _refused() -> InvalidArgument:
    return InvalidArgument("page_token is not one this listing gave out; start again without it", field="page_token")
