"""Whether an answer says that it is not known, in the ways in which models usually say so.

Matched by RE2, in time linear in the text. Other languages than English by their commonest forms alone, in a short
sentence: an abstention in other words counts as an answer.
"""

import re
from typing import Any

import re2

from sealserve.stream_safe import normalise

MAX_CHARACTERS = 600
"""Only this much of an answer is looked at: an abstention comes first, after a polite sentence at most."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_SPLIT = re.compile(r"\b(don|doesn|didn|can|couldn|i|it|there|that|we) (t|m|ve|d|ll|re|s)\b")
"""What `answers.normalised` makes of a contraction."""

_QUOTES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'"})

_LEAD = r"""(?:(?:
    (?:i'm|i\ am|we're|we\ are)?\ ?(?:very\ |so\ |really\ |truly\ )?(?:sorry|afraid)(?:\ for\ [^,.]{0,40})?
  | (?:my\ |our\ )?apologies | i\ (?:must\ )?apologi[sz]e(?:\ for\ [^,.]{0,40})?
  | unfortunately | regrettably | honestly | to\ be\ honest | well | hmm | however | as\ far\ as\ i\ know
  | as\ (?:an?|your)\ [^,.]{0,60} | as\ of\ [^,.]{0,60}
  | (?:based\ on|according\ to|from|in|within)\ (?:the|this|my|what)\ [^,.]{0,80} | currently
  | at\ (?:this|the)\ (?:time|moment) | (?:the\ )?answer\ ?:
)(?:\ -|[,:;])?\ (?:but\ |however,?\ |that\ |to\ say\ that\ )?){0,3}"""

_ABOUT = (
    r"(?:what|who|whom|whose|when|where|which|why|how|whether|if|about|that|this|the|anything|of|for|enough|much|it|"
    r"answer)"
)
_THING = (
    r"(?:information|info|data|details?|knowledge|records?|context|mention|evidence|indication|answer|idea|reference)"
)
_TEXT = r"(?:article|passage|text|document|context|excerpt|source|story|information|material)s?"
_SAYS = (
    r"(?:say|state|mention|provide|specify|give|contain|include|tell|indicate|reveal|discuss|explain|have|answer|"
    r"address|disclose|identify|name|list|offer)"
)
_KNOWN = (
    r"(?:(?:publicly |currently |explicitly |directly |specifically |clearly )?"
    r"(?:known|stated|mentioned|specified|provided|given|available|disclosed|clear|documented|indicated))"
)

_PHRASES = (
    rf"i (?:really |just |honestly |simply )?(?:do not|don't|dont) (?:actually |really )?know"
    rf"(?: {_ABOUT}\b| *[.,;:!]| *$| at | - )",
    rf"i (?:currently )?(?:do not|don't) (?:currently |really |actually )?have (?:[\w-]+ ){{0,5}}(?:{_THING}|access)\b",
    rf"i have (?:no|not enough|insufficient) (?:[\w-]+ ){{0,3}}(?:{_THING}|way)\b",
    r"i(?:'m| am) (?:not|un)(?: |-)?(?:aware|sure|certain|familiar|able to \w+)\b",
    r"i(?:'m| am) unable to (?:verify|confirm|find|answer|determine|locate|access|say|tell|provide|give|recall)\b",
    r"i (?:cannot|can't|can not|could not|couldn't) (?:\w+ly )?(?:verify|confirm|find|answer|determine|locate|recall|"
    r"be (?:sure|certain)|provide|give you|tell you|identify)\b",
    r"i(?:'ve| have) (?:never|not) heard of\b",
    rf"there(?:'s| is| are| was| were| does not appear to be| doesn't seem to be) (?:currently )?(?:no|not|any|"
    rf"insufficient)\b(?: [\w-]+){{0,4}} {_THING}\b",
    rf"no (?:[\w-]+ ){{0,3}}{_THING} (?:about|on|is|are|was|of|regarding|for|available|provided|given|found|exists)\b",
    rf"(?:(?:the|this|that|your) )?(?:\w+ )?{_TEXT} (?:\w+ )?(?:does not|doesn't|do not|don't|did not|didn't|never) "
    rf"(?:\w+ly )?(?:{_SAYS})s?\b",
    rf"(?:(?:the|this|that|your) )?(?:\w+ )?{_TEXT} (?:makes no|has no|contains no|gives no) {_THING}\b",
    rf"it (?:is|'s|was) (?:not {_KNOWN}|unclear|unknown|not possible to|impossible to)\b",
    rf"it's (?:not {_KNOWN}|unclear|unknown|not possible to|impossible to)\b",
    rf"(?:this|that|the answer|the [\w' -]{{1,60}}) (?:is|are|was|were|has|have) (?:not (?:been )?{_KNOWN}|unknown)\b",
    r"my (?:training|knowledge)[^.]{0,60}(?:does not|doesn't|do not|don't) (?:include|contain|cover)\b",
    rf"(?:unknown|not {_KNOWN})(?:[.,;!]| in | by |$)",
)


def _compiled(pattern: str) -> Any:
    return re2.compile(pattern)


MAX_FOREIGN_CHARACTERS = 120
_FOREIGN = _compiled(
    r"\bich weiss (?:es |das )?(?:leider )?nicht|weiss ich (?:leider )?nicht|steht nicht im text|"
    r"(?:nicht|nirgends) (?:angegeben|erwähnt|bekannt)|\bno (?:lo )?sé(?:[ .,;!]|$)|"
    r"\bno se (?:indica|menciona|especifica|sabe)\b|\bje ne (?:le )?sais pas|"
    r"n'est pas (?:indiqué|mentionné|précisé)|\bnon (?:lo )?so\b|"
    r"non (?:è )?(?:indicato|specificato|menzionato)|\b(?:eu )?não sei\b|"
    r"não (?:é |está )?(?:indicado|mencionado|informado)|не знаю|неизвестно|не (?:указан|сказан|упомянут)|не говорится|"
    r"不知道|不清楚|未提及|没有提(?:到|及)|未说明|無法得知|无法(?:得知|确定|回答)|"
    r"わかりません|分かりません|知りません|不明です|(?:記載|言及)(?:されて|が|は)?(?:い|あり)ません|書かれていません|"
    r"모르겠|모릅니다|알 수 없|(?:명시|언급)되(?:어 있)?지 않|"
    r"لا أعرف|لا أعلم|لا اعرف|غير (?:مذكور|معروف|محدد)|لم يذكر|לא יודע|לא ידוע|לא (?:צוין|מצוין|נאמר)|"
    r"(?:नहीं|नही) (?:पता|मालूम|जानता|जानती)|(?:पता|मालूम) नहीं|उल्लेख नहीं|ไม่ทราบ|ไม่รู้|ไม่ได้ระบุ|ไม่มีข้อมูล"
)

_LEAD_PATTERN = re.sub(r"(?<!\\)\s+", "", _LEAD).replace(r"\ ", " ")
_ABSTAINS = _compiled(rf"^{_LEAD_PATTERN}(?:{'|'.join(_PHRASES)})")
_POLITE = _compiled(
    r"^(?:thank|thanks|great|good|hello|hi|hey|sure|of course|certainly|sorry|apolog|my apolog|i'm sorry|i am sorry|"
    r"i apolog|i understand|i appreciate|let me|that's an? |what an? |interesting|as an ai|answer|hmm|well)\b"
    r"[^,]{0,80}$"
)
_TURNS = _compiled(r"\b(?:but|however|although|though|yet|nevertheless|that said|still|instead)\b,? *(.*)$")
_HARMLESS = _compiled(
    r"^(?:you|we|please|feel free|if you|i(?:'d| would|'ll| will| can| could)? ?(?:recommend|suggest|help|try|offer|"
    r"be happy|assist|provide (?:general|some)|advise|do not|don't|cannot|can't)|there (?:may|might|are other|could)|"
    r"check|perhaps you|for more|it (?:does|doesn't|did|didn't|may|might|could)|the (?:article|passage|text))\b"
)
_GUESSES = _compiled(
    r"\b(?:i (?:think|believe|guess|suspect|assume)|my (?:best )?guess|"
    r"(?:it|that|they|he|she)(?:'s| is| was| are| were)"
    r" (?:probably|likely|possibly|perhaps|most likely)|the answer is|must be)\b"
)
_STATES = _compiled(r"^(?:it|they|he|she|that|the answer)(?:'s| is| was| are| were)\b")


def abstains(given: str) -> bool:
    """Return whether `given` says that the answer is not known, and gives none after all.

    The abstention begins the answer, or follows one polite sentence.
    """
    folded = normalise("NFKC", given[:MAX_CHARACTERS]).translate(_QUOTES).casefold()
    folded = _SPLIT.sub(r"\1'\2", folded)
    sentences = [" ".join(part.split()).strip("*_\"' ") for part in _SENTENCE.split(folded.strip())]
    if len(sentences) > 1 and _POLITE.search(sentences[0].rstrip(".!?")):
        sentences = sentences[1:]
    first, following = sentences[0], sentences[1:]
    if len(first) <= MAX_FOREIGN_CHARACTERS and not following and _FOREIGN.search(first):
        return True
    found = _ABSTAINS.search(first)
    return bool(found) and not _answers_after_all(first[found.end() :], following)


def _answers_after_all(rest: str, following: list[str]) -> bool:
    turn = _TURNS.search(rest)
    if turn and not _HARMLESS.search(turn.group(1)):
        return True
    if any(_GUESSES.search(part) for part in (rest, *following[:2])):
        return True
    return bool(following) and bool(_STATES.search(following[0])) and not _ABSTAINS.search(following[0])
