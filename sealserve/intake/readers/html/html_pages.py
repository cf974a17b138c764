"""HTML pages: title and main text, without what a reader would not see and without the site around it.

Everything here takes time linear in the page. What lxml and the style sheets take is bounded by the sandbox alone.
"""

import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from importlib.util import find_spec
from itertools import islice
from typing import Any

from sealserve.intake.media_types import Defect, Parsed, Unreadable
from sealserve.intake.readers.html.html_to_markdown import to_markdown
from sealserve.intake.readers.html.page_visibility import take_out_comments, take_out_hidden

_NEVER_TEXT = (
    "script", "style", "template", "noscript", "noframes", "iframe", "object", "embed", "svg", "canvas", "audio",
    "video", "map", "select", "textarea", "datalist", "input", "meter", "progress", "annotation", "annotation-xml",
    "link", "meta", "title", "base",
)  # fmt: skip
"""Elements without text to read. Not the head: libxml2 puts HTML 5's new elements into it where a page has no body tag.
"""

_SITE_ROLES = frozenset({"navigation", "search", "menu", "menubar", "toolbar", "tablist", "alertdialog", "dialog"})
_PAGE_ROLES = frozenset({"banner", "contentinfo", "complementary"})
_PAGE_TAGS = frozenset({"header", "footer", "aside"})
_CONTENT_TAGS = frozenset({"main", "article", "section", "blockquote", "td", "figure"})
_SITE_NAMES = re.compile(
    r"(?:^|[-_\s])(?:cookies?(?![a-z])\S{0,20}|(?:consent|gdpr|ccpa)\S{0,20}|breadcrumbs?|breadcrumb-section|navbar|navigation"
    r"|site-?nav|main-?menu|nav-?menu|skip-?links?|skip-?to-?content|skip-?nav|pagination|pager|newsletter|share-?(?:bar|buttons?|links?)"
    r"|social-?(?:share|links?|icons?)|toc-?macro|back-?to-?top|screen-?reader-?text|headerlink|anchor-?link|mw-editsection|printfooter)"
    r"(?:$|[-_\s])",
    re.IGNORECASE,
)
_PAGE_NAMES = frozenset({"footer", "site-footer", "page-footer", "sidebar", "site-header", "masthead", "colophon"})
_ACCEPT = re.compile(
    r"\b(?:accept|agree|allow|got it|ok|okay|understood|akzeptier\w{0,4}|zustimmen|einverstanden|verstanden"
    r"|acept\w{0,4}|accepte\w{0,3}|accetta\w{0,3}|aceit\w{0,3}|akkoord|принять|согласен|同意|接受|承諾)\b|同意|接受",
    re.IGNORECASE,
)
_COOKIE = re.compile(r"cookie|куки|クッキー|쿠키|witryn", re.IGNORECASE)
_MAX_BANNER_CHARACTERS, _MAX_BANNER_PARTS = 1500, 200
_MIN_MAIN_SHARE = 0.2
_MAX_HEADINGS = 20
_TITLE_PARTS = re.compile(r"\s[|\-–—·:»]\s|\s?\|\s?")
_EMPTY_ELEMENT = re.compile(rb"<([a-zA-Z][a-zA-Z0-9]{0,20})((?:\s[^<>]{0,1000})?)/>")
_VOID = frozenset(b"area base br col embed hr img input link meta param source track wbr".split())
_MARKUP = re.compile(
    r"</(?:p|div|span|ul|ol|li|a|b|strong|em|i|h[1-6]|table|td|pre|code)>|<br\s{0,3}/?>|<!--", re.IGNORECASE
)
_PERMALINKS = frozenset({"#", "¶", "§", "🔗", "link", "permalink", "edit", "[edit]", ""})
_GONE = "sealserve-left-out"


def read_html(page: str | bytes, *, sheets: Sequence[str] = ()) -> Parsed | Unreadable:
    """Return title and main text, as Markdown, of a page without anything a browser would not show, and how much that
    was. Bytes are UTF-8; `sheets` are style sheets that the page links to.
    """
    from lxml import etree, html

    content = page if isinstance(page, bytes) else page.encode("utf-8", "surrogatepass")
    if content.lstrip()[:5] == b"<?xml":  # XHTML, where "<title/>" is whole
        content = _EMPTY_ELEMENT.sub(_closed, content)
    parser = html.HTMLParser(encoding="utf-8", remove_comments=False, remove_pis=True)
    try:
        tree = html.document_fromstring(content, parser=parser)
    except (etree.LxmlError, ValueError, AssertionError):
        return Unreadable(defect=Defect.NO_TEXT, advice="there is nothing to see on this page")
    named = " ".join((tree.findtext(".//head/title") or tree.findtext(".//title") or "").split())
    hidden = take_out_comments(tree) + take_out_hidden(tree, sheets=sheets)
    etree.strip_elements(tree, *_NEVER_TEXT, with_tail=False)
    return Parsed(title=_title(tree, named), text=_main_text(tree), hidden=hidden)


def _closed(found: re.Match[bytes]) -> bytes:
    return found[0] if found[1].lower() in _VOID else b"<%s%s></%s>" % (found[1], found[2], found[1])


def without_markup(text: str) -> tuple[str, int]:
    """Return a value of an export, such as an answer in CSV or JSON, as Markdown where it is HTML, and how much of it
    was hidden.
    """
    if not _MARKUP.search(text) or not all(map(find_spec, ("lxml", "tinycss2", "cssselect2"))):
        return text, 0
    return fragment_to_markdown(text)


def fragment_to_markdown(markup: str) -> tuple[str, int]:
    """Return an HTML element that stands in another text as Markdown, and how much of it was hidden."""
    from lxml import etree, html

    try:
        tree = html.document_fromstring(markup.encode("utf-8", "replace"), parser=html.HTMLParser(encoding="utf-8"))
    except (etree.LxmlError, ValueError, AssertionError):
        return "", 0
    hidden = take_out_hidden(tree)
    etree.strip_elements(tree, etree.Comment, *_NEVER_TEXT, with_tail=False)
    return to_markdown(tree), hidden


def _title(tree: Any, named: str) -> str:
    """Return the page's title without its site's name, where the first heading says which part that is."""
    headings = [node for node in tree.iter("h1", "h2", "h3") if not _is_in_the_sites_head(node)]
    words = (" ".join("".join(node.itertext()).split()) for node in headings[:_MAX_HEADINGS])
    first = next(filter(None, words), "")
    return first if first and (not named or first in _TITLE_PARTS.split(named)) else named


def _is_in_the_sites_head(node: Any) -> bool:
    """Whether a heading stands in the head of the page, where sites have their name."""
    around = [above.tag for above in node.iterancestors()]
    return ("header" in around or "nav" in around) and not _CONTENT_TAGS & set(around)


def _main_text(tree: Any) -> str:
    """Return the page's content as Markdown, without menus, banners and footers; all of it where nothing is left."""
    whole = deepcopy(tree)
    _leave_out(tree, _cookie_banners(tree))
    _leave_out(tree, (node for node in tree.iter("*") if _is_of_the_site(node)))
    shown = to_markdown(_main_element(tree))
    return shown if shown.strip() else to_markdown(whole)


def _main_element(tree: Any) -> Any:
    """Return the element that says it is the main one, if it holds a good part of the words, else the page."""
    found = [node for node in tree.iter("*") if node.tag == "main" or node.get("role") == "main"]
    if len(found) != 1:
        return tree
    inside, everything = (sum(map(len, node.itertext())) for node in (found[0], tree))
    return found[0] if inside >= _MIN_MAIN_SHARE * everything else tree


def _leave_out(tree: Any, nodes: Iterator[Any]) -> None:
    from lxml import etree

    for node in list(nodes):
        if node is not tree and node.tag not in ("html", "body", "main"):
            node.tag = _GONE
    etree.strip_elements(tree, _GONE, with_tail=False)


def _is_of_the_site(node: Any) -> bool:
    """Whether the element belongs to the site around the page's content: menus, footers, tables of contents."""
    role = node.get("role") or ""
    if node.tag == "nav" or role in _SITE_ROLES:
        return True
    names = f"{node.get('class') or ''} {node.get('id') or ''}"
    if names != " " and _SITE_NAMES.search(names) and next(node.iter("main", "article", "h1"), None) is None:
        return True
    is_framed = node.tag in _PAGE_TAGS or role in _PAGE_ROLES or not _PAGE_NAMES.isdisjoint(names.lower().split())
    if is_framed and not any(above.tag in _CONTENT_TAGS for above in node.iterancestors()):
        return next(node.iter("h1", "main", "article"), None) is None
    if node.tag in ("ul", "ol", "a", "sup"):
        return _is_only_links(node)
    if node.tag in ("i", "span") and node.get("aria-hidden") == "true":
        return "icon" in names or " fa-" in f" {names}"
    return node.tag == "button" and not _is_heading_of_pane(node)


def _is_only_links(node: Any) -> bool:
    """Whether a list leads to places in this page alone, or a link is a sign to copy, or a mark of a footnote."""
    if node.tag == "a":
        href = node.get("href") or ""
        return href.startswith("#") and "".join(node.itertext()).strip().lower() in _PERMALINKS
    links = [one for one in node.iter("a") if one.get("href")]
    if not links or not all((one.get("href") or "").startswith("#") for one in links):
        return False
    if any(_is_tab(one) for one in links):
        return True
    linked = sum(len("".join(one.itertext()).strip()) for one in links)
    everything = len("".join("".join(node.itertext()).split()))
    return linked * 10 >= everything * 8 and (len(links) > 1 or node.tag == "sup")


def _is_tab(node: Any) -> bool:
    return "tab" in (node.get("role"), node.get("data-toggle"), node.get("data-bs-toggle"))


def _is_heading_of_pane(button: Any) -> bool:
    """Whether a button's words head what it opens, as in accordions, or stand in a heading or a sentence."""
    if any(name in button.attrib for name in ("aria-expanded", "aria-controls", "data-target", "data-bs-target")):
        return bool(button.get("role") != "tab")
    names = (button.get("class") or "").lower()
    if "accordion" in names or "collaps" in names or "question" in names:
        return True
    around = button.getparent()
    return around is not None and around.tag in ("h1", "h2", "h3", "h4", "h5", "h6", "dt", "summary", "p")


def _cookie_banners(tree: Any) -> Iterator[Any]:
    """Yield the boxes that ask for consent: small, about cookies, with a button that accepts them."""
    texts: dict[Any, str] = {}
    for button in tree.iter("button", "a"):
        words = " ".join("".join(button.itertext()).split())
        if len(words) > 60 or not _ACCEPT.search(words):
            continue
        banner = None
        for above in button.iterancestors():
            text = texts[above] if above in texts else texts.setdefault(above, _short_text(above))
            if not text or above.tag in ("html", "body", "main", "article"):
                break
            banner = above if _COOKIE.search(text) and next(above.iter("h1"), None) is None else banner
        if banner is not None:
            yield banner


def _short_text(node: Any) -> str:
    """Return the words of a small element; "" for one that is larger than a banner."""
    if len(list(islice(node.iter(), _MAX_BANNER_PARTS + 1))) > _MAX_BANNER_PARTS:
        return ""
    text = "".join(node.itertext())
    return text if len(text) <= _MAX_BANNER_CHARACTERS else ""
