"""A route that receives signed items from their source: `POST /sources/{tenant}/{source}`.

The body is JSON: `key` names the item, `event` is "put" or "delete"; with put come `title`, `media_type`, and `text` or
(in base64) `content`. `X-Timestamp` is the time in seconds since 1970, and `X-Signature` is "sha256=" and the hex HMAC
of the timestamp, a full stop and the body under the key in the source's secret_variable. Each signature counts once.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sealserve.errors import CallerError, QuotaExceeded, SealserveError
from sealserve.intake.inbox import Inbox
from sealserve.records.sources import ItemState, Source, SourceItem, SourceKind
from sealserve.registry.registry import Registry
from sealserve.settings.section import read_secret
from sealserve.settings.sources import SourceSettings
from sealserve.sources.connector import MAX_KEY_LENGTH, Fetched
from sealserve.sources.source_runner import forgetting
from sealserve.sources.sync import ItemStore
from sealserve.telemetry.names import LogEvent

_LOG = structlog.get_logger(__name__)

PATH = "/sources/{tenant}/{source}"
READERS = 2
MOST_WAITING = 32
_ENVELOPE_BYTES = 65_536
_BASE64_GROWTH = 4 / 3
MAX_BODY_BYTES = 8 * 2**20
"""Of a delivery: its body is read before its signature can be checked. What is larger is fetched by another kind."""

_UNKNOWN = "there is no such webhook, or the signature is not right"


class _Refused(Exception):
    """A delivery that is not taken; the message is for its sender."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class _Delivery:
    """One signed item as it was sent."""

    key: str
    is_deleted: bool
    title: str = ""
    media_type: str = ""
    content: bytes = b""


class Webhook:
    """Receives deliveries; an application mounts `route`."""

    def __init__(
        self,
        registry: Registry,
        inbox: Inbox,
        settings: SourceSettings,
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._inbox = inbox
        self._settings = settings
        self._wall_clock = wall_clock
        self._turns = asyncio.Semaphore(READERS)
        self._waiting = 0
        self._max_bytes = min(MAX_BODY_BYTES, int(inbox.max_file_bytes * _BASE64_GROWTH) + _ENVELOPE_BYTES)

    def route(self) -> Route:
        """Return the route of every tenant's webhooks. It needs no token, because the signature is checked."""
        return Route(PATH, self._answer, methods=["POST"])

    async def _answer(self, request: Request) -> JSONResponse:
        tenant, name = request.path_params["tenant"], request.path_params["source"]
        try:
            body = await self._body(request)
            signature = request.headers.get("x-signature", "")
            stamp = request.headers.get("x-timestamp", "")
            return JSONResponse(await self._in_turn(tenant, name, body, stamp, signature))
        except _Refused as refused:
            _LOG.warning(LogEvent.DELIVERY_REFUSED, tenant=tenant[:63], source=name[:63], reason=refused.reason)
            return _error(refused.status, refused.reason, str(refused))
        except SealserveError as error:
            _LOG.warning(LogEvent.DELIVERY_REFUSED, tenant=tenant[:63], source=name[:63], reason=error.reason)
            status = 429 if isinstance(error, QuotaExceeded) else 400 if isinstance(error, CallerError) else 503
            return _error(status, error.reason, error.message)

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > self._max_bytes:
                raise _Refused(413, "TOO_LARGE", f"a delivery has at most {self._max_bytes} bytes")
        return bytes(body)

    async def _in_turn(self, tenant: str, name: str, body: bytes, stamp: str, signature: str) -> dict[str, Any]:
        if self._waiting >= MOST_WAITING:
            raise _Refused(503, "BUSY", "too many deliveries wait; send it again later")
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(self._take, tenant, name, body, stamp, signature)
        finally:
            self._waiting -= 1

    def _take(self, tenant: str, name: str, body: bytes, stamp: str, signature: str) -> dict[str, Any]:
        """Take one delivery; return what became of it. Raises: _Refused, SealserveError."""
        source = self._signed_source(tenant, name, body, stamp, signature)
        if self._registry.sources.is_delivered(tenant, name, signature):
            raise _Refused(409, "REPLAYED", "this delivery was received before; sign a new one with the current time")
        delivery = _read(body)
        item = self._store(source, delivery)
        self._registry.sources.note_delivery(tenant, name, signature)
        return {"key": delivery.key, "state": item.state.value, "document": item.document}

    def _signed_source(self, tenant: str, name: str, body: bytes, stamp: str, signature: str) -> Source:
        """Return the source whose key signed the delivery just now. Raises: _Refused, BadConfig (no key is set)."""
        try:
            source = self._registry.sources.get(tenant, name)
        except CallerError as error:
            raise _Refused(401, "UNAUTHENTICATED", _UNKNOWN) from error
        if source.kind is not SourceKind.WEBHOOK:
            raise _Refused(401, "UNAUTHENTICATED", _UNKNOWN)
        try:
            key = read_secret(f"source {name}", source.secret_variable)
        except CallerError as error:
            raise _Refused(503, "NOT_CONFIGURED", "this webhook has no signing key on the server") from error
        wanted = hmac.new(key.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(f"sha256={wanted}".encode(), signature.encode("utf-8", "replace")):
            raise _Refused(401, "UNAUTHENTICATED", _UNKNOWN)
        is_number = stamp.isascii() and stamp.isdigit() and len(stamp) <= 12
        tolerance = self._settings.webhook_tolerance_seconds
        if not is_number or abs(self._wall_clock() - int(stamp)) > tolerance:
            raise _Refused(401, "STALE", f"X-Timestamp must be within {tolerance:g} s of the server's time")
        return source

    def _store(self, source: Source, delivery: _Delivery) -> SourceItem:
        known = self._registry.sources.item(source.tenant, source.name, delivery.key)
        forget = forgetting(self._registry, source.name)
        store = ItemStore(source, registry=self._registry, inbox=self._inbox, forget=forget)
        if delivery.is_deleted:
            if known is not None and known.state is not ItemState.GONE:
                store.leave(known)
            gone = self._registry.sources.item(source.tenant, source.name, delivery.key)
            return gone or SourceItem(tenant=source.tenant, source=source.name, key=delivery.key, state=ItemState.GONE)
        new = SourceItem(tenant=source.tenant, source=source.name, key=delivery.key, state=ItemState.FAILED)
        if known is None:
            self._require_room(source)
        fetched = Fetched(
            content=delivery.content,
            media_type=delivery.media_type,
            label=f"webhook:{source.name}/{delivery.key}",
            title=delivery.title,
        )
        item = store.receive(known or new, fetched, title="")
        return store.settle(item) if source.mirror else item

    def _require_room(self, source: Source) -> None:
        most = self._settings.max_items
        if self._registry.sources.count(source.tenant, source.name) >= most:
            raise _Refused(429, "QUOTA_EXCEEDED", f"the source has {most} items and may have no more")


def _read(body: bytes) -> _Delivery:
    """Return what a body says. Raises: _Refused."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _Refused(400, "INVALID_ARGUMENT", "the body is no JSON") from error
    if not isinstance(fields, dict):
        raise _Refused(400, "INVALID_ARGUMENT", "the body is no JSON object")
    texts = {name: fields.get(name, "") for name in ("key", "event", "title", "media_type", "text", "content")}
    if wrong := [name for name, value in texts.items() if not isinstance(value, str)]:
        raise _Refused(400, "INVALID_ARGUMENT", f"{wrong[0]} must be a string")
    key, event = texts["key"], texts["event"] or "put"
    if not key or len(key) > MAX_KEY_LENGTH or not key.isprintable():
        raise _Refused(400, "INVALID_ARGUMENT", f"key must be 1 to {MAX_KEY_LENGTH} printable characters")
    if event not in ("put", "delete"):
        raise _Refused(400, "INVALID_ARGUMENT", "event must be put or delete")
    try:
        content = base64.b64decode(texts["content"], validate=True) if texts["content"] else texts["text"].encode()
    except (binascii.Error, ValueError) as error:
        raise _Refused(400, "INVALID_ARGUMENT", "content must be base64, or text valid Unicode") from error
    media_type = texts["media_type"] or "text/markdown"
    return _Delivery(
        key=key, is_deleted=event == "delete", title=texts["title"], media_type=media_type, content=content
    )


def _error(status: int, reason: str, message: str) -> JSONResponse:
    headers = {"retry-after": "5"} if status in (429, 503) else {}
    return JSONResponse({"error": {"reason": reason, "message": message}}, status_code=status, headers=headers)
