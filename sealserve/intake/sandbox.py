"""Reads documents outside this process: in a child for each, with limits on time and memory.

Whatever a document holds, it costs one child, never the daemon or its event loop. Starting Python and the parsers takes
a second; a child forked from a process that has loaded them takes some ten milliseconds.
"""

import json
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sealserve
from sealserve.errors import Unavailable
from sealserve.intake.comparison import Comparison, Earlier
from sealserve.intake.examine import Examined
from sealserve.intake.media_types import Defect, Unreadable
from sealserve.intake.parse import missing_parser
from sealserve.intake.sandbox_child import HELLO, Limits, receive_frame, send_frame
from sealserve.scanners.findings import Finding

DEFAULT_LIMITS = Limits()
_START_SECONDS = 120.0  # for Python and the parsers, on a machine that is busy
_GRACE_SECONDS = 5.0  # beyond the wall limit, at which the child ends itself
_ATTEMPTS = 2  # the process may have been killed since the last document
_TOO_COSTLY = Unreadable(defect=Defect.TOO_COSTLY, advice="reading it took too much time or memory; simplify it")
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from sealserve.intake.sandbox_child import main; main(sys.argv[2:])"
)


class Sandbox:
    """Starts its process at the first document. Safe to use from many threads; blocking."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._forker: _Forker | None = None

    def examine(
        self, content: bytes, *, media_type: str, title: str, max_bytes: int, file_name: str = ""
    ) -> Examined | Unreadable:
        """Return what `sealserve.intake.examine` makes of `content`. Raises: Unavailable (its parser is not
        installed here, or no child can be started).
        """
        if name := missing_parser(media_type):
            raise Unavailable(f"this server reads no {name}: pip install 'sealserve[documents]' there")
        fields = {"media_type": media_type, "title": title, "max_bytes": max_bytes, "file_name": file_name}
        reply = self._call({"task": "examine", **fields}, [content])
        if isinstance(reply, Unreadable):
            return reply
        found, (text,) = reply
        return Examined(
            title=found["title"],
            text=text.decode(),
            findings={Finding(kind): count for kind, count in found["findings"].items()},
            subjects=tuple(found["subjects"]),
            places=tuple(found["places"]),
            sketch=tuple(found["sketch"]),
        )

    def compare(
        self, text: str, *, title: str, source: str, subjects: Sequence[str], earlier: Sequence[Earlier]
    ) -> Comparison | Unreadable:
        """Return what `sealserve.intake.comparison` finds. Raises: Unavailable (no child can be started)."""
        if not earlier:
            return Comparison()
        names = ("document", "source", "title", "is_believed", "is_released")
        labels = [{name: getattr(other, name) for name in names} for other in earlier]
        fields = {"task": "compare", "title": title, "source": source, "subjects": list(subjects), "earlier": labels}
        reply = self._call(fields, [one.encode() for one in (text, *(other.text for other in earlier))])
        if isinstance(reply, Unreadable):
            return reply
        found, _ = reply
        return Comparison(similar=tuple(found["similar"]), contradicted=found["contradicted"])

    def close(self) -> None:
        """End the process; a later document starts it again."""
        self._give_up(self._forker)

    def _call(self, fields: dict[str, Any], parts: Sequence[bytes]) -> tuple[dict[str, Any], list[bytes]] | Unreadable:
        with closing(self._connect()) as connection:
            connection.settimeout(self._limits.wall_seconds + _GRACE_SECONDS)
            try:
                send_frame(connection, fields, parts)
                found, texts = receive_frame(connection)
            except (OSError, EOFError):  # a limit ended the child
                return _TOO_COSTLY
        if "defect" in found:
            return Unreadable(defect=Defect(found["defect"]), advice=found["advice"])
        return found, texts

    def _connect(self) -> socket.socket:
        """Return a connection to a child of its own. Raises: Unavailable."""
        for _ in range(_ATTEMPTS):
            ours, theirs = socket.socketpair()
            ours.settimeout(_START_SECONDS)
            with theirs:
                forker = self._send_to_forker(theirs)
            try:
                if ours.recv(len(HELLO)) == HELLO:
                    return ours
            except OSError:
                pass
            ours.close()
            self._give_up(forker)
        raise Unavailable("documents cannot be read now: no process can be started for them", retry_seconds=5.0)

    def _send_to_forker(self, connection: socket.socket) -> "_Forker":
        with self._lock:
            if self._forker is None:
                self._forker = _Forker(self._limits)
            with suppress(OSError):  # it has ended: no child will answer
                socket.send_fds(self._forker.control, [b"\0"], [connection.fileno()])
            return self._forker

    def _give_up(self, forker: "_Forker | None") -> None:
        """End a process that starts no children any more, unless another thread has done so."""
        with self._lock:
            if forker is not None and self._forker is forker:
                self._forker = None
                forker.end()


class _Forker:
    """The process that forks a child for each connection it is sent; it ends with this object at the latest."""

    def __init__(self, limits: Limits) -> None:
        self.control, theirs = socket.socketpair()
        root = str(Path(sealserve.__file__).parents[1])
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-B", "-c", _START, root, json.dumps(asdict(limits))],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"OPENBLAS_NUM_THREADS": "1"},  # a process with threads is not to be forked
                start_new_session=True,  # a Ctrl-C for the daemon ends it last
            )
        self.end = weakref.finalize(self, _end, self._process, self.control)


def _end(process: "subprocess.Popen[bytes]", control: socket.socket) -> None:
    control.close()
    process.kill()
    process.wait()
