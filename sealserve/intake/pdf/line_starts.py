"""What the start of a line means: an item of a list, a row of its own, or the next words of the sentence above.

"2." and a dash may mark an item or merely come first after a wrap. A mark that belongs to a series of marks begins an
item; for any other the line above decides.
"""

import re
from collections import Counter
from collections.abc import Sequence

SENTENCE_ENDS = tuple(".!?:;…。！？।؟")
_BULLET = re.compile(r"^[•‣◦▪▫●○■□·\uf0b7\uf0a7\uf076\uf0fc]\s*")
_DASH = re.compile(r"^[–—*-]\s+")
_NUMBERED = re.compile(r"^\(?([0-9]{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]\s")
_ROMAN = "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx".split()
_LEAST_ROWS = 3
_CODE = ("#", "//", "$", ">", "|")
"""How lines of code and tables begin, which no sentence does."""

_LEADS_ON = frozenset(
    """a about after an and are as at before between by during each every for from his in into is its least most of on
    or our over per since than that the their through to under until was were which with within your
    als am an auf aus bei binnen bis das dem den der des die ein eine einem einen einer eines für im in innerhalb mit
    nach oder seit um und unter vom von vor zu zum zur über
    au aux avec de depuis des dans du en et la le les ou par pour sous sur un une à
    al con del desde el entre hasta las los para por sin sobre una y
    che da dal dei della di gli il lo nel per tra
    het met na naar op van voor""".split()
)
"""Articles, prepositions and conjunctions of a few languages: hardly any sentence ends with one."""

_COUNTED = frozenset(
    """article chapter clause figure line no number page paragraph part room section step table version year
    absatz artikel jahr jahre kapitel nummer nr seite abschnitt
    année chapitre numéro capítulo número página sección año""".split()
)
"""Words that a number belongs to, of a few languages."""


def with_plain_bullet(text: str) -> str:
    """Return the line with a hyphen for the bullet that it begins with, if any."""
    return _BULLET.sub("- ", text)


def with_plain_dash(text: str) -> str:
    """Return an item with a hyphen for its dash or star, if it begins with one."""
    return _DASH.sub("- ", text)


def series_in(lines: Sequence[str]) -> frozenset[str]:
    """Return the marks of a block's lines that stand in a series: several dashes, a number beside its neighbour."""
    found = Counter(mark for line in lines if (mark := _mark_of(line)))
    return frozenset(
        mark
        for mark, count in found.items()
        if not _neighbours(mark).isdisjoint(found) or (count > 1 and not mark.isalnum())
    )


def are_rows(lines: Sequence[str]) -> bool:
    """Return whether most lines of a block, or all of two, begin with a number and no mark, as a timetable's do."""
    starts = sum(line[:1].isdigit() and not _mark_of(line) for line in lines)
    return starts >= max(_LEAST_ROWS, 0.5 * len(lines)) or 1 < starts == len(lines)


def begins_item(text: str, above: str, *, series: frozenset[str], is_wrapped: bool) -> bool:
    """Return whether the line is an item of a list; `is_wrapped`: the line above, "" if none, ends near the margin."""
    mark = _mark_of(text)
    if not mark or mark in series or not above:
        return bool(mark or _BULLET.match(text))
    return above.endswith(SENTENCE_ENDS) or not (is_wrapped or leads_on(above, text))


def goes_on(text: str, above: str, *, is_wrapped: bool) -> bool:
    """Return whether the line takes up the sentence of `above`, which may end `is_wrapped`, near the margin."""
    if above.endswith(SENTENCE_ENDS):
        return False
    return leads_on(above, text) or (is_wrapped and text[:1].isdigit())


def leads_on(above: str, text: str) -> bool:
    """Return whether `above` ends in the middle of a sentence, as far as its last word and the next sign tell."""
    last = above.rpartition(" ")[2]
    if text[:1].isdigit() and (above.endswith(",") or last.rstrip(".").casefold() in _COUNTED):
        return True
    return last in _LEADS_ON and not text.startswith(_CODE)


def _mark_of(line: str) -> str:
    """Return "7", "b", "iv" or "-"; "" without a mark. A bullet is none: it can mean nothing else than an item."""
    found = _NUMBERED.match(line)
    if found:
        return found[1]
    dash = _DASH.match(line)
    return dash[0].strip() if dash else ""


def _neighbours(mark: str) -> set[str]:
    """Return the marks before and after, as a number, a letter and a Roman number: "v" is between "u" and "w" as well
    as between "iv" and "vi".
    """
    if mark.isdigit():
        return {str(int(mark) - 1), str(int(mark) + 1)}
    found = {chr(ord(mark) - 1), chr(ord(mark) + 1)} if len(mark) == 1 and mark.isalpha() else set()
    if mark.lower() in _ROMAN:
        place = _ROMAN.index(mark.lower())
        beside = _ROMAN[max(0, place - 1) : place] + _ROMAN[place + 1 : place + 2]
        found |= {one.upper() if mark.isupper() else one for one in beside}
    return found
