"""Reads objects below a prefix of an S3 bucket, at Amazon or at any compatible endpoint."""

import socket
from typing import Any
from urllib.parse import parse_qs, urlsplit

import s3fs
from aiohttp.abc import AbstractResolver, ResolveResult
from botocore.exceptions import BotoCoreError, ClientError

from sealserve.sources.addresses import resolve
from sealserve.sources.connector import (
    MAX_KEY_LENGTH,
    Fetched,
    ItemFailed,
    ItemGone,
    ItemRefused,
    ListedItem,
    Listing,
    SourceFailed,
    Spec,
    Unchanged,
)
from sealserve.sources.item_names import is_included, media_type_of
from sealserve.sources.web_client import Turns

_PAGE = 1000
_PARAMETERS = ("endpoint", "region")
_AWAY = (OSError, BotoCoreError, ClientError, ValueError)
"""What s3fs raises; most of S3's errors become an OSError."""


class S3Connector:
    """A bucket, or a prefix of it. `secret` is "KEY ID:SECRET KEY"; without one, requests are unsigned.

    The location may name another endpoint and a region: s3://bucket/prefix?endpoint=https://…&region=eu-central-1.
    """

    def __init__(self, spec: Spec) -> None:
        """Raises: SourceFailed (the location, or a private address)."""
        self._spec = spec
        parts = urlsplit(spec.location)
        asked = parse_qs(parts.query)
        if not parts.netloc or set(asked) - set(_PARAMETERS):
            raise SourceFailed("its location is s3://bucket/prefix, with endpoint and region at most")
        self._bucket, self._prefix = parts.netloc, parts.path.lstrip("/")
        endpoint = asked.get("endpoint", [""])[0]
        if endpoint:
            _require_allowed(endpoint, spec)
        key, _, secret = spec.secret.partition(":")
        limits = spec.limits
        self._turns = Turns(limits.requests_per_second)
        self._store = s3fs.S3FileSystem(
            anon=not key,
            key=key or None,
            secret=secret or None,
            endpoint_url=endpoint or None,
            client_kwargs={"region_name": asked.get("region", ["us-east-1"])[0]},
            config_kwargs={
                "connect_timeout": limits.request_seconds,
                "read_timeout": limits.request_seconds,
                "retries": {"max_attempts": 2},
                "connector_args": {"resolver": _CheckedResolver(allow_private=limits.allow_private_addresses)},
            },
            skip_instance_cache=True,
            use_listings_cache=False,
        )

    def listing(self, cursor: str) -> Listing | Unchanged:
        """Raises: SourceFailed (no bucket, no right to list it)."""
        limits, fault = self._spec.limits, ""
        items: list[ListedItem] = []
        more: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", Bucket=self._bucket, Prefix=self._prefix, MaxKeys=_PAGE, **more)
            items += [found for entry in page.get("Contents", []) if (found := self._item(entry))]
            if len(items) > limits.max_items:
                fault = f"more than {limits.max_items} objects: the rest is not taken"
                break
            if not page.get("IsTruncated"):
                break
            more = {"ContinuationToken": page["NextContinuationToken"]}
        return Listing(items=tuple(items[: limits.max_items]), fault=fault)

    def fetch(self, item: ListedItem, *, validator: str) -> Fetched | Unchanged:
        """Raises: ItemFailed, ItemRefused, ItemGone."""
        limit = self._spec.limits.max_item_bytes
        self._turns.wait()
        try:
            content = self._store.cat_file(f"{self._bucket}/{item.key}", start=0, end=limit + 1)
        except FileNotFoundError as error:
            raise ItemGone(f"{item.key}: it is not there") from error
        except _AWAY as error:
            raise ItemFailed(f"{item.key}: {error}", reason="OBJECT_STORE") from error
        if len(content) > limit:
            raise ItemRefused(f"{item.key}: more than {limit} bytes", reason="TOO_LARGE")
        label = f"s3://{self._bucket}/{item.key}"
        return Fetched(content=bytes(content), media_type=media_type_of(item.key), label=label)

    def close(self) -> None:
        """The process that holds the connections ends with the sync."""

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        self._turns.wait()
        try:
            answer: dict[str, Any] = self._store.call_s3(method, **arguments)
        except _AWAY as error:
            raise SourceFailed(f"the bucket {self._bucket}: {error}", reason="OBJECT_STORE") from error
        return answer

    def _item(self, entry: dict[str, Any]) -> ListedItem | None:
        key = str(entry["Key"])
        if key.endswith("/") or len(key) > MAX_KEY_LENGTH or not is_included(key, self._spec.include):
            return None
        return ListedItem(key=key, token=f"{entry.get('ETag', '')}:{entry.get('Size', 0)}")


class _CheckedResolver(AbstractResolver):
    """Resolves to the address that was checked, so that the connection goes there and nowhere else."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises: OSError (no address, or one that is not public)."""
        try:
            address = resolve(host, port, allow_private=self._allow_private)
        except SourceFailed as error:
            raise OSError(error.message) from error
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
        ]

    async def close(self) -> None:
        """Nothing is held open."""


def _require_allowed(endpoint: str, spec: Spec) -> None:
    """Check an IP address: it is not resolved, so the resolver would never see it. Raises: SourceFailed."""
    parts = urlsplit(endpoint)
    try:
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        host, port = None, 0
    if parts.scheme not in ("http", "https") or not host:
        raise SourceFailed(f"its endpoint {endpoint[:200]!r} is no http or https address", reason="BAD_ADDRESS")
    resolve(host, port, allow_private=spec.limits.allow_private_addresses)
