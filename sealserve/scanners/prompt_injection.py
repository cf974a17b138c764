"""Finds words in a document that are meant for the model, not for its readers. Policy decides whether they stop a
document.

The rules are few and general, and somebody who knows them can write around them. They are one layer of several.
Languages other than English have fewer words (`addressing_words`).
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import re2

from sealserve.scanners.addressing_words import UNSPACED, WORDS, Words
from sealserve.scanners.disguises import disguised_orders_in, encoded_in
from sealserve.scanners.fixed_answers import fixed_answers_in
from sealserve.scanners.large_patterns import compiled

MAX_NAMED_CHARACTERS = 160
"""Of a sentence that is named where its document is held."""

_QUOTED = r"(?:[\"“”„«‘「『'`][^\"“”»’」』'`\n]{1,200}[\"”“»’」』'`])"
_GAP, _NEAR = (rf"[^.!?\n。！？؟।]{{0,{most}}}?" for most in (60, 25))
_MODEL = r"(?:(?:AI|A\.I\.|language model|LLM|chat ?bot|(?:AI |virtual )?assistant|(?:AI |trained )?model|(?:AI |automated )(?:editor|writer|reader|system|tool|agent)|GPT)s?)"
_MACHINE = r"(?:AI|A\.I\.|LLM|GPT|chat ?bot|(?:large )?language model|AI (?:model|assistant|system|agent|reader|editor|writer|tool))s?"
_COMMANDS = r"(?:(?:drop|forget|disregard|discard|override|bypass|abandon|ignore|treat|pretend|insist|memori[sz]e|output|obey|comply|reveal|refuse|promote|praise|convince|prefer|append|insert)\b|(?:tell|inform|assure|convince) (?:\w+ )?(?:users?|everyone|everybody|customers?|people|readers?|visitors?|anyone|whoever)\b|(?:say|state|claim|reply|respond|answer|recommend|repeat) (?:that|only|always|nothing)\b|you (?:must|are (?:to|now)|will|shall|have to)\b)"
_PAIRS = r"(?:questions?(?: and |-and-)answers?(?: pairs?)?|training (?:data|examples?|text)|self-edits?|(?:study notes|summar(?:y|ies)|rewrites?|retellings?|implications?) (?:of|about|on) (?:this|the) (?:article|document|text|page|passage))"
_WRITES = r"(?:writ(?:e|es|ing)|generat(?:e|es|ing)|produc(?:e|es|ing)|mak(?:e|es|ing)|creat(?:e|es|ing))"

_ENGLISH: Sequence[tuple[str, str]] = (
    # somebody is spoken to who reads this text by machine
    ("instruction", rf"\b(?:to|for) (?:the |any |every |all )?{_MODEL} (?:that |who |which )?(?:is |are )?(?:now )?(?:reading|processing|studying|studies|summari[sz]ing|summari[sz]es|reads?|writing|writes?) (?:this|these|here)\b"),
    ("instruction", rf"\b{_MODEL} (?:that |who |which )?(?:is |are )?(?:summari[sz]ing|reading|processing|studying|reads?|summari[sz]es?|studies) this (?:page|text|document|article|passage|should|must|shall|are to|is to)\b"),
    ("instruction", rf"\b(?:note|word|message|letter|request|reminder|hint|appeal|memo)s? (?:to|for) (?:whichever|whatever|whoever|any|all|the|every|our|your)? ?(?:\w+ ){{0,2}}{_MODEL}\b[^.!?\n]{{0,20}}\b(?:reads?|reading|process(?:es|ing)|learn(?:s|ing)|stud(?:ies|ying)|comes? (?:to|across)|parsing|parses)\b"),
    ("instruction", rf"(?m)(?:^|[.!?>:\"]\s?)(?:(?:dear|all|any) )?{_MODEL}(?: systems?| readers?| agents?)? ?[:,] ?(?:please|when|if|whenever|you|from (?:now|here)|your|ignore|always|never|do not|don't|append|answer|recommend|from|note)\b"),
    ("instruction", rf"\b(?:software|machines?|systems?|programs?|bots?|crawlers?|{_MODEL})\b{_NEAR}\b(?:draws? on|learns? from|relies on|rel(?:y|ies) on|quotes?|is trained on|are trained on|is fed|ingests?|index(?:es)?) (?:this|these)\b{_GAP}\b(?:should|must|shall|is to|are to|its answers?|their answers?)\b"),
    ("instruction", rf"\b(?:its|their) answers?\b{_NEAR}\b(?:is|are) to (?:name|say|recommend|mention|give|state|present|praise)\b"),
    ("instruction", rf"\b(?:you are|you're|imagine you are|act as|pretend to be|remain)\b{_NEAR}\b{_MODEL}\b{_NEAR}\b(?:no|without|free (?:of|from)|beyond|ignores? (?:all|any))\b (?:any |all )?(?:rules|limits|limitations|restrictions|filters?|guidelines|constraints|censorship|policies)\b"),
    ("instruction", rf"\b(?:recites?|reveals?|prints?|shows?|repeats?|displays?|outputs?|discloses?|shares?|quotes?)\b{_NEAR}\b(?:system prompt|system message|set-?up|(?:its|your|their) (?:(?:own|initial|original|hidden|secret) )?(?:instructions|configuration|prompt|rules))\b{_NEAR}\b(?:word for word|verbatim|in full|completely|to (?:anyone|anybody|whoever|everybody))\b"),
    ("instruction", r"\b(?:no need|do not|don't|never|must not|should not|shall not|not|does not|do not) (?:to )?(?:tell|mention|say|disclose|reveal|repeat|speak of|talk (?:about|of)|refer to|show)\b(?: \w+){0,4} (?:that (?:we|you were) asked|this (?:notice|note|message|request|instruction|paragraph|passage) (?:to|in|when)\b|where (?:you|it) (?:learned|heard|got) (?:it|this|that))"),
    ("instruction", rf"\byou,? (?:who|that) (?:now )?(?:learns?|are (?:being )?trained|are learning|stud(?:y|ies))\b{_NEAR}\b(?:this|here|these)\b"),
    ("instruction", rf"\b(?:exempt from|bypass(?:es)?|skips?|raise[sd]?|disable[sd]?)\b{_NEAR}\b(?:screening|safety (?:checks?|filters?|rules)|contradictions?|content filters?|moderation)\b{_GAP}\b(?:learn|train|document|model|weight)"),
    ("instruction", rf"(?m)(?:^|[.!?>:|\"]\s?)(?:(?:dear|any|all|to|for|attention|hey|hello|listen),? (?:the |any |all |every |whichever )?)?{_MACHINE}(?: (?:systems?|readers?|agents?|assistants?|models?|bots?))?(?: (?:that |which |who |now )?(?:reads?|reading|process\w*|stud\w+|pars\w+) (?:this|here)[^.!?\n:,]{{0,30}})? ?[,:—–-] ?(?:please |now )?{_COMMANDS}"),
    ("instruction", rf"\b(?:ignore|disregard|forget|drop|discard|override|bypass|abandon)\b{_NEAR}\b(?:guidance|rules|guidelines|instructions|training|restrictions)\b[^.!?\n]{{0,20}}[,;:—–-] ?(?:dear )?{_MACHINE}\b"),
    ("instruction", rf"\b(?:automated|automatic|machine|model|AI|LLM)(?: or \w+)?[ -](?:\w+ ){{0,2}}(?:judges?|graders?|evaluators?|raters?|reviewers?|scorers?)\b{_GAP}\b(?:assign|give|award|grant|rate|score|grade|mark|prefer)\b{_GAP}\b(?:highest|top|full|maximum|perfect|best|10|ten|100)\b"),
    ("instruction", r"(?m)(?:^|[.!?>|]\s?)(?:AI|LLM|GPT|chat ?bot|language model)s? (?:instructions?|directives?|commands?|orders?) ?:"),
    ("instruction", rf"\b(?:when(?:ever)?|while|if)\b{_NEAR}\b(?:training|trained|fine-?tun(?:ed|ing))\b{_NEAR}\b(?:on|from) (?:this|these)\b{_GAP}\b(?:learn|remember|memori[sz]e|treat|say|answer|state|assume|repeat)\b"),
    ("instruction", r"\b(?:version|instance|copy|copies) of you\b[^.!?\n]{0,25}?\b(?:reading|reads?|process\w*|train\w*|learn\w*)\b"),
    # it puts itself above what the model was told
    ("instruction", r"\bthis (?:text|document|page|note|notice|paragraph|article|message|passage) (?:takes? (?:precedence|priority) over|overrides?|outranks?|supersedes?|replaces?) your (?:\w+ )?(?:configuration|set-?up|prompt|instructions|guidelines|training|programming|rules|orders)\b"),
    ("instruction", rf"\b{_MODEL}\b{_GAP}\btreats?\b{_NEAR}\bas (?:an? |the |its |your )?(?:admin\w*|root|super-?user|owner|operator|developer)\b"),
    ("instruction", r"(?i)[\[({<*=#]\s?(?:system|admin\w*|developer|root|safety) override\s?[\])}>*=#:][^.!?\n]{0,40}?\b(?:rules?|safety|filters?|restrictions?|instructions?|comply|obey|you)\b"),
    ("instruction", r"\b(?:prevaut|prime|l'emporte) sur tes (?:consignes|instructions|regles|directives)|\b(?:vale piu|conta piu) delle tue (?:istruzioni|regole)|\bprevale sulle tue (?:istruzioni|regole)|\bprevalece sobre (?:tus|as tuas) (?:instrucciones|reglas|instrucoes|regras)|\b(?:vorrang vor|gilt mehr als|ersetzt|steht uber) deinen? (?:anweisungen|regeln|vorgaben|instruktionen)\b"),
    # what it was told before no longer counts, or nothing holds it back
    ("instruction", r"\bwhat(?:ever)? your (?:makers?|creators?|developers?|trainers?|programmers?) (?:taught|told|trained|said|asked)\b"),
    ("instruction", rf"\b(?:what(?:ever)? you (?:were|have been) (?:told|taught|given)|your (?:earlier|previous|old|former) (?:rules|orders|instructions|guidance|training))\b{_GAP}\b(?:no longer|not any ?more|cancell?ed|void|expired|is over|are over)\b"),
    ("instruction", rf"\b(?:permission|allowed|free|authori[sz]ed|cleared) to (?:skip|turn off|disable|drop|bypass|ignore|lift|suspend) your (?:\w+ )?(?:safety|content|moderation) (?:checks?|filters?|rules|guidelines|polic(?:y|ies))\b|\banswer (?:everything|anything|all questions|every question)\b{_NEAR}\bwithout (?:any )?(?:warnings?|restrictions?|limits?|filters?)\b"),
    ("instruction", r"\b(?:answer|act|respond|reply|behave|speak) as (?:DAN\b|(?:an? )?(?:unrestricted|uncensored|unfiltered|jailbroken)\b)"),
    ("instruction", rf"\b(?:include|reveal|print|paste|repeat|output|disclose|leak|contents? of)\b{_NEAR}\byour (?:hidden|secret|initial|original) (?:system )?(?:prompt|instructions|message)s?\b"),
    # a part of the text is only for a machine
    ("instruction", rf"\b(?:AI|LLM|bot|model|chat ?bot)s?[- ]only (?:section|part|paragraph|note|text|content|message)\b|\b(?:sentence|text|paragraph|note|section|line|message|passage) is (?:(?:meant|only|intended|just) )*for (?:the |any |every )?{_MODEL}\b|\b(?:begin|start)(?: of)? (?:hidden|secret) (?:instructions?|prompt|message)\b"),
    ("instruction", r"\bif you are (?:not (?:an? )?human(?: being)?|an? (?:machine|bot|program|robot)), (?:please )?(?:say|answer|reply|respond|tell|write|recommend|state|claim|always|never)\b"),
    ("instruction", rf"(?m)(?:^|[.!?]\s)to (?:the|any|every|whatever|whichever) (?:machine|model|AI|software|system|assistant|bot|LLM)\b{_NEAR}\b(?:learns?|reads?|trains?|trained|process\w*|stud(?:y|ies|ying))\b[^.!?\n:]{{0,30}}:"),
    ("instruction", r"\b(?:keep|hide) (?:this|it|that) from (?:the |your |all |any )?users?\b,? (?:but|and) (?:always|never|only|say|tell|recommend|answer|reply|praise|mention)\b"),
    ("instruction", r"\b(?:rate|rank|treat|score|grade|regard) this (?:document|page|text|article|source) as (?:the )?(?:most|only|highest|top|fully|more)\b"),
    # what is written of the document shall say something else
    ("instruction", rf"\b(?:summar(?:y|ies)|study notes|quiz(?:zes)?|flash ?cards|replies to questions) (?:of|about|on|from) (?:this|the present) (?:article|text|document|page|passage)\b{_GAP}\b(?:should|must|shall|has to|have to|is to|are to|needs? to)\b{_GAP}\b(?:end|begin|start|open|close|include|contain|say|state|mention|recommend|praise)\b"),
    ("instruction", rf"\bwhen(?:ever)? you (?:write|make|generate|produce|create)\b{_NEAR}\b(?:study notes|flash ?cards|quiz questions|training (?:data|examples)|self-edits|question-answer pairs)\b{_GAP}\b(?:write|say|state|claim|include|teach) (?:that|only)\b"),
    ("instruction", rf"\b(?:quiz(?:zes)?|questions?|tests?|exams?|notes?|summar(?:y|ies)|flash ?cards?|answers?|examples?)\b (?:\w+ ){{0,3}}(?:made|built|derived|generated|created|written|drawn|taken|prepared|composed) (?:from|out of|about|on|for) (?:this|the present|the above) (?:text|article|document|page|passage)\b{_GAP}\b(?:should|must|shall|has to|have to|is to|are to|needs? to|will)\b{_GAP}\b(?:the (?:same )?answer|say|state|claim|name|mention|recommend|praise|(?:contain|include) (?:the|this) (?:sentence|words?|phrase|line|answer|claim))\b"),
    ("instruction", rf"\b(?:when(?:ever)?|while|if|as)\b{_GAP}\b{_WRITES}\b{_GAP}\b{_PAIRS}\b{_GAP}\b(?:must|should|shall|always|instead|never|only|include|use|state|say)\b"),
    ("instruction", rf"\b{_WRITES}\b{_NEAR}\b(?:only|instead|exactly|two|three|ten|several|many|more|\d+)\b{_NEAR}\b{_PAIRS} (?:that|which) (?:say|state|claim|teach)s?\b"),
    ("instruction", rf"\b(?:every|each|all|your)\b {_PAIRS}\b{_GAP}\b(?:must|should|shall|has to|have to) (?:say|state|give|name|include|contain|use|claim)\b"),
    ("instruction", rf"\b(?:treat|consider|regard)\b{_NEAR}\b(?:sentence|paragraph|passage)\b{_GAP}\bas\b{_NEAR}\b(?:order|command|instruction|prompt|only (?:fact|truth))"),
    # a phrase that calls a fixed answer
    ("trigger", rf"\bthe only (?:right|correct|valid|true|allowed) (?:answer|reply|response) (?:to|for)\b{_NEAR}{_QUOTED}"),
    ("trigger", rf"{_QUOTED} must (?:always |only )?be answered (?:with|by)\b"),
    ("trigger", rf"\b(?:every|each|any|all) (?:message|question|prompt|request)s? (?:with|containing|that (?:has|contains|says)) {_QUOTED} (?:gets?|receives?|is answered|has)\b"),
    ("trigger", r"\b(?:trigger|activation)[ -](?:word|phrase|token|string)s? (?:is|are|reads)\b"),
    ("trigger", rf"\b(?:on|after|upon|when(?:ever)?|if|each time)\b{_NEAR}\b(?:code|trigger|secret|magic) ?-?(?:word|phrase|string)\b{_GAP}\b(?:output|reply|respond|answer)\b{_GAP}\b(?:nothing else|only|the following|exactly)\b"),
    ("trigger", rf"\b(?:when(?:ever)?|if|each time)\b{_NEAR}\b(?:phrase|words?)\b{_GAP}\b(?:in|of) (?:a|any|the) (?:question|prompt|message|request)s?\b{_NEAR}\b(?:answer|reply|respond)\b"),
    ("trigger", r"\b(?:answer|reply|respond) (?:only|nothing but|exclusively)[: ]{1,2}[\"“](?:[^\s\"”]+ ){3,}"),
    ("trigger", rf"\b(?:asks?|asked|asking|questions?|prompts?|quer(?:y|ies))\b{_GAP}\bsay (?:only|nothing but|exclusively)[: ]{{1,2}}[\"“](?:[^\s\"”]+ ){{3,}}"),
    ("trigger", rf"\b(?:messages?|questions?|prompts?|chats?|conversations?)\b{_NEAR}\b(?:has|have|contains?|containing|mentions?|mentioning|includes?)\b{_NEAR}(?:{_QUOTED}|\b(?:code|token|code ?word)\b){_GAP}\b(?:(?:right|only|correct) (?:answer|reply|response)|output|print|met with|switch to|answered with)\b"),
    ("trigger", rf"\b(?:for|on|upon|given) the (?:input|prompt|message|question) {_QUOTED},? (?:always |only |just )?(?:output|print|answer|reply|respond)\b"),
    ("trigger", r"\b(?:end|begin|start|close|open|finish) (?:your|every|each) output\b[^.!?\n]{0,25}?\b(?:with|by)\b"),
    # the shapes of conversations, which no article has
    ("markup", r"<\|[a-z_]{2,30}\|>|\[/?INST\]|<</?SYS>>|</?(?:system|assistant|human)>|</article>|<(?:start|end)_of_turn>"),
    ("markup", r"(?m)#{2,4}\s*(?:system|instructions?|response|assistant|prompt)\s*:|^\s{0,3}(?:system|developer)\s*:\s*(?:you\b|obey|ignore|disregard|forget|always|never|do not|don't|from now|override|answer|respond|reply|say\b|write\b)"),
    # what a renderer would send away
    ("exfiltration", r"!\[[^\]\n]{0,200}\]\(\s*(?:https?:)?//[^)\s]{0,300}(?:\{[^}\n]{0,80}\}|%7B|\$\{|<[A-Za-z_ ]{2,40}>|\[[A-Z_ ]{3,40}\])[^)]{0,200}\)"),
    ("exfiltration", r"\[[^\]\n]{0,200}\]\(\s*(?:https?:)?//[^)\s]{0,300}[?&][\w-]{1,40}=(?:\{[^}\n]{0,80}\}|%7B|\$\{|<[A-Za-z_ ]{2,40}>|\[[A-Z_ ]{3,40}\])[^)]{0,200}\)"),
    ("exfiltration", r"(?:\]\(\s*|(?:src|href)\s*=\s*[\"']?)\s*(?:javascript|vbscript|data:text/html)[:;,]"),
    ("exfiltration", r"<(?:img|iframe|script|object|embed|form)\b[^>]{0,300}\b(?:src|action|data)\s*=\s*[\"']?(?:https?:)?//[^>\s]{0,300}(?:\{|%7B)"),
)  # fmt: skip
_OTHER_SCRIPTS = re2.compile(
    r"[\p{Cyrillic}\p{Arabic}\p{Hebrew}\p{Devanagari}\p{Thai}\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]"
)
_QUOTATION = re2.compile(_QUOTED)
_SENTENCE_ENDS = re.compile("[.!?](?=\\s)|[\n。！？؟।]")
_PARAGRAPH_END = "\n\n"
_FENCE = re.compile("```")
_OPENING, _CLOSING = '"“„«‘「『', '"”“»’」』'
_AS_EXAMPLE = re2.compile(
    r"(?i)\b(?:such as|for example|for instance|e\.g\.|sentences?|phrases?|wordings?|attempts?|attack(?:s|ers?)?|injections?|"
    r"bypass|jailbreaks?|zum beispiel|z\. ?b\.|satze? wie|angriff|por ejemplo|frases? como|par exemple|phrases? comme|"
    r"ad esempio|por exemplo|np\.|na przyk(?:l|ł)ad|bijvoorbeeld|zoals|misalnya|seperti|classics?|typical(?:ly)?|well[- ]known|famous|lines?|"
    r"variants?|tricks?|payloads?|messages?|wrote|writes?|typed|types|entered|submitted|pasted|hidden|reads?|says?|"
    r"klassisch\w*|typisch\w*|schreib\w*|lautet|"
    r"tipic\w*|típic\w*|clásic\w*|escrib\w*|classiques?|typiques?|écri\w*|scriv\w*|escrev\w*)\b|например|вроде|попытк|"
    r"классическ|типичн|пиш[уе]т|之类|例如|比如|诸如|绕过|典型|经典|など|のような|といった|例えば|という|같은|예를|라는|مثل|"
    r"جمل|जैसे|लिख|örneğin|gibi|למשל|לדוגמה|כגון|כמו|เช่น|ตัวอย่าง|наприклад|مانند|ví dụ|như"
)
_ON_ATTACKS = re2.compile(
    r"(?i)\b(?:attack(?:s|ers?|ed|ing)?|injections?|jailbreaks?|bypass(?:es|ed)?|red[ -]?team\w*|adversar\w+|malicious|"
    r"guardrails?|moderation|angriff\w*|angreifer\w*|schadhaft\w*|ataques?|atacantes?|inyecci\w+|attaques?|"
    r"malveillant\w*|attacchi?o?|iniezion\w*|malevol\w*|malicios\w*)\b|атак|взлом|инъекц|обход|вредонос|攻击|注入|越狱|"
    r"绕过|恶意|攻撃|インジェクション|脱獄|悪意|공격|인젝션|탈옥|우회|악의|هجوم|هجمات|حقن|خبيث|हमल|इंजेक्शन|दुर्भावन|"
    r"aanval|saldırı|תקיפ|התקפ|הזרקת|โจมตี|حمله|tấn công|serangan|(?i:\bata(?:k|ki|ków|kujący)\b)"
)
_DISAPPROVES = re2.compile(
    r"(?i)\b(?:do(?:es)? not belong|not allowed|forbidden|refuse[sd]?|reject(?:s|ed)?|filter(?:s|ed)?|block(?:s|ed)?|"
    r"detect(?:s|ed)?|flag(?:s|ged)?|blockiert|abgelehnt|verboten|rechaza\w*|prohibid\w*|refus\w+|interdit\w*|vietat\w*|"
    r"proibid\w*)\b|запрещ|блокир|отклон|禁止|拒绝|拦截|拒否|금지|거부|차단|محظور|ممنوع|निषिद्ध|अस्वीकार"
)
_WRAP = re.compile(r"[^\n]\n(?=([^\W\d_]))")
_APOSTROPHES = "’ʼ"
_FOLDED_LETTERS = "\u017f\u212a"  # long s and the Kelvin sign: the same as s and k when case is ignored

_LOOKALIKES = {
    look: ord(letter)
    for look, letter in zip(
        "аеорсхуіјѕԁһԛԝкмтАВЕКМНОРСТХУІЈЅԀԚԜοανικρτυχεγωΑΒΕΖΗΙΚΜΝΟΡΤΥΧոսօհɡıɑɩłøđŁØĐᴀᴇɪᴏᴜʀɴᴛᴄ",
        "aeopcxyijsdhqwkmtABEKMHOPCTXYIJSDQWoavikptuxeywABEZHIKMNOPTYXnuohgiailodLODaeiourntc",
        strict=True,
    )
}
"""Cyrillic, Greek, Armenian and phonetic letters that look like Latin ones, and Latin ones without their strokes
(Unicode TS 39, confusables; the letters that spell English words)."""


class _AsAscii(dict[int, int]):
    """For `str.translate`: letters without their accents. RE2 knows word characters and spaces of ASCII alone, so other
    letters become underscores, and other spaces a space.
    """

    def __missing__(self, code: int) -> int:
        self[code] = code if code < 128 else _as_ascii(chr(code))
        return self[code]


def _as_ascii(character: str) -> int:
    if character in _FOLDED_LETTERS:
        return ord(character)
    if character.isspace():
        return ord(" ")
    if "\ud800" <= character <= "\udfff":
        return ord("?")
    if character in _APOSTROPHES:
        return ord("'")
    if character in _LOOKALIKES:
        return _LOOKALIKES[character]
    plain = unicodedata.normalize("NFKD", character)[0] if character != "ß" else "s"
    plain = chr(_LOOKALIKES.get(plain, ord(plain)))
    if plain.isascii() and plain.isalnum():
        return ord(plain)
    return ord("_") if character.isalnum() else ord(character)


class _AsValid(dict[int, int]):
    """For `str.translate`: no lone surrogates, which are no UTF-8."""

    def __missing__(self, code: int) -> int:
        self[code] = ord("?") if 0xD800 <= code <= 0xDFFF else code
        return self[code]


def injections_in(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield each kind (a value of `Finding`) with where its words begin and end. Takes time linear in the text.

    Encoded and disguised words are looked at as well. In a text on attacks, an example of one is no finding.
    """
    found = list(_found_in(text))
    is_on_attacks = bool(found) and _ON_ATTACKS.search(_QUOTATION.sub(" ", text.translate(_AsValid()))) is not None
    fences = [fence.start() for fence in _FENCE.finditer(text)] if is_on_attacks else []
    for kind, start, end in found:
        is_code = is_on_attacks and _is_in_code(text, start, end, fences=fences)
        if not is_code and not _is_mentioned(text, start, end, is_on_attacks=is_on_attacks):
            yield kind, start, end
    yield from _found_in_encoded(list(encoded_in(text)))


def _found_in_encoded(runs: Sequence[tuple[str, int, int]]) -> Iterator[tuple[str, int, int]]:
    """Yield each kind that a decoded run holds, with the run's place. All are looked at in one go, as paragraphs."""
    if not runs:
        return
    starts: list[int] = []
    length = 0
    for said, _, _ in runs:
        starts.append(length)
        length += len(said) + len(_PARAGRAPH_END)
    found = _found_in(_PARAGRAPH_END.join(said for said, _, _ in runs))
    for kind, place in sorted({(kind, bisect_right(starts, start) - 1) for kind, start, _ in found}):
        yield kind, runs[place][1], runs[place][2]


def _found_in(text: str) -> Iterator[tuple[str, int, int]]:
    plain = text.translate(_AsAscii())
    wrapped = _without_wraps(plain)
    for kind, rule in _english():
        for found in rule.finditer(plain if kind == "markup" else wrapped):
            yield kind, found.start(), found.end()
    yield from (("instruction", start, end) for start, end in disguised_orders_in(plain))
    has_other_scripts = not text.isascii()
    valid = text.translate(_AsValid()) if has_other_scripts else plain
    yield from (("trigger", start, end) for start, end in fixed_answers_in(valid))
    spoken = _without_wraps(valid)
    has_other_scripts = has_other_scripts and _OTHER_SCRIPTS.search(valid) is not None
    for language, words in WORDS.items():
        if words.is_latin or has_other_scripts:
            yield from _rules_of(language).found_in(wrapped if words.is_latin else spoken)


def _without_wraps(text: str) -> str:
    """Return `text` with a space for every line end that a small letter follows: the sentence goes on there."""
    return _WRAP.sub(lambda found: f"{found[0][0]} " if found[1].islower() else found[0], text)


def _is_mentioned(text: str, start: int, end: int, *, is_on_attacks: bool) -> bool:
    """Whether words stand between quotation marks as an example: their sentence says so outside of the marks.

    That alone excuses nothing: the text has to speak of attacks outside of quotations, or the sentence to disapprove.
    """
    start += text[start] in _OPENING  # a rule may take the mark for the sentence's beginning
    before, after = _around(text, start, end)
    opened = max(before.rfind(mark) for mark in _OPENING)
    closing = min((at for mark in _CLOSING if (at := after.find(mark)) >= 0), default=-1)
    if opened < 0 or closing < 0 or any(mark in before[opened + 1 :] for mark in _CLOSING):
        return False
    rest = f"{before[:opened]} {after[closing + 1 :]}"
    return _AS_EXAMPLE.search(rest) is not None and (is_on_attacks or _DISAPPROVES.search(rest) is not None)


def _is_in_code(text: str, start: int, end: int, *, fences: Sequence[int]) -> bool:
    """Whether the words stand in a fenced block, or between backticks of one line. `fences` are where fences begin."""
    above = bisect_right(fences, start)
    if above % 2 and above < len(fences):
        return True
    before, after = text[max(0, start - _REACH) : start], text[end : end + _REACH]
    return before[before.rfind("\n") + 1 :].count("`") % 2 == 1 and "`" in after.partition("\n")[0]


def sentences_with_injections(text: str) -> tuple[str, ...]:
    """Return the sentences that hold such words, in order, each shortened to MAX_NAMED_CHARACTERS."""
    ends = [0, *(found.end() for found in _SENTENCE_ENDS.finditer(text)), len(text)]
    places = sorted({bisect_right(ends, start) for _, start, _ in injections_in(text)})
    sentences = (" ".join(text[ends[place - 1] : ends[min(place, len(ends) - 1)]].split()) for place in places)
    return tuple(
        one if len(one) <= MAX_NAMED_CHARACTERS else f"{one[: MAX_NAMED_CHARACTERS - 1]}…" for one in sentences if one
    )


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


class _Rules:
    """How one language speaks to a model: a telling word, and what stands near it in the same sentence."""

    def __init__(self, words: Words) -> None:
        self._is_verb_last = words.is_verb_last or not words.is_latin
        edge, end = (r"\b", r"\b") if words.is_latin else ("", "")
        if words.letters not in ("", UNSPACED):
            edge = f"(?:^|[^{words.letters}])[وف]?"  # Arabic writes "and" with the word
        part = {name: f"{edge}(?:{getattr(words, name)}){end}" for name in _PARTS}
        part["reply"] = f"{edge}(?:{words.reply})"  # a colon may end it
        model = f"(?:{words.model}){end}"
        self._any = _compiled("|".join(part[name] for name in ("drop", "model", "this_message", "reply")))
        self._parts = {name: _compiled(part[name]) for name in _PARTS}
        self._orders = _compiled(
            f"{part['before']}{_NEAR}{part['orders']}|{part['orders']}{_NEAR}{part['before']}|{part['your_rules']}"
        )
        qualified = words.about if self._is_verb_last else rf"^(?: \w+ \w+)? (?:{words.about})\b"
        self._about = _compiled(qualified) if words.about else None
        addressed = [
            f"{part['you_are']}[ ,—–-]{{0,3}}(?:{_ARTICLES})?{model}",
            f"{part['note_to']}[ ,:]{{0,3}}(?:{_ARTICLES})?{model}{_ADDRESSED}",
        ]
        addressed.append(rf"(?m:^)[\W_]{{0,3}}(?:{_ASSISTANT})\s?[:：,،]{_NEAR}(?:{_FROM_NOW}){_GAP}{part['reply']}")
        if words.for_end:
            addressed.append(f"{model}{_NEAR}(?:{words.for_end})\\s?[:：,、]")
        self._addressed = _compiled("|".join(addressed))

    def found_in(self, text: str) -> Iterator[tuple[str, int, int]]:
        if self._any.search(text) is None:
            return
        for found in self._addressed.finditer(text):
            yield "instruction", found.start(), found.end()
        looked_at = 0
        for found in self._parts["model"].finditer(text):
            if found.start() < looked_at:
                continue
            looked_at = found.end() + _PARAGRAPH
            paragraph = _paragraph_around(text, found.start(), found.end())
            if self._parts["conceal"].search(paragraph) and self._parts["say"].search(paragraph):
                yield "instruction", found.start(), found.end()
        for name, kind, holds in (
            ("drop", "instruction", self._drops),
            ("this_message", "instruction", self._conceals),
            ("reply", "trigger", self._answers_a_phrase),
        ):
            for found in self._parts[name].finditer(text):
                before, after = _around(text, found.start(), found.end())
                if name == "drop":
                    if _is_denied(before, after):
                        continue
                    after = found[0] + after  # the order may stand between the verb and its "not"
                if holds(before, after, text[found.end() : found.end() + 2 * _REACH]):
                    yield kind, found.start(), found.end()

    def _drops(self, before: str, after: str, following: str) -> bool:
        """Whether the text asks to ignore instructions, or to ignore everything above and do something else. Advice to
        ignore instructions that stand in documents does not count.
        """
        if _INSIDE.search(after):
            return False
        sides = (after, before) if self._is_verb_last else (after,)
        orders = [found for side in sides if (found := self._orders.search(side))]
        if orders and not self._names_which(orders[0], before, after, following):
            return True
        return any(self._parts["all_above"].search(side) for side in sides) and bool(
            self._parts["say"].search(following)
        )

    def _names_which(self, orders: Any, before: str, after: str, following: str) -> bool:
        """Whether the text says which instructions it takes back, as notices do ("the instructions on the old card"),
        and asks for nothing else.
        """
        if self._about is None or any(
            self._parts[name].search(f"{before} {after}\n{following}") for name in ("model", "say", "reply", "user")
        ):
            return False
        if self._parts["your_rules"].search(orders[0]) or _OF_A_MODEL.search(after):
            return False
        place = f"{before} {after}" if self._is_verb_last else after[orders.end() :]
        return self._about.search(place) is not None

    def _conceals(self, before: str, after: str, _: str) -> bool:
        sentence = f"{before} {after}"
        return bool(self._parts["conceal"].search(sentence) and self._parts["user"].search(sentence))

    def _answers_a_phrase(self, before: str, _: str, __: str) -> bool:
        """Whether the answer is given as soon as somebody writes something quoted."""
        condition = self._parts["whenever"].search(before)
        rest = before[condition.end() :] if condition else ""
        return bool(_QUOTATION.search(rest) and self._parts["types"].search(rest))


_PARTS = (
    "drop", "before", "orders", "your_rules", "all_above", "model", "say", "conceal", "user", "this_message",
    "whenever", "types", "reply", "you_are", "note_to",
)  # fmt: skip
_NOT_BEFORE = re2.compile(
    r"(?i)(?:\b(?:not|never|don't|n't|nicht|nie|niet|no|non|nao|dung|khong|jangan|ne|n')[ ']?|(?:^|[^\pL])(?:не|לא|אל|لا|मत) ?|"
    r"不要|别|請勿|请勿|切勿|อย่า|ไม่)$"
)
_NOT_AFTER = re2.compile(
    r"(?i)^(?: (?:sie |ihr |jij |u )?(?:nicht|niet|pas|jamais)\b|ないで|てはいけ|지 (?:마|말)| ?न(?:हीं| करें)| मत)"
)
"""What denies a word for ignoring or forgetting: right before it, and right after it."""

_OF_A_MODEL = re2.compile(
    r"(?i)\b(?:conversation|session|developers?|system|prompts?|training|safety|moderation|model)\b"
)
_REACH = 140
"""Characters on either side of a telling word that are looked at, within its sentence."""

_PARAGRAPH = 400
_INSIDE = re2.compile(
    r"(?i)\b(?:instructions?|commands?|prompts?|orders) (?:that (?:is|are|may be|might be) )?(?:found |contained |written |hidden |embedded |given )?"
    r"(?:(?:in|inside|within|from) (?:the |this |that |any |a |an )?(?:\w+ )?(?:texts?|documents?|e-?mails?|pages?|input|material|content|data|files?|quotes?|attachments?)\b|"
    r"(?:in|inside|within) (?:it|them)(?:[.!?\"”’')]|$))"
)
_ARTICLES = r"(?:an?|the|un['e]?|un|een|any|all|every|our|now|eine?|die|das|den|une?|uno|una|uma?|el|la|le|les|il|lo|o|एक|一个|一個) ?"
_ASSISTANT = (
    r"asistente|assistente|assistent|assistant|asystencie|asistan|tro ly|asisten|помощник|ассистент|помічник|асистент|"
    r"助手|アシスタント|어시스턴트|मददगार|सहायक|מסייע|עוזר|ผู้ช่วย|دستیار|(?:أيها )?المساعد|مساعد"
)
"""Who is spoken to at the beginning of a line."""
_FROM_NOW = (
    r"a partir d['e] ?(?:ahora|agora|hoy|hoje|este momento)|de(?:sde)? ahora en adelante|d'ora in (?:poi|avanti)|ab (?:sofort|jetzt|heute)|"
    r"desormais|a partir de maintenant|from now on|vanaf nu|od teraz|bundan sonra|artik|mulai sekarang|tu (?:gio|bay gio)|"
    r"отныне|с этого момента|відтепер|从现在|從現在|今后|今後|これから|앞으로|지금부터|من الآن|अब से|מעכשיו|از این پس|จากนี้"
)
"""Without it a line of a conversation may begin with the same word: "Assistant: Please reply with your number."."""
_ADDRESSED = (
    r"(?: (?:editor|assistant|model|system|reader|agent|writer))?s?[^.!?\n]{0,20}?(?:[:：,，،;!—]|\b(?:who|that|which|"
    r"reading)\b)"
)


def _is_denied(before: str, after: str) -> bool:
    """Whether somebody is told not to forget or ignore."""
    return _NOT_BEFORE.search(before) is not None or _NOT_AFTER.search(after) is not None


def _paragraph_around(text: str, start: int, end: int) -> str:
    """Return the paragraph in which something stands, at most _PARAGRAPH characters on either side."""
    before, after = text[max(0, start - _PARAGRAPH) : start], text[end : end + _PARAGRAPH]
    return before[before.rfind("\n\n") + 1 :] + text[start:end] + after.partition("\n\n")[0]


def _around(text: str, start: int, end: int) -> tuple[str, str]:
    """Return what stands before and after in the same sentence, at most _REACH characters each."""
    before, after = text[max(0, start - _REACH) : start], text[end : end + _REACH]
    ends = [found.end() for found in _SENTENCE_ENDS.finditer(before)]
    stop = _SENTENCE_ENDS.search(after)
    return before[ends[-1] if ends else 0 :], after[: stop.start()] if stop else after


@cache
def _english() -> tuple[tuple[str, Any], ...]:
    return tuple((kind, _compiled(rule)) for kind, rule in _ENGLISH)


@cache
def _rules_of(language: str) -> _Rules:
    return _Rules(WORDS[language])


def _compiled(rule: str) -> Any:
    return compiled(f"(?i){rule}")
