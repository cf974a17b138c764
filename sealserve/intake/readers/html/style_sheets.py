"""The style sheets of an HTML page: which declarations apply to an element on a wide, light screen, by the cascade.

Only the page's own sheets and style attributes are known; linked sheets are not fetched.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

SCREEN_WIDTH, SCREEN_HEIGHT = 1280.0, 800.0
"""A usual laptop's window, in CSS pixels."""

Tokens: TypeAlias = tuple[Any, ...]
"""Component values of tinycss2, without comments and outer spaces."""

Values: TypeAlias = Mapping[str, Tokens]
"""What each property of an element is declared to be."""

_MAX_TOKENS = 2000
_MAX_DEPTH, _MAX_PRELUDE = 8, 2000
"""Of var() in var(), and of rules in rules: both can be made to expand without end."""

_STATE = re.compile(
    r"\.(?:is-|has-)?(?:active|open|opened|show|shown|showing|visible|expanded|selected|current|in|on)(?![\w-])"
    r"|\.(?:is|has)-[\w-]{1,40}|\.[\w-]{1,60}-(?:active|open|opened|show|shown|visible|expanded|selected)(?![\w-])"
    r"|:(?:checked|target|focus-within|focus-visible|focus)(?![\w-])"
    r"|\[(?:open|aria-(?:expanded|selected|hidden)|data-(?:state|open|active|expanded))[^\]]{0,40}\]"
)
"""Parts of selectors that hold only after a click."""

_NO_SCRIPT = re.compile(r"\.(?:no-?js|no-?script)(?![\w-])", re.IGNORECASE)
_FEATURE = re.compile(r"\(\s{0,9}(min-|max-)?(width|height)\s{0,9}:\s{0,9}([0-9.]{1,9})(px|em|rem)?\s{0,9}\)")
_RANGE = re.compile(r"\(\s{0,9}(width|height)\s{0,9}([<>]=?)\s{0,9}([0-9.]{1,9})(px|em|rem)?\s{0,9}\)")
_KNOWN_FEATURES = {
    "(prefers-color-scheme:light)": True, "(prefers-color-scheme:dark)": False,
    "(prefers-reduced-motion:reduce)": False,
    "(prefers-reduced-motion)": False, "(prefers-reduced-motion:no-preference)": True, "(orientation:landscape)": True,
    "(orientation:portrait)": False, "(hover:hover)": True, "(hover)": True, "(hover:none)": False,
    "(pointer:fine)": True, "(pointer:coarse)": False, "(any-hover:hover)": True, "(scripting:none)": False,
    "(scripting:enabled)": True, "(scripting)": True, "(color)": True, "(forced-colors:active)": False,
    "(prefers-contrast:more)": False,
}  # fmt: skip
_SIDES = {"screen": True, "all": True, "print": False, "speech": False, "tv": False, "handheld": False}


@dataclass(slots=True)
class Sheets:
    """What the page's sheets declare, ready to be asked about elements."""

    matcher: Any
    openers: Any  # selectors that show something after a click, without what the click changes


def read_sheets(texts: Iterable[tuple[str, str]]) -> Sheets:
    """Return the rules of sheets, each given as its text and the media it is for."""
    import cssselect2
    import tinycss2

    sheets = Sheets(matcher=cssselect2.Matcher(), openers=cssselect2.Matcher())
    for text, media in texts:
        if applies(media):
            _add(sheets, tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True))
    return sheets


def declared(sheets: Sheets, element: Any, *, hints: Values) -> dict[str, Tokens]:
    """Return what applies to `element` (a cssselect2 wrapper): `hints` of old attributes first, then the cascade."""
    matches = sheets.matcher.match(element)
    rules = [declarations for _, _, pseudo, declarations in matches if pseudo is None]
    own = _declarations(element.etree_element.get("style") or "")
    found = dict(hints)
    for is_important in (False, True):
        for declarations in (*rules, own):
            found.update({name: value for name, value, important in declarations if important is is_important})
    return found


def is_opened_by_state(sheets: Sheets, element: Any) -> bool:
    """Whether a rule shows the element once it, or something before it, is clicked."""
    return any(pseudo is None for _, _, pseudo, _ in sheets.openers.match(element))


def resolved(value: Tokens, variables: Values, *, depth: int = 0) -> Tokens:
    """Return `value` with custom properties put in (CSS Custom Properties 1); what is not defined is left out."""
    if depth > _MAX_DEPTH:
        return ()
    found: list[Any] = []
    for token in value:
        if token.type == "function" and token.lower_name == "var":
            found += _substituted(token, variables, depth=depth)
        elif token.type == "function" and _holds_var(token.arguments):
            found.append(_with_arguments(token, resolved(tuple(token.arguments), variables, depth=depth + 1)))
        else:
            found.append(token)
        if len(found) > _MAX_TOKENS:
            return ()
    return tuple(found)


def applies(media: str) -> bool:
    """Whether a media query list holds on a wide, light screen; what is not known of it does not hold."""
    queries = [query.strip().lower() for query in media.split(",")]
    return not media.strip() or any(map(_query_holds, queries))


def _query_holds(query: str) -> bool:
    words = query.split()
    if words and words[0] == "not":
        return not _query_holds(" ".join(words[1:]))
    parts = " ".join(words[1:] if words and words[0] == "only" else words).split(" and ")
    return all(_feature_holds(part.strip()) for part in parts)


def _feature_holds(part: str) -> bool:
    if part in _SIDES:
        return _SIDES[part]
    if size := _FEATURE.fullmatch(part):
        bound, name, number, unit = size.groups()
        ours, theirs = _length_on(name), _pixels(number, unit)
        return ours >= theirs if bound == "min-" else ours <= theirs if bound == "max-" else ours == theirs
    if size := _RANGE.fullmatch(part):
        name, sign, number, unit = size.groups()
        ours, theirs = _length_on(name), _pixels(number, unit)
        return ours >= theirs if sign.startswith(">") else ours <= theirs
    return _KNOWN_FEATURES.get("".join(part.split()), False)


def _length_on(name: str) -> float:
    return SCREEN_WIDTH if name == "width" else SCREEN_HEIGHT


def _pixels(number: str, unit: str | None) -> float:
    try:
        return float(number) * (1 if unit in (None, "px") else 16)
    except ValueError:
        return 0.0


def _add(sheets: Sheets, rules: Iterable[Any], *, prelude: str = "", depth: int = 0) -> None:
    """Add the rules that apply; those nested in a rule (CSS Nesting 1) are given its prelude."""
    import tinycss2

    for rule in rules:
        if rule.type == "qualified-rule":
            _add_block(sheets, _nested(prelude, tinycss2.serialize(rule.prelude)), rule.content, depth=depth)
        elif rule.type == "at-rule" and rule.content is not None and _at_rule_applies(rule):
            if prelude:
                _add_block(sheets, prelude, rule.content, depth=depth)
            elif depth < _MAX_DEPTH:
                inner = tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True)
                _add(sheets, inner, depth=depth + 1)


def _at_rule_applies(rule: Any) -> bool:
    import tinycss2

    condition = tinycss2.serialize(rule.prelude)
    if rule.lower_at_keyword == "media":
        return applies(condition)
    return rule.lower_at_keyword in ("layer", "supports", "scope") and "not" not in condition


def _nested(outer: str, inner: str) -> str:
    if not outer:
        return inner
    return inner.replace("&", f":is({outer})") if "&" in inner else f":is({outer}) {inner}"


def _add_block(sheets: Sheets, prelude: str, content: Any, *, depth: int) -> None:
    import tinycss2

    if depth > _MAX_DEPTH or len(prelude) > _MAX_PRELUDE or _NO_SCRIPT.search(prelude):
        return
    block = tinycss2.parse_blocks_contents(content, skip_comments=True, skip_whitespace=True)
    declarations = _declared_in(block)
    if declarations:
        for selector in _selectors(prelude):
            sheets.matcher.add_selector(selector, declarations)
        if _shows(declarations) and _STATE.search(prelude):
            for selector in _selectors(", ".join(_without_state(prelude))):
                sheets.openers.add_selector(selector, declarations)
    inner = [one for one in block if one.type in ("qualified-rule", "at-rule")]
    if inner:
        _add(sheets, inner, prelude=prelude, depth=depth + 1)


def _selectors(prelude: str) -> list[Any]:
    """Return the compiled selectors; none for a list that CSS, or cssselect2, does not understand."""
    import cssselect2

    try:
        return list(cssselect2.compile_selector_list(prelude)) if prelude else []
    except (cssselect2.SelectorError, NotImplementedError, ValueError, TypeError, SyntaxError):
        return []


def _without_state(prelude: str) -> Iterator[str]:
    for selector in prelude.split(","):
        bare = _STATE.sub("", selector).strip()
        if bare != selector.strip() and bare and bare[-1] not in ">+~ " and bare[0] not in ">+~":
            yield bare


def _shows(declarations: Iterable[tuple[str, Tokens, bool]]) -> bool:
    """Whether a rule makes something appear that another rule hides."""
    for name, value, _ in declarations:
        only = value[0] if len(value) == 1 else None
        word = only.lower_value if only is not None and only.type == "ident" else ""
        number = only.value if only is not None and only.type in ("number", "dimension", "percentage") else 0
        if name in ("display", "visibility") and word not in ("", "none", "hidden", "collapse"):
            return True
        if (name == "opacity" and number) or (name in ("max-height", "height") and (number or word)):
            return True
    return False


def _declarations(source: Any) -> list[tuple[str, Tokens, bool]]:
    """Return name, value and importance of each declaration of a block, in order."""
    import tinycss2

    return _declared_in(
        tinycss2.parse_blocks_contents(source, skip_comments=True, skip_whitespace=True) if source else ()
    )


def _declared_in(block: Iterable[Any]) -> list[tuple[str, Tokens, bool]]:
    return [
        (one.name if one.name.startswith("--") else one.lower_name, _trimmed(one.value), one.important)
        for one in block
        if one.type == "declaration"
    ]


def _trimmed(value: Iterable[Any]) -> Tokens:
    return tuple(token for token in value if token.type not in ("whitespace", "comment"))


def _substituted(token: Any, variables: Values, *, depth: int) -> Tokens:
    name, *fallback = _trimmed(token.arguments) or (None,)
    if name is None or name.type != "ident":
        return ()
    if name.value in variables:
        return resolved(variables[name.value], variables, depth=depth + 1)
    return resolved(tuple(fallback[1:]), variables, depth=depth + 1)


def _holds_var(tokens: Iterable[Any]) -> bool:
    return any(token.type == "function" and token.lower_name == "var" for token in tokens)


def _with_arguments(token: Any, arguments: Tokens) -> Any:
    import tinycss2.ast

    return tinycss2.ast.FunctionBlock(token.source_line, token.source_column, token.name, list(arguments))
