"""Reads files at the tip of a branch of a git repository, over https or on this machine.

Each file is a blob, and a blob's name is the digest of its content: between two commits, only changed blobs are read.
Over https only the tip's folders are fetched, without history and into memory, and of its files those that are asked
for, some at a time (git's partial clones). A server that makes no partial clones sends the whole tip.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from dulwich.client import AbstractHttpGitClient
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository, ObjectFormatException
from dulwich.object_store import iter_tree_contents
from dulwich.objects import Blob, Commit
from dulwich.repo import MemoryRepo, Repo

from sealserve.sources.connector import (
    MAX_KEY_LENGTH,
    Fetched,
    ItemFailed,
    ItemGone,
    ItemNotFetched,
    ItemRefused,
    ListedItem,
    Listing,
    SourceFailed,
    Spec,
    Unchanged,
)
from sealserve.sources.item_names import is_included, media_type_of
from sealserve.sources.web_client import WebClient

PACK_SECONDS = 300.0
"""Time of a request for files: all of a tip may come in one answer."""

MAX_BATCH_FILES = 256
MAX_BATCH_BYTES = 32 * 2**20
"""Of one answer with files. How many files an answer has doubles from one: few have changed, or all are new."""

_PACK_BYTES = 65_536
"""What an answer with one file may have besides the file."""

_PLAIN_FILE = 0o100000
_FILE_TYPE = 0o170000
_BROKEN = (GitProtocolError, HangupException, ObjectFormatException, KeyError, ValueError, AssertionError, OSError)
"""What dulwich raises for a malformed server response or repository."""


class GitConnector:
    """A branch of a repository. Cursors and tokens are git's own names of commits and blobs."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._repository: Repo | MemoryRepo | None = None
        self._blobs: dict[str, bytes] = {}
        self._files: MemoryRepo | None = None  # those of the last answer
        self._batch = 1
        is_remote = spec.location.startswith(("https://", "http://"))
        self._web: WebClient | None = None
        self._packs: WebClient | None = None  # for requests that take longer
        if is_remote:
            patient = replace(spec.limits, request_seconds=max(PACK_SECONDS, spec.limits.request_seconds))
            self._web = WebClient(spec.limits, secret=spec.secret, home=spec.location)
            self._packs = WebClient(patient, secret=spec.secret, home=spec.location)

    def listing(self, cursor: str) -> Listing | Unchanged:
        """Raises: SourceFailed (no repository, no such branch, too large)."""
        try:
            return self._listing(cursor)
        except ItemNotFetched as error:
            raise SourceFailed(f"the repository: {error.message}", reason=error.reason) from error
        except NotGitRepository as error:
            raise SourceFailed("there is no git repository", reason="NO_REPOSITORY") from error
        except _BROKEN as error:
            raise SourceFailed(f"the repository cannot be read: {error}", reason="BAD_REPOSITORY") from error

    def fetch(self, item: ListedItem, *, validator: str) -> Fetched | Unchanged:
        """Raises: ItemRefused (too large), ItemGone, ItemFailed, SourceFailed."""
        if item.key not in self._blobs:
            self.listing("")
        if item.key not in self._blobs or self._repository is None:
            raise ItemGone(f"{item.key}: it is not there")
        limit = self._spec.limits.max_item_bytes
        try:
            blob = self._blob(item.key)
        except _BROKEN as error:
            raise ItemFailed(f"{item.key}: {error}", reason="BROKEN") from error
        if not isinstance(blob, Blob) or blob.raw_length() > limit:
            raise ItemRefused(f"{item.key}: more than {limit} bytes", reason="TOO_LARGE")
        label = f"git:{self._spec.name}/{item.key}"
        return Fetched(content=blob.as_raw_string(), media_type=media_type_of(item.key), label=label)

    def close(self) -> None:
        """Close the connections and the repository."""
        for web in (self._web, self._packs):
            if web is not None:
                web.close()
        if isinstance(self._repository, Repo):
            self._repository.close()

    def _listing(self, cursor: str) -> Listing | Unchanged:
        if self._web is None:
            self._repository = Repo(self._spec.location)
            _require_own(self._repository, Path(self._spec.location))
            tip = _tip(dict(self._repository.get_refs()), self._spec.branch, head=_head(self._repository))
        else:
            client = self._client(max_bytes=self._spec.limits.max_total_bytes)
            refs: dict[Any, Any] = dict(client.get_refs(b"/").refs)
            tip = _tip(refs, self._spec.branch, head=refs.get(b"HEAD"))
            if tip.decode() == cursor:
                return Unchanged()
            self._files, self._batch = None, 1
            self._repository = self._fetched([tip], max_bytes=self._spec.limits.max_total_bytes, depth=1)
        if tip.decode() == cursor:
            return Unchanged()
        return self._files_of(tip)

    def _blob(self, key: str) -> Any:
        """Return the blob of a file; fetch it, and files after it, where the tip came without. Raises: as `fetch`, and
        what dulwich raises.
        """
        assert self._repository is not None
        name: Any = self._blobs[key]
        if self._web is None or name in self._repository.object_store:
            return self._repository.object_store[name]
        if self._files is None or name not in self._files.object_store:
            self._fetch_files(key)
        assert self._files is not None
        return self._files.object_store[name]

    def _fetch_files(self, key: str) -> None:
        """Fetch the file and those after it, twice as many as the last time; alone, if they are too large together."""
        keys = list(self._blobs)
        start = keys.index(key)
        wanted = list(dict.fromkeys(self._blobs[one] for one in keys[start : start + self._batch]))
        limit = self._spec.limits.max_item_bytes + _PACK_BYTES
        try:
            self._files = self._fetched(wanted, max_bytes=max(limit, MAX_BATCH_BYTES) if len(wanted) > 1 else limit)
        except ItemRefused:
            if len(wanted) == 1:
                raise
            self._files, self._batch = self._fetched(wanted[:1], max_bytes=limit), 1
        else:
            self._batch = min(2 * self._batch, MAX_BATCH_FILES)

    def _fetched(self, wanted: list[bytes], *, max_bytes: int, depth: int | None = None) -> MemoryRepo:
        """Return a repository with the objects; of a commit (with `depth`) without its files, if the server can."""
        client = self._client(max_bytes=max_bytes)
        found = MemoryRepo()
        wants: Any = lambda *_, **__: wanted  # noqa: E731 - dulwich names a protocol for it
        client.fetch(b"/", found, determine_wants=wants, depth=depth, filter_spec=b"blob:none" if depth else None)
        return found

    def _client(self, *, max_bytes: int) -> "_HttpGitClient":
        assert self._web is not None
        assert self._packs is not None
        return _HttpGitClient(self._spec.location, web=self._web, packs=self._packs, max_bytes=max_bytes)

    def _files_of(self, tip: bytes) -> Listing:
        assert self._repository is not None
        store, limits = self._repository.object_store, self._spec.limits
        commit = store[tip]  # type: ignore[index]
        if not isinstance(commit, Commit):
            raise SourceFailed("the branch does not lead to a commit", reason="BAD_REPOSITORY")
        self._blobs, faults = {}, []
        for path, mode, blob in iter_tree_contents(store, commit.tree):
            name = (path or b"").decode("utf-8", "replace")
            is_file = mode is not None and mode & _FILE_TYPE == _PLAIN_FILE  # no link, no submodule
            if not is_file or blob is None or len(name) > MAX_KEY_LENGTH or not is_included(name, self._spec.include):
                continue
            if len(self._blobs) >= limits.max_items:
                faults.append(f"more than {limits.max_items} files: the rest is not taken")
                break
            self._blobs[name] = blob
        items = tuple(ListedItem(key=name, token=blob.decode()) for name, blob in self._blobs.items())
        return Listing(items=items, cursor=tip.decode(), fault="; ".join(faults))


class _HttpGitClient(AbstractHttpGitClient):
    """git's smart protocol over our bounded requests."""

    def __init__(self, url: str, *, web: WebClient, packs: WebClient, max_bytes: int) -> None:
        super().__init__(url, quiet=True)
        self.config = None
        self._web = web
        self._packs = packs
        self._max_bytes = max_bytes

    def _get_url(self, path: str | bytes) -> str:
        return self._base_url

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,
    ) -> tuple[Any, Callable[[int], bytes]]:
        if data is None:
            answer = self._web.get(url, max_bytes=self._max_bytes, extra=headers or {})
        else:
            body = data if isinstance(data, bytes) else b"".join(data)
            answer = self._packs.post(url, body, headers=headers or {}, max_bytes=self._max_bytes)
        return _Answer(answer.headers.get("content-type"), answer.url if answer.url != url else ""), io.BytesIO(
            answer.body or b""
        ).read


class _Answer:
    """The parts of a response that dulwich reads."""

    def __init__(self, content_type: str | None, redirect_location: str) -> None:
        self.content_type = content_type
        self.redirect_location = redirect_location
        self.status = 200

    def close(self) -> None:
        """The body is read already."""


def _require_own(repository: Repo, place: Path) -> None:
    """Return if all parts of the repository are below its folder. Raises: SourceFailed."""
    root = place.resolve()
    places = [Path(repository.controldir()), Path(repository.commondir())]
    alternates = Path(repository.commondir()) / "objects" / "info" / "alternates"
    if alternates.exists() or not all(one.resolve().is_relative_to(root) for one in places):
        raise SourceFailed("the repository leads out of its folder", reason="BAD_REPOSITORY")


def _head(repository: Repo) -> bytes | None:
    try:
        return repository.head()
    except KeyError:
        return None


def _tip(refs: dict[Any, Any], branch: str, *, head: bytes | None) -> bytes:
    tip = refs.get(f"refs/heads/{branch}".encode()) if branch else head
    if not tip:
        shown = f"branch {branch[:200]!r}" if branch else "default branch"
        raise SourceFailed(f"the repository has no {shown}", reason="NO_BRANCH")
    return bytes(tip)
