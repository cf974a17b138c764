"""Bytes to text and title, for each format. HTML and PDF are read in a child with limits on time and memory.

A hostile file can make a parser loop or eat memory; it then costs one child, not the daemon.
"""

import json
import re
import subprocess
import sys
from dataclasses import dataclass

from sealserve.intake.media_types import Claimed, Defect, MediaType, Unreadable, claimed, decode, mismatch
from sealserve.intake.parse_sandbox import LIMIT_HIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A document's text, not screened yet, and the title it gives itself (may be empty)."""

    title: str
    text: str
    hidden: int = 0  # elements left out because a reader would not see them


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one child may use. A two-megabyte page takes well under a tenth of each."""

    wall_seconds: float = 30.0
    cpu_seconds: int = 20
    memory_bytes: int = 2**30
    max_text_bytes: int = 8 * 2**20


DEFAULT_LIMITS = Limits()

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+?)[ \t#]*$|^(\S.*)\n=+[ \t]*$", re.MULTILINE)


def parse(content: bytes, *, media_type: str, limits: Limits = DEFAULT_LIMITS) -> Parsed | Unreadable:
    """Return what `content` says, or why it cannot be read. Never raises for anything inside `content`."""
    what = claimed(media_type)
    if isinstance(what, Unreadable):
        return what
    wrong = mismatch(content, what.media_type)
    if wrong:
        return wrong
    if what.media_type is MediaType.PDF:
        return _in_child(content, MediaType.PDF, limits)
    text = decode(content, what)
    if isinstance(text, Unreadable):
        return text
    return _parse_text(text, what, limits)


def _parse_text(text: str, what: Claimed, limits: Limits) -> Parsed | Unreadable:
    if what.media_type is MediaType.HTML:
        return _in_child(text.encode("utf-8", "surrogatepass"), MediaType.HTML, limits)
    unix = text.replace("\r\n", "\n").replace("\r", "\n")
    return _markdown(unix) if what.media_type is MediaType.MARKDOWN else Parsed(title="", text=unix)


def _markdown(text: str) -> Parsed:
    """Take the front matter off; the title is its `title`, else the first heading."""
    front = _FRONT_MATTER.match(text)
    body = text[front.end() :] if front else text
    named = _FRONT_TITLE.search(front.group(1)) if front else None
    if named:
        return Parsed(title=named.group(1).strip("\"'"), text=body)
    heading = _HEADING.search(body)
    return Parsed(title=(heading.group(1) or heading.group(2)) if heading else "", text=body)


def _in_child(content: bytes, media_type: MediaType, limits: Limits) -> Parsed | Unreadable:
    arguments = [media_type.value, str(limits.cpu_seconds), str(limits.memory_bytes), str(limits.max_text_bytes)]
    try:
        child = subprocess.run(
            [sys.executable, "-I", "-B", "-m", "sealserve.intake.parse_sandbox", *arguments],
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=limits.wall_seconds,
            env={},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Unreadable(
            defect=Defect.TOO_COSTLY, advice=f"reading it took over {limits.wall_seconds:g} s; simplify it"
        )
    return _reply(child.stdout, child.returncode)


def _reply(output: bytes, code: int) -> Parsed | Unreadable:
    """Turn the child's JSON into a result. A child that a signal ended hit a limit; another exit is a parser's bug."""
    if code < 0 or code == LIMIT_HIT:
        return Unreadable(defect=Defect.TOO_COSTLY, advice="reading it took too much time or memory; simplify it")
    if code != 0:
        return Unreadable(defect=Defect.BROKEN, advice="its parser gave up on it; save it anew, or send plain text")
    reply = json.loads(output)
    if "defect" in reply:
        return Unreadable(defect=Defect(reply["defect"]), advice=reply["advice"])
    return Parsed(title=reply["title"], text=reply["text"], hidden=reply["hidden"])
