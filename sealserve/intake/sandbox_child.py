"""The process that reads documents for `sandbox.py`: it loads the parsers once, and forks a child for each document.

A child serves one connection: one frame in, one frame out, under limits of its own. It knows nothing of other
documents, tenants, settings or the registry.
"""

import gc
import json
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from sealserve.intake.comparison import Earlier, compare
from sealserve.intake.examine import examine
from sealserve.intake.media_types import Defect, Unreadable
from sealserve.scanners.findings import findings_in

HELLO = b"\x01"
"""A child's first byte: what goes wrong before it is not the document's fault."""

_LENGTH = struct.Struct("!I")
_PRELOADED = (
    "lxml.html", "tinycss2", "tinycss2.color4", "cssselect2", "webencodings", "docx", "pptx", "openpyxl",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the child of one document may use. An honest two-megabyte page takes some three seconds of a core, a PDF of
    300 full pages six."""

    wall_seconds: float = 40.0
    cpu_seconds: int = 16
    memory_bytes: int = 2**30


def main(arguments: Sequence[str]) -> None:
    """Fork a child for each connection that comes over the socket on stdin, until it is closed.

    `arguments`: Limits as JSON.
    """
    limits = Limits(**json.loads(arguments[0]))
    control = socket.socket(fileno=sys.stdin.fileno())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children leave no zombies
    for name in _PRELOADED:
        if find_spec(name.partition(".")[0]):
            import_module(name)
    if find_spec("pypdfium2"):
        import_module("sealserve.intake.pdf.reading").warm_up()
    findings_in("\u044f")  # loads what it loads at its first use
    gc.freeze()  # the collector would touch, and so copy, what children share
    while True:
        _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not descriptors:
            return
        if os.fork() == 0:
            try:
                control.close()
                _serve(socket.socket(fileno=descriptors[0]), limits)
            finally:
                os._exit(0)
        os.close(descriptors[0])


def send_frame(connection: socket.socket, fields: Mapping[str, Any], parts: Sequence[bytes] = ()) -> None:
    """Send `fields`, which JSON can hold, and `parts` as they are. Raises: OSError."""
    header = json.dumps({"fields": fields, "sizes": list(map(len, parts))}).encode()
    connection.sendall(_LENGTH.pack(len(header)) + header)
    for part in parts:
        connection.sendall(part)


def receive_frame(connection: socket.socket) -> tuple[dict[str, Any], list[bytes]]:
    """Return what `send_frame` sent. Raises: OSError, EOFError (the other side ended before)."""
    (length,) = _LENGTH.unpack(_receive(connection, _LENGTH.size))
    header = json.loads(_receive(connection, length))
    return header["fields"], [_receive(connection, size) for size in header["sizes"]]


def _receive(connection: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        piece = connection.recv(min(2**20, size - len(received)))
        if not piece:
            raise EOFError
        received += piece
    return bytes(received)


def _serve(connection: socket.socket, limits: Limits) -> None:
    """Answer one request. A limit ends the process without an answer, and so does a parser that exhausts memory."""
    connection.sendall(HELLO)
    _limit(limits)
    fields, parts = receive_frame(connection)
    try:
        answer = _TASKS[fields.pop("task")](fields, parts)
    except (MemoryError, RecursionError):
        return
    except BaseException:
        advice = "its parser gave up on it; save it anew, or send plain text"
        send_frame(connection, asdict(Unreadable(defect=Defect.BROKEN, advice=advice)))
        raise
    send_frame(connection, *answer)


def _limit(limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_REAL, limits.wall_seconds)


def _examine(fields: dict[str, Any], parts: Sequence[bytes]) -> tuple[dict[str, Any], Sequence[bytes]]:
    examined = examine(parts[0], **fields)
    if isinstance(examined, Unreadable):
        return asdict(examined), ()
    answer = {"title": examined.title, "findings": dict(examined.findings), "subjects": examined.subjects}
    answer |= {"places": examined.places, "sketch": examined.sketch}
    return answer, (examined.text.encode(),)


def _compare(fields: dict[str, Any], parts: Sequence[bytes]) -> tuple[dict[str, Any], Sequence[bytes]]:
    text, *texts = (part.decode() for part in parts)
    earlier = [Earlier(text=other, **labels) for labels, other in zip(fields.pop("earlier"), texts, strict=True)]
    return asdict(compare(text, earlier=earlier, **fields)), ()


_TASKS = {"examine": _examine, "compare": _compare}
