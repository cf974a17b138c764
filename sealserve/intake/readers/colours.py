"""Colours of ink and paper, and whether a reader can tell them apart."""

from typing import TypeAlias

Rgb: TypeAlias = tuple[float, float, float]
"""Red, green and blue, each 0 to 1."""

WHITE: Rgb = (1.0, 1.0, 1.0)
BLACK: Rgb = (0.0, 0.0, 0.0)

MIN_CONTRAST = 1.3
"""Of ink and paper. WCAG 2.2 asks for 4.5 to read with ease; below this, text cannot be seen."""


def can_be_seen(ink: Rgb, paper: Rgb) -> bool:
    """Whether letters stand out from what is behind them."""
    return contrast(ink, paper) >= MIN_CONTRAST


def contrast(ink: Rgb, paper: Rgb) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    lighter, darker = sorted((_luminance(ink), _luminance(paper)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def hex_colour(value: str | None) -> Rgb | None:
    """Return a colour written as six hexadecimal digits (with eight, the first two are opacity); None for others."""
    digits = (value or "")[-6:]
    if value is None or len(value) not in (6, 8):
        return None
    try:
        red, green, blue = (int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4))
    except ValueError:
        return None
    return red, green, blue


def _luminance(colour: Rgb) -> float:
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
