"""What a short text from outside may look like."""

from sealserve.errors import InvalidArgument

MAX_LABEL_LENGTH = 1024
"""Longest title, source, media type or reason, in characters."""


_JOINERS = str.maketrans("", "", "\u200c\u200d")
"""Persian, Indic scripts and emoji are written with them; Python counts them as not printable."""


def require_line(value: str, *, field: str, max_length: int = MAX_LABEL_LENGTH, is_title: bool = False) -> None:
    """Return if `value` is one line of printable characters; a title may have zero-width joiners, too.

    Raises: InvalidArgument, naming `field`.
    """
    shown = value.translate(_JOINERS) if is_title else value
    if len(value) > max_length or not shown.isprintable():
        raise InvalidArgument(f"{field} must be at most {max_length} printable characters on one line", field=field)


def require_short(value: str, *, field: str, max_length: int = MAX_LABEL_LENGTH) -> None:
    """Return if `value` is not too long. Raises: InvalidArgument, naming `field`."""
    if len(value) > max_length:
        raise InvalidArgument(f"{field} must be at most {max_length} characters", field=field)
