"""Request ids: the same mutation asked for twice is done once."""

import hashlib

from sqlalchemy import select

from sealserve.canonical import Json, canonical_json
from sealserve.errors import InvalidArgument
from sealserve.records.validation import require_line
from sealserve.registry.sql.database import Transaction
from sealserve.registry.sql.tables import requests

MAX_REQUEST_ID_LENGTH = 128


def earlier_answer(tx: Transaction, method: str, *, tenant: str, request_id: str, arguments: Json) -> str | None:
    """Return the answer's key if this request was done before; None if not, or if it bears no id.

    Raises: InvalidArgument if the id is too long, or was used with other arguments.
    """
    if not request_id:
        return None
    require_line(request_id, field="request_id", max_length=MAX_REQUEST_ID_LENGTH)
    row = tx.row(
        select(requests).where(
            requests.c.tenant == tenant, requests.c.method == method, requests.c.request_id == request_id
        )
    )
    if row is None:
        return None
    if row.arguments != _digest(arguments):
        raise InvalidArgument(
            f"request_id {request_id!r} was used before with other arguments; choose a new one", field="request_id"
        )
    return str(row.answer)


def remember(tx: Transaction, method: str, *, tenant: str, request_id: str, arguments: Json, answer: str) -> None:
    """Keep the answer's key for `request_id`, if there is one, as part of `tx`."""
    if request_id:
        tx.insert(
            requests,
            [
                {
                    "tenant": tenant,
                    "method": method,
                    "request_id": request_id,
                    "arguments": _digest(arguments),
                    "answer": answer,
                    "created_at": tx.now,
                }
            ],
        )


def _digest(arguments: Json) -> str:
    return hashlib.sha256(canonical_json(arguments).encode()).hexdigest()
