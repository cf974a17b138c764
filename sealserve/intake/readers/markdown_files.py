"""Markdown files: front matter off, the title found, and what the rendered page does not show taken out and counted.

Not shown are comments, reference definitions, titles and descriptions of links and pictures (they appear on hovering,
or where a picture fails), and HTML elements that hide their words. Code keeps what it shows.
"""

import html
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise

from sealserve.intake.media_types import Parsed
from sealserve.intake.readers.html.html_pages import fragment_to_markdown
from sealserve.intake.readers.html.page_visibility import hides_words, holds_sentence

_MARK = re.compile(
    r"(?P<fence>^[ \t>]{0,40}(?:(?:[-*+]|\d{1,9}[.)])[ \t]{1,9})?(?P<mark>`{3,40}|~{3,40})(?=[^`\n]{0,400}$))"
    r"|(?P<ticks>`{1,40})"
    r"|(?P<comment><!--|<\?|<!\[CDATA\[|\{%-?[ \t]{0,9}comment|\{::comment\}|\{/\*)"
    r"""|(?P<tag></?[a-zA-Z](?>[^<>"'`]{1,500}|"[^"]{0,500}"|'[^']{0,500}'){0,12}+>)"""
    r"|(?P<escape>\\[\\`<\[!{])",
    re.MULTILINE,
)
"""What has to be told apart before anything may be taken out: code, comments, HTML."""

_SIGNS = re.compile(r"[<\[{&]")
_COMMENT_ENDS = {"<!--": "-->", "<?": "?>", "<![": "]]>", "{%": "endcomment", "{::": "{:/comment}", "{/*": "*/}"}
_FENCE_END = re.compile(r"^[ \t>]{0,40}(`{3,40}|~{3,40})[ \t]{0,40}$", re.MULTILINE)
_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9-]{0,30})")
_ATTRIBUTE = re.compile(
    r"""([a-zA-Z_:@][\w:.-]{0,40})(?:\s{0,9}=\s{0,9}("[^"]{0,500}"|'[^']{0,500}'|[^\s"'=<>`]{1,500}))?"""
)
_DEFINITION = re.compile(
    r"^ {0,3}\[(?!\^)((?:[^\]\[\n\\]|\\.){1,300})\]:[ \t]{0,9}\n?[ \t]{0,9}(<[^<>\n]{0,500}>|[^\s<]\S{0,500})"
    r"""(?:[ \t]{0,9}\n?[ \t]{1,9}("[^"]{0,2000}"|'[^']{0,2000}'|\([^()]{0,2000}\)))?[ \t]{0,9}$""",
    re.MULTILINE,
)
_LABEL = re.compile(r"\[([^\[\]]{1,300})\](?!:)")
_LINK_TITLE = re.compile(
    r"""(\]\([ \t]{0,9}(?:<[^<>\n]{0,500}>|[^\s<>()]{1,500})?)[ \t\n]{1,9}"""
    r"""("[^"]{0,2000}"|'[^']{0,2000}'|\([^()]{0,2000}\))[ \t]{0,9}(?=\))"""
)
_IMAGE = re.compile(
    r"!\[([^\[\]]{0,2000})\](\([^()\n]{0,1000}(?:\([^()\n]{0,200}\)[^()\n]{0,200})?\)|\[[^\[\]\n]{0,300}\])?"
)

_NOT_SHOWN = frozenset("script style template noscript iframe object svg head title select textarea datalist".split())
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_BREAKS = frozenset("br p div li tr h1 h2 h3 h4 h5 h6 summary details section article hr dt dd blockquote".split())
_OTHERS = frozenset(
    "a abbr acronym address aside b bdi bdo big button caption center cite code dfn del dialog dl em fieldset "
    "figcaption figure font footer form header i ins kbd label legend main mark nav ol picture pre q s samp small "
    "span strike strong sub sup table tbody td tfoot th thead time tt u ul var video audio".split()
)
_HTML = _NOT_SHOWN | _VOID | _BREAKS | _OTHERS
"""Elements of HTML; other names in angle brackets are left as the text has them."""

_BARE_ATTRIBUTES = frozenset(
    "hidden open popover disabled checked inert async defer controls loop reversed nowrap".split()
)
_SAID_ATTRIBUTES = ("title", "alt", "aria-label", "placeholder", "content", "value")
_MIN_HIDDEN_WORDS = 4
"""Of a title or a description: shorter ones name a picture and say nothing."""


def read_markdown(text: str) -> Parsed:
    """Take off the front matter and what is not shown; the title is the front matter's, else the first heading."""
    unix = text.replace("\r\n", "\n").replace("\r", "\n")
    front, body = _split_front_matter(unix)
    shown, hidden = take_out_unshown(body)
    named = next(filter(None, map(_front_title, front)), "")
    return Parsed(title=named.strip("\"'") if named else _first_heading(shown), text=shown, hidden=hidden)


def take_out_unshown(text: str) -> tuple[str, int]:
    """Return Markdown without what the rendered page does not show, and how many such things held words."""
    if not _SIGNS.search(text):
        return text, 0
    page = _Page(text)
    page.find_marks()
    pieces, hidden = page.shown()
    return _without_link_texts(pieces, hidden)


@dataclass(slots=True)
class _Element:
    """An HTML tag, where it stands, and, for a start tag, where its end tag ends."""

    start: int
    end: int
    name: str
    is_end: bool
    attributes: Mapping[str, str]
    closed_at: int = -1


@dataclass(slots=True)
class _Page:
    """A Markdown text with its code, comments and HTML found."""

    text: str
    code: list[tuple[int, int]] = field(default_factory=list)
    comments: list[tuple[int, int]] = field(default_factory=list)
    elements: list[_Element] = field(default_factory=list)

    def find_marks(self) -> None:
        """Find code, comments and tags, in the order of the text: whichever begins first holds the others."""
        runs = _runs_of_ticks(self.text)
        fences = [(found.end(), found[1]) for found in _FENCE_END.finditer(self.text)]
        missing: set[str] = set()
        place = 0
        while found := _MARK.search(self.text, place):
            place = found.end()
            if found["fence"]:
                place = self._end_of_fence(found, fences)
                self.code.append((found.start(), place))
            elif found["ticks"]:
                place = _end_of_ticks(runs, found)
                if place > found.end():
                    self.code.append((found.start(), place))
            elif found["comment"]:
                place = self._end_of_comment(found, missing)
            elif found["tag"] and (tag := _TAG.match(found["tag"])) and tag[1].lower() in _HTML:
                self._add_tag(found, tag[1].lower())
        self._match_tags()

    def _end_of_fence(self, found: re.Match[str], fences: list[tuple[int, str]]) -> int:
        mark = found["mark"]
        first = bisect_right(fences, (found.end(), "\U0010ffff"))
        for end, other in fences[first : first + 200]:
            if other[0] == mark[0] and len(other) >= len(mark):
                return end
        return len(self.text)

    def _end_of_comment(self, found: re.Match[str], missing: set[str]) -> int:
        """Note the comment and return its end; text that only begins like one is left."""
        begins = next(mark for mark in _COMMENT_ENDS if found[0].startswith(mark))
        closing = _COMMENT_ENDS[begins]
        at = -1 if closing in missing else self.text.find(closing, found.end() - (2 if begins == "<!--" else 0))
        if at < 0:
            missing.add(closing)
            is_block = (
                begins == "<!--" and not self.text[self.text.rfind("\n", 0, found.start()) + 1 : found.start()].strip()
            )
            if not is_block:
                return found.end()
        end = len(self.text) if at < 0 else at + len(closing)
        if begins == "{%" and at >= 0:
            brace = self.text.find("%}", end, end + 20)
            end = brace + 2 if brace >= 0 else end
        self.comments.append((found.start(), end))
        return end

    def _add_tag(self, found: re.Match[str], name: str) -> None:
        is_end = found[0].startswith("</")
        inner = found[0][len(name) + 1 : -1]
        named = [] if is_end else list(_ATTRIBUTE.finditer(inner))
        if any(one[2] is None and one[1].lower() not in _BARE_ATTRIBUTES for one in named):
            return  # "a<b and c>d" is no element
        attributes = {one[1].lower(): (one[2] or "").strip("\"'") for one in named}
        self.elements.append(
            _Element(start=found.start(), end=found.end(), name=name, is_end=is_end, attributes=attributes)
        )

    def _match_tags(self) -> None:
        waiting: dict[str, list[_Element]] = defaultdict(list)
        for element in self.elements:
            if not element.is_end and element.name not in _VOID:
                waiting[element.name].append(element)
            elif element.is_end and waiting[element.name]:
                waiting[element.name].pop().closed_at = element.end

    def shown(self) -> tuple[list[tuple[str, bool]], int]:
        """Return what is shown, in pieces of text and whether each is code, and how many hidden things had words."""
        sheet = "\n".join(
            self.text[one.end : one.closed_at].rpartition("</")[0]
            for one in self.elements
            if one.name == "style" and one.closed_at > 0
        )
        cuts, hidden = [(start, end, "") for start, end in self.comments], 0
        hidden += sum(_has_words(self.text[start:end]) for start, end in self.comments)
        covered = -1
        for element in self.elements:
            if element.start < covered:
                continue
            cut, had_words = self._cut(element, sheet)
            hidden += had_words
            cuts.append(cut)
            covered = cut[1]
        return list(self._pieces(sorted(cuts))), hidden

    def _cut(self, element: _Element, sheet: str) -> tuple[tuple[int, int, str], int]:
        """Return the stretch to leave out for a tag, what stands there instead, and whether words are lost by it."""
        if element.is_end:
            return (element.start, element.end, "\n" if element.name in _BREAKS - {"li", "tr"} else ""), 0
        end = element.closed_at if element.closed_at > 0 else self._end_of_unclosed(element)
        if element.name in _NOT_SHOWN:
            return (element.start, end, ""), element.name != "style" and holds_sentence(self.text[element.end : end])
        if _hides(element, sheet):
            return (element.start, end, ""), _has_words(self.text[element.end : end])
        if element.name == "table" and element.closed_at > 0 and find_spec("lxml"):
            rows, lost = fragment_to_markdown(self.text[element.start : end])
            return (element.start, end, f"\n\n{rows}\n\n"), lost
        said = [element.attributes.get(name, "") for name in _SAID_ATTRIBUTES]
        breaks = "\n" if element.name in _BREAKS else ""
        return (element.start, element.end, breaks), any(map(_is_sentence, said))

    def _end_of_unclosed(self, element: _Element) -> int:
        if element.name in _VOID:
            return element.end
        blank = -1 if element.name == "div" else self.text.find("\n\n", element.end)
        return len(self.text) if blank < 0 else blank

    def _pieces(self, cuts: list[tuple[int, int, str]]) -> Iterator[tuple[str, bool]]:
        place, code = 0, iter([*self.code, (len(self.text), len(self.text))])
        start, end = next(code)
        for cut_start, cut_end, instead in [*cuts, (len(self.text), len(self.text), "")]:
            while start < cut_start:
                if start >= place:
                    yield self.text[place:start], False
                    yield self.text[start:end], True
                    place = end
                start, end = next(code, (len(self.text) + 1, 0))
            if cut_start >= place:
                yield self.text[place:cut_start] + instead, False
            place = max(place, cut_end)
            while end <= place and start < len(self.text):
                start, end = next(code, (len(self.text) + 1, 0))


def _hides(element: _Element, sheet: str) -> bool:
    """Whether the element hides its words; where the style packages are missing, any style is taken for one."""
    attributes = element.attributes
    if not sheet and not {"style", "hidden", "color", "bgcolor", "popover", "type", "size"} & set(attributes):
        return element.name == "dialog" and "open" not in attributes
    if not all(map(find_spec, ("lxml", "tinycss2", "cssselect2"))):
        return bool({"style", "hidden", "color"} & set(attributes))
    return hides_words(element.name, attributes, sheet=sheet)


def _without_link_texts(pieces: list[tuple[str, bool]], hidden: int) -> tuple[str, int]:
    """Take titles and descriptions of links and pictures out, and reference definitions."""
    labels = {_label(one[1]) for text, is_code in pieces if not is_code for one in _LABEL.finditer(text)}
    kept: list[str] = []
    for text, is_code in pieces:
        if is_code:
            kept.append(text)
            continue
        plain, lost = _without_definitions(text, labels)
        hidden += lost
        hidden += sum(_is_sentence(one[1]) for one in _IMAGE.finditer(plain))
        hidden += sum(_is_sentence(one[2]) for one in _LINK_TITLE.finditer(plain))
        kept.append(html.unescape(_LINK_TITLE.sub(r"\1", _IMAGE.sub("", plain))))
    return "".join(kept), hidden


def _without_definitions(text: str, labels: set[str]) -> tuple[str, int]:
    """Take out definitions of links: their titles are not shown, and neither is a definition that nothing uses."""
    kept, place, hidden = [], 0, 0
    for found in _DEFINITION.finditer(text):
        before = (
            text[: found.start()].rstrip(" \t") if found.start() < 200 else text[found.start() - 200 : found.start()]
        )
        is_inside = before.endswith("\n") and not before.endswith("\n\n") and place < found.start() - 1
        line = before.rstrip("\n").rpartition("\n")[2]
        if is_inside and not line.lstrip().startswith(("#", "[", "|", "```")):
            continue  # a line of a paragraph, which CommonMark shows
        is_used = _label(found[1]) in labels
        hidden += _is_sentence(found[3] or "") or (not is_used and _is_sentence(found[1]))
        kept.append(text[place : found.start()])
        kept.append(f"[{found[1]}]: {found[2]}" if is_used else "")
        place = found.end()
    return "".join([*kept, text[place:]]), hidden


def _label(text: str) -> str:
    return " ".join(text.split()).casefold()


def _is_sentence(text: str) -> bool:
    return len(text.split()) >= _MIN_HIDDEN_WORDS or (len(text) > 12 and not text.isascii() and " " not in text)


def _has_words(text: str) -> bool:
    return any(letter.isalnum() for letter in _strip_tags(text))


def _strip_tags(text: str) -> str:
    return "".join(part.rpartition(">")[2] for part in text.split("<")) if "<!--" not in text else text


def _runs_of_ticks(text: str) -> dict[int, list[int]]:
    """Return where runs of backticks start, by their length."""
    found: dict[int, list[int]] = defaultdict(list)
    place = text.find("`")
    while place >= 0:
        end = place
        while text[end : end + 1] == "`":
            end += 1
        found[end - place].append(place)
        place = text.find("`", end)
    return found


def _end_of_ticks(runs: dict[int, list[int]], found: re.Match[str]) -> int:
    """Return the end of a code span; that of its backticks alone if nothing closes it."""
    length = len(found["ticks"])
    starts = runs.get(length, [])
    at = bisect_right(starts, found.start())
    return starts[at] + length if at < len(starts) else found.end()


def _split_front_matter(text: str) -> tuple[list[str], str]:
    """Return the lines between a first line of three dashes (or plus signs) and the next one, and what follows."""
    mark = text[:3]
    if mark not in ("---", "+++"):
        return [], text
    first, *lines = text.split("\n")
    if first.rstrip(" \t") != mark:
        return [], text
    ends = (mark, "...") if mark == "---" else (mark,)
    end = next((place for place, line in enumerate(lines) if place and line.rstrip(" \t") in ends), None)
    return ([], text) if end is None else (lines[:end], "\n".join(lines[end + 1 :]))


def _front_title(line: str) -> str:
    key, separator, value = line.partition(":")
    if key.strip().lower().partition("=")[0].strip() == "title" and "=" in key:
        key, separator, value = line.partition("=")  # TOML
    return value.strip(" \t") if separator and key.strip(" \t").lower() == "title" else ""


def _first_heading(text: str) -> str:
    """Return the first heading, written with number signs or underlined with equals signs; "" if there is none."""
    fence = ""
    for line, following in pairwise([*text.split("\n"), ""]):
        bare = line.lstrip(" ")
        if bare.startswith(fence or ("```", "~~~")):
            fence = "" if fence else bare[:3]
            continue
        marks = len(bare) - len(bare.lstrip("#"))
        if fence:
            continue
        if len(line) - len(bare) <= 3 and 1 <= marks <= 6 and bare[marks : marks + 1] in (" ", "\t"):
            if heading := bare[marks:].strip(" \t").rstrip(" \t#"):
                return heading
        elif line and not line[0].isspace() and following.rstrip(" \t").strip("=") == "" and following[:1] == "=":
            return line
    return ""
