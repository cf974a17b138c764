"""Markdown files: front matter off, the title found."""

from itertools import pairwise

from sealserve.intake.media_types import Parsed


def read_markdown(text: str) -> Parsed:
    """Take the front matter off; the title is its `title`, else the first heading."""
    unix = text.replace("\r\n", "\n").replace("\r", "\n")
    front, body = _split_front_matter(unix)
    named = next(filter(None, map(_front_title, front)), "")
    return Parsed(title=named.strip("\"'") if named else _first_heading(body), text=body)


def _split_front_matter(text: str) -> tuple[list[str], str]:
    """Return the lines between a first line of three dashes and the next one, and what follows; else no lines."""
    if not text.startswith("---"):
        return [], text
    first, *lines = text.split("\n")
    if first.rstrip(" \t") != "---":
        return [], text
    end = next((place for place, line in enumerate(lines) if place and line.rstrip(" \t") in ("---", "...")), None)
    return ([], text) if end is None else (lines[:end], "\n".join(lines[end + 1 :]))


def _front_title(line: str) -> str:
    key, _, value = line.partition(":")
    return value.strip(" \t") if key.lower() == "title" else ""


def _first_heading(text: str) -> str:
    """Return the first heading, written with number signs or underlined with equals signs; "" if there is none."""
    for line, following in pairwise([*text.split("\n"), ""]):
        bare = line.lstrip(" ")
        marks = len(bare) - len(bare.lstrip("#"))
        if len(line) - len(bare) <= 3 and 1 <= marks <= 6 and bare[marks : marks + 1] in (" ", "\t"):
            if heading := bare[marks:].strip(" \t").rstrip(" \t#"):
                return heading
        elif line and not line[0].isspace() and following.rstrip(" \t").strip("=") == "" and following[:1] == "=":
            return line
    return ""
