"""Sends HTTP requests bounded in size, time, rate and redirects, to public addresses only."""

import base64
import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit
from urllib.robotparser import RobotFileParser

import httpx

from sealserve.sources.addresses import resolve
from sealserve.sources.connector import (
    SYNC_BYTES,
    ItemFailed,
    ItemGone,
    ItemNotFetched,
    ItemRefused,
    Limits,
    SourceFailed,
)

USER_AGENT = "sealserve"
MAX_ROBOTS_BYTES = 500 * 1024  # RFC 9309, section 2.5
MAX_CRAWL_DELAY_SECONDS = 30.0
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{1,1024}")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({404, 410})
_CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response whose body is read. `body` is None for 304: nothing has changed."""

    url: str
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes | None

    @property
    def validator(self) -> str:
        """What a later request sends to ask whether this has changed (an ETag or a date)."""
        etag, modified = self.headers.get("etag", ""), self.headers.get("last-modified", "")
        return f"etag:{etag}" if etag else f"modified:{modified}" if modified else ""


class Turns:
    """Keeps requests to one source apart. Blocking."""

    def __init__(self, requests_per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._delay_seconds = 1.0 / requests_per_second
        self._clock = clock
        self._next_at = 0.0

    def wait(self) -> None:
        """Wait until the next request may be made."""
        now = self._clock()
        if self._next_at > now:
            time.sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + self._delay_seconds

    def keep_apart(self, seconds: float) -> None:
        """Let `seconds` pass between requests, if that is longer than so far."""
        self._delay_seconds = max(self._delay_seconds, seconds)


class WebClient:
    """The HTTP client of one source. Blocking."""

    def __init__(
        self, limits: Limits, *, secret: str = "", home: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`secret`, a token or "user:password", is shown to the host of the address `home`, and to no other.

        Raises: SourceFailed (`home` is not an address).
        """
        self._limits = limits
        self._clock = clock
        self._home, self._authorization = _split(home)[:2], _authorization(secret)
        self._turns = Turns(limits.requests_per_second, clock=clock)
        self._bytes_left = limits.max_total_bytes
        self._robots: dict[str, RobotFileParser] = {}
        self._client = httpx.Client(
            transport=PinnedTransport(allow_private=limits.allow_private_addresses),
            timeout=limits.request_seconds,
            headers={"user-agent": USER_AGENT, "accept-encoding": "gzip, deflate"},
            follow_redirects=False,
            trust_env=False,
        )

    def get(
        self,
        url: str,
        *,
        max_bytes: int,
        validator: str = "",
        obey_robots: bool = False,
        extra: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the response of `url`, after redirects; with 304 its body is None. `extra` are more headers.

        Raises: ItemGone (404, 410), ItemRefused (too large, robots.txt), ItemFailed (another status; the time is up),
        SourceFailed (no connection, a private address, too many bytes in all).
        """
        headers = {**(extra or {}), **_conditions(validator)}
        for _ in range(self._limits.max_redirects + 1):
            if obey_robots and not self._is_allowed(url):
                raise ItemRefused(f"{url}: robots.txt does not let it be fetched", reason="ROBOTS")
            response = self._once("GET", url, headers=headers, max_bytes=max_bytes)
            if response.status not in _REDIRECTS:
                return _checked(response)
            url = _joined(url, response.headers.get("location", ""))
        raise ItemFailed(f"{url}: more than {self._limits.max_redirects} redirects", reason="REDIRECTS")

    def post(self, url: str, content: bytes, *, headers: Mapping[str, str], max_bytes: int) -> Response:
        """Return the response to a request with `content`; a redirect is an error. Raises: as `get`."""
        return _checked(self._once("POST", url, headers=headers, max_bytes=max_bytes, content=content))

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _once(
        self, method: str, url: str, *, headers: Mapping[str, str], max_bytes: int, content: bytes | None = None
    ) -> Response:
        self._turns.wait()
        deadline = self._clock() + self._limits.request_seconds
        parts = _split(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SourceFailed(f"{url[:200]!r} is not an http or https address", reason="BAD_ADDRESS")
        own = {"authorization": self._authorization} if self._authorization and parts[:2] == self._home else {}
        try:
            with self._client.stream(method, url, headers={**headers, **own}, content=content) as answer:
                return self._read(answer, url=url, max_bytes=max_bytes, deadline=deadline)
        except httpx.InvalidURL as error:
            raise SourceFailed(f"{url[:200]!r} is not an address", reason="BAD_ADDRESS") from error
        except httpx.TimeoutException as error:
            raise ItemFailed(f"{url}: no answer within {self._limits.request_seconds:g} s", reason="TIMEOUT") from error
        except httpx.HTTPError as error:
            if "location header" in str(error):  # httpx reads where a redirect leads before it returns the response
                raise ItemFailed(f"{url}: redirects to what is no address", reason="REDIRECTS") from error
            raise SourceFailed(f"{url}: {str(error) or type(error).__name__}", reason="NO_CONNECTION") from error

    def _read(self, answer: httpx.Response, *, url: str, max_bytes: int, deadline: float) -> Response:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        response = Response(url=url, status=answer.status_code, headers=headers, body=None)
        if answer.status_code == 304 or answer.status_code in _REDIRECTS or answer.status_code >= 400:
            return response
        encoding = headers.get("content-encoding", "").strip().lower()
        body = bytearray()
        for piece in _unpacked(answer.iter_raw(_CHUNK_BYTES), encoding=encoding, max_bytes=max_bytes + 1):
            body += piece
            self._bytes_left -= len(piece)
            if len(body) > max_bytes:
                raise ItemRefused(f"{url}: more than {max_bytes} bytes", reason="TOO_LARGE")
            if self._bytes_left < 0:
                raise SourceFailed("one sync may fetch no more bytes", reason=SYNC_BYTES)
            if self._clock() > deadline:
                raise ItemFailed(f"{url}: not read within {self._limits.request_seconds:g} s", reason="TIMEOUT")
        return Response(url=url, status=answer.status_code, headers=headers, body=bytes(body))

    def _is_allowed(self, url: str) -> bool:
        parts = _split(url)
        root = f"{parts.scheme}://{parts.netloc}"
        if root not in self._robots:
            self._robots[root] = self._read_robots(root)
        return self._robots[root].can_fetch(USER_AGENT, url)

    def _read_robots(self, root: str) -> RobotFileParser:
        """Return the rules of a host; RFC 9309: without the file all is allowed, while it cannot be read nothing is."""
        rules, lines = RobotFileParser(), ["User-agent: *", "Allow: /"]
        try:
            response = self.get(f"{root}/robots.txt", max_bytes=MAX_ROBOTS_BYTES)
            lines = (response.body or b"").decode("utf-8", "replace").splitlines()
        except ItemFailed as error:
            if error.reason in ("STATUS_5XX", "TIMEOUT"):
                lines = ["User-agent: *", "Disallow: /"]
        except ItemNotFetched:
            pass
        rules.parse(lines)
        delay = rules.crawl_delay(USER_AGENT)
        if delay is not None:
            self._turns.keep_apart(min(float(delay), MAX_CRAWL_DELAY_SECONDS))
        return rules


class PinnedTransport(httpx.BaseTransport):
    """Connects to the address that was checked, under the name that was asked for."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner = httpx.HTTPTransport(retries=0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Raises: SourceFailed (a private address), httpx.HTTPError."""
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        address = resolve(host, port, allow_private=self._allow_private)
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=address)  # the Host header stays as it was made
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Close every connection."""
        self._inner.close()


def unzip(content: bytes, *, max_bytes: int) -> bytes:
    """Return what a gzip file holds. Raises: ItemRefused (more than `max_bytes`, or no gzip file)."""
    unpacked = b"".join(_unpacked(iter((content,)), encoding="gzip", max_bytes=max_bytes + 1))
    if len(unpacked) > max_bytes:
        raise ItemRefused(f"more than {max_bytes} bytes, unpacked", reason="TOO_LARGE")
    return unpacked


def _unpacked(pieces: Iterator[bytes], *, encoding: str, max_bytes: int) -> Iterator[bytes]:
    """Yield `pieces` unpacked, at most `max_bytes` and never more than that in memory."""
    if encoding in ("", "identity"):
        yield from pieces
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ItemFailed(f"its content encoding {encoding[:40]!r} is none that was asked for", reason="ENCODING")
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | (16 if "gzip" in encoding else 0))
    left = max_bytes
    for piece in pieces:
        packed = piece
        while packed and left > 0:
            try:
                out = reader.decompress(packed, min(left, _CHUNK_BYTES * 16))
            except zlib.error as error:
                raise ItemFailed("its compressed body is broken", reason="ENCODING") from error
            packed = reader.unconsumed_tail
            left -= len(out)
            yield out
        if left <= 0:
            return


def _split(url: str) -> SplitResult:
    """Return the parts of an address. Raises: SourceFailed (it is none)."""
    try:
        return urlsplit(url)
    except ValueError as error:
        raise SourceFailed(f"{url[:200]!r} is not an address: {error}", reason="BAD_ADDRESS") from error


def _joined(url: str, target: str) -> str:
    try:
        return urljoin(url, target)
    except ValueError as error:
        raise ItemFailed(f"{url}: it leads to {target[:200]!r}, which is not an address", reason="REDIRECTS") from error


def _authorization(secret: str) -> str:
    if ":" in secret:
        return f"Basic {base64.b64encode(secret.encode()).decode()}"
    return f"Bearer {secret}" if secret else ""


def _checked(response: Response) -> Response:
    status = response.status
    if status in _GONE:
        raise ItemGone(f"{response.url}: status {status}")
    if status >= 400 or status in _REDIRECTS:
        reason = {401: "DENIED", 403: "DENIED", 407: "DENIED", 429: "TOO_MANY"}.get(status, f"STATUS_{status // 100}XX")
        why = ": it needs other credentials" if reason == "DENIED" else ""
        raise ItemFailed(f"{response.url}: status {status}{why}", reason=reason)
    return response


def _conditions(validator: str) -> dict[str, str]:
    kind, _, value = validator.partition(":")
    if not value or not _HEADER_VALUE.fullmatch(value):
        return {}
    return {"if-none-match": value} if kind == "etag" else {"if-modified-since": value}
