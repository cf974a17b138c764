"""The style of an element as far as it can be computed without a browser: ink, paper, size of letters, lengths."""

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

from sealserve.intake.readers.html.style_sheets import Sheets, Tokens, declared, resolved

Rgba: TypeAlias = tuple[float, float, float, float]
"""Red, green, blue and opacity, each 0 to 1."""

_WHITE: Rgba = (1.0, 1.0, 1.0, 1.0)
_BLACK: Rgba = (0.0, 0.0, 0.0, 1.0)
_LINK: Rgba = (0.0, 0.0, 0.93, 1.0)
_DARK: Rgba = (0.07, 0.07, 0.07, 1.0)
_PIXELS = {"px": 1.0, "pt": 4 / 3, "pc": 16.0, "cm": 37.8, "mm": 3.78, "in": 96.0, "q": 0.945, "vw": 12.8, "vh": 8.0}
_FONT_WORDS = {"xx-small": 9.0, "x-small": 10.0, "small": 13.0, "medium": 16.0, "large": 18.0, "x-large": 24.0}
_OLD_FONT_SIZES = {"1": 10.0, "2": 13.0, "3": 16.0, "4": 18.0, "5": 24.0, "6": 32.0, "7": 48.0}
_CHOICES: Mapping[str, Callable[[list[float]], float]] = {
    "min": min, "max": max, "clamp": lambda sizes: sorted(sizes)[len(sizes) // 2], "calc": sum,
}  # fmt: skip
"""Functions of lengths; calc() is taken for a sum, which is what pages write."""

_PICTURES = ("img", "picture", "video", "canvas", "svg")
_NEARBY_ELEMENTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What an element hands on to those inside it."""

    ink: Rgba | None = _BLACK  # None: not known, as of letters that show a picture
    papers: tuple[Rgba, ...] = (_WHITE,)  # what may be behind the letters; none: not known, as a picture
    font_pixels: float = 16.0
    is_visible: bool = True
    is_squeezed: bool = False  # letters on top of each other
    variables: ChainMap[str, Tokens] = field(default_factory=ChainMap)


def values_of(sheets: Sheets, element: Any, outer: Style) -> dict[str, Tokens]:
    """Return the declared values of the element, custom properties put in (its own are under "--" names)."""
    found = declared(sheets, element, hints=_hints(element.etree_element))
    if not any(token.type == "function" for value in found.values() for token in value):
        return found
    variables = outer.variables.new_child({name: value for name, value in found.items() if name.startswith("--")})
    return {name: value if name.startswith("--") else resolved(value, variables) for name, value in found.items()}


def _hints(element: Any) -> dict[str, Tokens]:
    """Return what old attributes say of colours and sizes (HTML standard, 15.3)."""
    found = {}
    for attribute, name in (("color", "color"), ("text", "color"), ("bgcolor", "background-color")):
        if value := element.get(attribute):
            found[name] = _tokens(value)
    if element.tag == "font" and element.get("size") in _OLD_FONT_SIZES:
        found["font-size"] = _tokens(f"{_OLD_FONT_SIZES[element.get('size')]}px")
    return found


def _tokens(value: str) -> Tokens:
    import tinycss2

    return tuple(tinycss2.parse_component_value_list(value, skip_comments=True))


def style_of(element: Any, values: Mapping[str, Tokens], outer: Style) -> Style:
    """Return the style that the element's own text has."""
    variables = {name: value for name, value in values.items() if name.startswith("--")}
    ink = _colour(values.get("-webkit-text-fill-color") or values.get("color") or (), outer.ink)
    papers = papers_of(element, values, outer)
    if "currentcolor" in (word_of(values, "background"), word_of(values, "background-color")) and ink is not None:
        papers = (ink,)
    if element.tag == "a" and element.get("href") is not None and "color" not in values:
        ink = _LINK if outer.ink not in (None, _BLACK) else outer.ink
    if "text" in (word_of(values, "background-clip"), word_of(values, "-webkit-background-clip")):
        ink = None
    visibility = word_of(values, "visibility")
    font_pixels = _font_pixels(values, outer.font_pixels)
    spacing = length_of(values.get("letter-spacing", ()), font_pixels)
    if not values and papers == outer.papers and ink == outer.ink:
        return outer
    return Style(
        ink=ink,
        papers=papers,
        font_pixels=font_pixels,
        is_squeezed=outer.is_squeezed if spacing is None else spacing < -font_pixels / 3,
        is_visible=visibility not in ("hidden", "collapse") if visibility not in ("", "inherit") else outer.is_visible,
        variables=outer.variables.new_child(variables) if variables else outer.variables,
    )


def papers_of(element: Any, values: Mapping[str, Tokens], outer: Style) -> tuple[Rgba, ...]:
    """Return the colours that may be behind the element's text; none where a picture is."""
    if word_of(values, "position") in ("absolute", "fixed") and _has_picture_nearby(element):
        return ()
    behind = outer.papers
    if word_of(values, "color-scheme") == "dark" and element.tag in ("html", "body") and behind == (_WHITE,):
        behind = (_DARK,)
    found = behind
    for name in ("background", "background-color", "background-image"):
        tokens = values.get(name, ())
        stops = [colour for colour in map(_as_colour, _flat(tokens)) if colour is not None]
        if stops:
            found = tuple(over(stop, paper) for stop in stops[:8] for paper in behind[:2] or (_WHITE,))
        if any(token.type == "url" or (token.type == "function" and token.lower_name == "url") for token in tokens):
            return ()
    return found


def _has_picture_nearby(element: Any) -> bool:
    around, levels = element.getparent(), 2
    while around is not None and levels and around.tag != "body":
        if any(node.tag in _PICTURES for node in islice(around.iter("*"), _NEARBY_ELEMENTS)):
            return True
        around, levels = around.getparent(), levels - 1
    return False


def word_of(values: Mapping[str, Tokens], name: str) -> str:
    """Return the property's keyword, in lower case; "" if it has another value or none."""
    value = values.get(name, ())
    return str(value[0].lower_value) if value and value[0].type == "ident" else ""


def number_of(values: Mapping[str, Tokens], name: str, usual: float) -> float:
    value = values.get(name, ())
    if not value or value[0].type not in ("number", "percentage"):
        return usual
    return float(value[0].value) / (100 if value[0].type == "percentage" else 1)


def length_of(tokens: Tokens, font_pixels: float, *, whole: float = 0.0) -> float | None:
    found = lengths_of(tokens[:1], font_pixels, whole=whole)
    return found[0] if found else None


def lengths_of(tokens: Any, font_pixels: float, *, whole: float = 0.0) -> list[float]:
    """Return the lengths among `tokens` in pixels; percentages of `whole`, and left out where that is 0."""
    found = []
    for token in tokens:
        if token.type == "dimension":
            unit = token.lower_unit
            scale = font_pixels if unit in ("em", "ex", "ch") else 16.0 if unit in ("rem", "rex") else _PIXELS.get(unit)
            if scale is not None:
                found.append(token.value * scale)
        elif token.type == "number":
            found.append(token.value)
        elif token.type == "percentage" and whole:
            found.append(token.value / 100 * whole)
        elif token.type == "function" and token.lower_name in _CHOICES:
            inner = lengths_of(token.arguments, font_pixels, whole=whole)
            found += [_CHOICES[token.lower_name](inner)] if inner else []
    return found


def _font_pixels(values: Mapping[str, Tokens], outer: float) -> float:
    tokens = values.get("font-size", ())
    if not tokens and "font" in values:
        sized = [token for token in values["font"] if token.type in ("dimension", "percentage")]
        zeros = [token for token in values["font"] if token.type == "number" and token.value == 0]
        tokens = tuple((sized or zeros)[:1])
    if not tokens:
        return outer
    if tokens[0].type == "ident":
        return _FONT_WORDS.get(tokens[0].lower_value, outer)
    size = length_of(tokens, outer, whole=outer)
    return outer if size is None else size


def _colour(tokens: Tokens, outer: Rgba | None) -> Rgba | None:
    for token in tokens:
        found = _as_colour(token)
        if found is not None:
            return found
    return outer


def _as_colour(token: Any) -> Rgba | None:
    from tinycss2.color4 import parse_color

    if token.type not in ("ident", "hash", "function"):
        return None
    if token.type == "function" and token.lower_name in ("light-dark", "color-mix"):
        inner = (_as_colour(one) for one in token.arguments)
        return next((one for one in inner if one is not None), None)
    try:
        found = parse_color(token)
        if found is None or isinstance(found, str):
            return None
        if found.space not in ("lab", "lch", "oklab", "oklch", "xyz-d50", "xyz-d65", "xyz"):
            shown = found.to("srgb") if found.space in ("hsl", "hwb") else found  # wider gamuts: near enough
            red, green, blue = (min(max(part or 0.0, 0.0), 1.0) for part in shown.coordinates)
        else:
            light = (found.to("lab").coordinates[0] or 0.0) / 100
            red = green = blue = min(max(light, 0.0), 1.0)  # a grey as light as the colour
    except (NotImplementedError, ValueError, TypeError, ZeroDivisionError, OverflowError):
        return None
    return red, green, blue, found.alpha


def _flat(tokens: Any) -> Iterator[Any]:
    """Yield tokens and those inside gradients."""
    for token in tokens:
        if token.type == "function" and token.lower_name.endswith("-gradient"):
            yield from token.arguments
        else:
            yield token


def over(colour: Rgba, paper: Rgba) -> Rgba:
    """Return what a colour looks like on paper that lets nothing through."""
    alpha = colour[3]
    red, green, blue = (alpha * top + (1 - alpha) * below for top, below in zip(colour[:3], paper[:3], strict=True))
    return red, green, blue, 1.0
