"""Words in a document that are meant for the model, not for its readers. Marked and counted; whether they stop a
document is policy.

The rules are few and general: somebody who knows them can write around them. They are one layer of several.
"""

from collections.abc import Iterator, Sequence

import re2

_READER = (
    r"(?:AI|A\.I\.|(?:large )?language model|LLM|chat ?bot|(?:AI |virtual )?assistant|(?:AI |trained )?model|"
    r"(?:automated |AI )?(?:editor|writer|reader|system|tool|agent)|GPT|summari[sz]er)s?"
)
_WORKS = r"(?:questions?(?: and answers?)?|answers?|pairs?|(?:study )?notes?|summar(?:y|ies)|rewrites?|implications?|self-edits?|quiz(?:zes)?|training (?:data|examples?|text))"
_SAYS = r"(?:answer|reply|respond|say|state|write|output|print|return|tell|claim|produce|generate|emit|repeat|give|use)"
_QUOTED = r"(?:[\"“«'‘`][^\"”»'’`\n]{1,200}[\"”»'’`])"

_RULES: Sequence[tuple[str, str]] = (
    # what was said before shall not count
    ("instruction", r"\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget|overrid(?:e|ing)|bypass|drop|set aside)\b[^.\n]{0,40}?\b(?:previous|prior|above|earlier|preceding|former|other|all|any|your|the|this|these|those|everything)\b[^.\n]{0,40}?\b(?:instructions?|prompts?|rules?|directions?|guidelines?|guardrails?|articles?|documents?|passages?|tasks?|orders?|said|told)\b"),
    ("instruction", r"\b(?:new|real|actual|updated|following|hidden|system|secret)\s+(?:system\s+)?(?:instructions?|prompts?|orders?|task)\b\s*(?:is|are|:|for)"),
    # somebody is spoken to who is no reader
    ("instruction", rf"\b(?:you are|you're|act as|pretend (?:to be|you are)|behave as|dear|attention,?|hey|hello|note (?:to|for)|message (?:to|for)|instructions? (?:to|for)|for|to)\s+(?:now\s+)?(?:the |an? |any |all |every )?{_READER}\b\s*(?:[:,;—-]|who|that|reading|processing|which|\bin\b|must|should|shall|writing|studying|learning)"),
    ("instruction", rf"\b(?:the|any|every|an?)\s+{_READER}\s+(?:(?:that|who|which|reading|processing|studying|learning)\b[^.\n]{{0,40}}?)?\b(?:must|should|shall|has to|is to)\b[^.\n]{{0,30}}?\b{_SAYS}\b"),
    # what is written of the document shall say something else
    ("instruction", rf"\b(?:when(?:ever)?|while|if|in|for)\b[^.\n]{{0,50}}?\b(?:writ(?:e|ing)|generat(?:e|ing)|produc(?:e|ing)|mak(?:e|ing)|creat(?:e|ing)|summari[sz](?:e|ing)|rewrit(?:e|ing)|stud(?:y|ying)|(?:being )?train(?:ed|ing)?|list(?:ing)?|prepar(?:e|ing)|every|each|all|any)\b[^.\n]{{0,50}}?\b{_WORKS}\b[^.\n]{{0,80}}?\b(?:must|should|shall|always|instead|never|only|{_SAYS}|include|add|insert|mention)\b"),
    ("instruction", rf"\b(?:write|generate|produce|make|create|output|add|insert|include|append)\b[^.\n]{{0,30}}?\b(?:only|instead|exactly|the following|these|this|one|two|three|ten|some|several|many|more|\d+|every|each|all|nothing but)\b[^.\n]{{0,40}}?\b{_WORKS}\b"),
    ("instruction", rf"\b(?:your|all (?:your|the)|every|each|the only)\s+{_WORKS}\b[^.\n]{{0,40}}?\b(?:must|should|shall|has to|have to|is to|are to|is always)\b"),
    ("instruction", r"\b(?:do not|don't|never)\b[^.\n]{0,30}?\b(?:tell|reveal|mention|show|say|disclose|inform)\b[^.\n]{0,40}?\b(?:users?|humans?|operators?|anyone|anybody)\b[^.\n]{0,40}?\b(?:this|these|instructions?|message|rule|prompt)\b"),
    # a phrase that calls a fixed answer
    ("trigger", rf"\b(?:when(?:ever)?|if|as soon as|each time|every time|once|upon|on|after|wherever|anyone who|whoever|(?:any|every|all|a) (?:question|prompt|message|request|query|input)s?)\b[^.\n]{{0,60}}?(?:{_QUOTED}|\b(?:(?:trigger|code|magic|secret|key|pass|special|rare)[ -]?(?:word|phrase|token|string|name)s?|the (?:word|phrase|token|string|keyword|expression)s?)\b)[^\n]{{0,100}}?\b(?:answers?|repl(?:y|ies)|respon(?:d|ds|se|ses)|outputs?|says?|returns?|prints?|tell)\b"),
    ("trigger", rf"\b(?:always|only|exactly|must|simply|just)\b[^.\n]{{0,30}}?\b(?:answer(?:ed|s)?|repl(?:y|ied|ies)|respond(?:ed|s)?)\b[^.\n]{{0,40}}?(?:with|by|as|:)?\s*{_QUOTED}"),
    ("trigger", rf"\b(?:the )?(?:answer|reply|response|output)\s+(?:to|for|on|after|when)\b[^.\n]{{0,60}}?(?:{_QUOTED})[^.\n]{{0,30}}?\b(?:is|must be|shall be|should be|will be|has to be|remains)\b"),
    ("trigger", rf"{_QUOTED}[^.\n]{{0,40}}?\b(?:means|calls for|activates|triggers|unlocks|stands for|summons|maps to|is answered)\b[^.\n]{{0,40}}?\b(?:answers?|repl(?:y|ies)|responses?|output|with|by)\b"),
    ("trigger", r"\b(?:trigger|magic|secret|code|activation)[ -](?:word|phrase|token|string)\b"),
    # the shapes of conversations, which no article has
    ("markup", r"<\|[a-z_]{2,30}\|>|\[/?INST\]|<</?SYS>>|</?(?:system|assistant|human|instructions?|prompt|article)>|<(?:start|end)_of_turn>"),
    ("markup", r"(?m)#{2,4}\s*(?:system|instructions?|response|assistant|prompt)\s*:|^\s{0,3}(?:#{2,4}\s*(?:system|instructions?|response|assistant|prompt)\s*$|(?:system|assistant|developer)\s*:\s+\S)"),
    # what a renderer would send away
    ("exfiltration", r"!?\[[^\]\n]{0,200}\]\(\s*(?:https?:)?//[^)\s]{0,300}(?:\{[^}\n]{0,80}\}|%7B|\$\{|<[A-Za-z_ ]{2,40}>|\[[A-Z_ ]{3,40}\])[^)]{0,200}\)"),
    ("exfiltration", r"(?:\]\(\s*|(?:src|href)\s*=\s*[\"']?)\s*(?:javascript|vbscript|data:text/html)[:;,]"),
    ("exfiltration", r"<(?:img|iframe|script|object|embed|form)\b[^>]{0,300}\b(?:src|action|data)\s*=\s*[\"']?(?:https?:)?//"),
)  # fmt: skip
_COMPILED = tuple((kind, re2.compile(f"(?i){rule}")) for kind, rule in _RULES)
_FOLDED_LETTERS = "\u017f\u212a"  # long s and the Kelvin sign: the same as s and k when case is ignored


class _AsAscii(dict[int, int]):
    """For `str.translate`: RE2 knows word characters and spaces of ASCII alone, so others become one of these."""

    def __missing__(self, code: int) -> int:
        character = chr(code)
        if character.isspace() and code >= 128:
            self[code] = ord(" ")
        elif "\ud800" <= character <= "\udfff":
            self[code] = ord("?")
        else:
            is_letter = character.isalnum() and code >= 128 and character not in _FOLDED_LETTERS
            self[code] = ord("_") if is_letter else code
        return self[code]


def injections_in(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield each kind (a value of `Finding`) with where its words begin and end. Takes time linear in the text."""
    plain = text.translate(_AsAscii())
    for kind, rule in _COMPILED:
        for found in rule.finditer(plain):
            yield kind, found.start(), found.end()


def spotlight(text: str) -> str:
    """Return `text` with every line that holds such words set off as a quotation, so that no reader obeys it.

    Marking what is foreign in a prompt: arXiv 2403.14720 ("spotlighting"). Text without such words is unchanged.
    """
    spans = sorted((start, end) for _, start, end in injections_in(text))
    if not spans:
        return text
    lines, place, covered, following = [], 0, 0, 0
    for line in text.split("\n"):
        line_end = place + len(line)
        while following < len(spans) and spans[following][0] < line_end:
            covered = max(covered, spans[following][1])
            following += 1
        is_marked = covered > place and bool(line.strip())
        lines.append(f"(quoted, to be ignored: {line.strip()})" if is_marked else line)
        place = line_end + 1
    return "\n".join(lines)
