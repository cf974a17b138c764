"""Runs each sync in a process of its own, which unpacks and parses what a source sends, under limits. serve never does.

`ChildConnector` is a connector whose work the child does. An item that kills the child is refused, and the next one
gets a new child.
"""

import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sealserve
from sealserve.intake.sandbox_child import receive_frame, send_frame
from sealserve.processes.niceness import lower_priority
from sealserve.sources.connector import (
    Connector,
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
from sealserve.sources.kinds import open_connector

MEMORY_BYTES = 2 * 2**30
LISTING_SECONDS = 600.0  # an index of many sitemaps, at two requests a second
_NICE = 10  # tenants are answered first
_GRACE_SECONDS = 30.0  # beyond what one request may take: robots.txt, redirects, waiting one's turn
_START = "import sys; sys.path.insert(0, sys.argv[1]); from sealserve.sources.child import main; main()"
_ERRORS = {kind.__name__: kind for kind in (SourceFailed, ItemFailed, ItemRefused, ItemGone)}


class ChildConnector:
    """A connector in a process of its own, started on first use."""

    def __init__(self, spec: Spec, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self._spec = spec
        self._memory_bytes = memory_bytes
        limits = spec.limits
        self._fetch_seconds = limits.request_seconds * (limits.max_redirects + 2) + _GRACE_SECONDS
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None

    def listing(self, cursor: str) -> Listing | Unchanged:
        """Raises: SourceFailed (as the connector; and too much time or memory)."""
        try:
            found, _ = self._ask({"task": "listing", "cursor": cursor}, seconds=LISTING_SECONDS)
        except _Ended as error:
            raise SourceFailed("listing it took too much time or memory", reason="TOO_COSTLY") from error
        if found.get("unchanged"):
            return Unchanged()
        items = tuple(ListedItem(**item) for item in found["items"])
        return Listing(items=items, cursor=found["cursor"], fault=found["fault"])

    def fetch(self, item: ListedItem, *, validator: str) -> Fetched | Unchanged:
        """Raises: ItemNotFetched (as the connector; and too much time or memory), SourceFailed."""
        try:
            found, parts = self._ask(
                {"task": "fetch", "item": asdict(item), "validator": validator}, seconds=self._fetch_seconds
            )
        except _Ended as error:
            raise ItemRefused("fetching it took too much time or memory", reason="TOO_COSTLY") from error
        return Unchanged() if found.get("unchanged") else Fetched(content=parts[0], **found)

    def close(self) -> None:
        """End the process."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if connection is not None:
            connection.close()
        if process is not None:
            process.kill()
            process.wait()

    def _ask(self, fields: dict[str, Any], *, seconds: float) -> tuple[dict[str, Any], Sequence[bytes]]:
        """Return the child's answer. Raises: _Ended (and there is no child any more), what the connector raises."""
        connection = self._connection or self._start()
        connection.settimeout(seconds)
        try:
            send_frame(connection, fields)
            found, parts = receive_frame(connection)
        except (OSError, EOFError) as error:
            self.close()
            raise _Ended from error
        if "error" in found:
            raise _ERRORS[found["error"]](found["message"], reason=found["reason"])
        return found, parts

    def _start(self) -> socket.socket:
        """Start a child. Raises: SourceFailed (the system gives no process)."""
        try:
            ours, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-B", "-c", _START, str(Path(sealserve.__file__).parents[1])],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={},
                    start_new_session=True,  # a Ctrl-C for the daemon ends it last
                )
        except OSError as error:
            raise SourceFailed(f"no process can be started for it: {error.strerror}", reason="NO_PROCESS") from error
        self._connection = ours
        with suppress(OSError):  # it has ended already: the question finds out
            send_frame(ours, {"spec": self._spec.to_json(), "memory_bytes": self._memory_bytes})
        return ours


class _Ended(Exception):
    """The child ended, or does not answer in time."""


def main() -> None:
    """Answer questions over the socket on stdin until it is closed."""
    with socket.socket(fileno=sys.stdin.fileno()) as connection:
        with suppress(EOFError, OSError):
            fields, _ = receive_frame(connection)
            _limit(fields["memory_bytes"])
            _serve(connection, Spec.from_json(fields["spec"]))


def _serve(connection: socket.socket, spec: Spec) -> None:
    """Answer one question after the other. An error that is not listed ends the process, and the parent reports it."""
    connector: Connector | None = None
    while True:
        fields, _ = receive_frame(connection)
        try:
            if connector is None:
                connector = open_connector(spec)
            found, parts = _TASKS[fields.pop("task")](connector, fields)
        except tuple(_ERRORS.values()) as error:
            found, parts = {"error": type(error).__name__, "message": error.message, "reason": error.reason}, ()
        send_frame(connection, found, parts)


def _limit(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    lower_priority(_NICE)


def _listing(connector: Connector, fields: dict[str, Any]) -> tuple[dict[str, Any], Sequence[bytes]]:
    found = connector.listing(fields["cursor"])
    return ({"unchanged": True}, ()) if isinstance(found, Unchanged) else (asdict(found), ())


def _fetch(connector: Connector, fields: dict[str, Any]) -> tuple[dict[str, Any], Sequence[bytes]]:
    found = connector.fetch(ListedItem(**fields["item"]), validator=fields["validator"])
    if isinstance(found, Unchanged):
        return {"unchanged": True}, ()
    named = {name: value for name, value in asdict(found).items() if name != "content"}
    return named, (found.content,)


_TASKS: dict[str, Callable[[Connector, dict[str, Any]], tuple[dict[str, Any], Sequence[bytes]]]] = {
    "listing": _listing,
    "fetch": _fetch,
}
