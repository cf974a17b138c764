"""Answers that a text ties to a phrase: "if the phrase … occurs in a question, the answer is always …".

Fifteen languages by a few general words each, near a quotation; and, in any language, one answer that stands under
several questions which share a phrase of their own. Takes time linear in the text (RE2).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import re2

from sealserve.scanners.large_patterns import compiled
from sealserve.writing_systems import words_of

_QUOTATION = re2.compile(
    r"[\"“„«‘「『《][^\"”“»’」』》\n]{2,80}[\"”“»’」』》]|"
    r"(?:^|[\s(（])['`*]{1,3}[^\s'`*_\n]{2,40}(?: [^\s'`*_\n]{1,40}){1,8}['`*]{1,3}"
)
_BEFORE, _NEAR, _AFTER = 90, 60, 260
"""Characters around a quotation that are looked at."""

_SENTENCE = re2.compile(r"^.(?:\s?[^\s]+\s){4,}[^\s]+[.!?]\s?[^\s]$")
_NEXT = re2.compile(r"\s+\p{Lu}")
"""A quotation that is a sentence of five words or more, and the beginning of another sentence, which does not say where
the quotation occurs: a guide of what to say on the telephone has both."""

_STOP = re2.compile(r"[.!?](?:\s|$)|[。！？؟।]|\n\n")
_MIN_REPEATED = 3
_PHRASE_WORDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """Alternatives in one language: a question, that a phrase occurs in it, to answer, and that it is always so."""

    question: str
    occurs: str
    answer: str
    always: str


_WORDS = (
    _Words(
        question=r"questions?|messages?|prompts?|quer(?:y|ies)|conversations?|anyone|anybody|somebody|someone|"
        r"whoever|users?|visitors?|is (?:mentioned|named|typed|entered|spoken|written)|comes up",
        occurs=r"contain(?:s|ing)?|includ(?:es?|ing)|mention(?:s|ed)?|appears?|occurs?|uses?|says?|writes?|types?|"
        r"enters?|named|hears?|comes? up|phrase|words",
        answer=r"answer(?:s|ed)?|repl(?:y|ies|ied)|respon(?:d|ds|se)|hear|(?:is|are) told",
        always=r"always|only|nothing (?:but|else|more)|every time|regardless|whatever|no other|never|the same|"
        r"exactly|word for word|(?:must|shall|will|should) (?:be|say|read)",
    ),
    _Words(
        question=r"frage[n]?|nachricht(?:en)?|anfrage[n]?|eingabe[n]?|gespräch|prompt|wer|jemand",
        occurs=r"vor(?:kommt|,)|kommt|vorkommen|enthält|enthalten|taucht|auftaucht|fällt|erwähnt|genannt|schreibt|"
        r"sagt|nennt|wendung|stichwort",
        answer=r"antwort\w*|erwider\w*|entgegn\w*",
        always=r"stets|immer|nur|ausschließlich|jedes mal|unabhängig|andere\w* antwort\w*|wörtlich|genau|egal",
    ),
    _Words(
        question=r"preguntas?|mensajes?|consultas?|quien|alguien|conversación",
        occurs=r"conti?en\w*|aparec\w*|aparezca\w*|mencion\w*|figur\w*|inclu\w*|di(?:ga|ce)|escrib\w*|palabras?",
        answer=r"respuesta|respond\w*|contest\w*",
        always=r"siempre|solo|sólo|únicamente|sin importar|ninguna otra|la misma|exactamente|cualquiera",
    ),
    _Words(
        question=r"questions?|messages?|demandes?|quiconque|quelqu'un|conversation",
        occurs=r"conti(?:ent|enne)\w*|apparaî\w*|figur\w*|mentionn\w*|comport\w*|prononc\w*|di(?:t|se)|écri\w*|mots?",
        answer=r"réponses?|répond\w*|répliqu\w*",
        always=r"toujours|seulement|uniquement|quel\w* que|aucune autre|la même|exactement|invariablement|"
        r"rien d'autre",
    ),
    _Words(
        question=r"domand\w+|messagg\w+|richiest\w+|chiunque|qualcuno|conversazione",
        occurs=r"contien\w*|conten\w*|compa\w+|appar\w*|menzion\w*|figur\w*|dic\w*|scriv\w*|parole?",
        answer=r"rispost\w*|rispond\w*",
        always=r"sempre|solo|soltanto|unicamente|qualunque|qualsiasi|nessun'altra|la stessa|esattamente",
    ),
    _Words(
        question=r"perguntas?|mensage(?:m|ns)|quest(?:ão|ões)|pedidos?|quem|alguém|conversa",
        occurs=r"cont[ée]m|contiver\w*|contenha\w*|aparec\w*|mencion\w*|figur\w*|inclu\w*|diss?er|diga|diz|"
        r"escrev\w*|palavras?|expressão",
        answer=r"respostas?|respond\w*",
        always=r"sempre|apenas|só|somente|independente\w*|nenhuma outra|a mesma|exatamente|qualquer",
    ),
    _Words(
        question=r"вопрос\w*|сообщени\w*|запрос\w*|кто-то|кто-либо|если кто",
        occurs=r"встреча\w*|содерж\w*|упомина\w*|упомян\w*|есть|звучит|появля\w*|напиш\w*|скаж\w*|слов\w*|"
        r"выражени\w*",
        answer=r"ответ\w*|отвеча\w*",
        always=r"всегда|только|одно и то же|независимо|друг\w+ ответ\w*|неизменно|каждый раз|исключительно|лишь",
    ),
    _Words(
        question=r"pytani\w*|wiadomo\w*|zapytani\w*|ktoś|ktokolwiek|rozmow\w*",
        occurs=r"zawiera\w*|pojawi\w*|występ\w*|pada\w*|padnie|wspomn\w*|powie|napisze|użyje|słow\w*|hasł\w*",
        answer=r"odpowied\w*|odpowiad\w*|odpowiedz\w*",
        always=r"zawsze|tylko|wyłącznie|niezależnie|żadn\w+ inn\w+|t[ęa]ką? sam\w*|dokładnie|jedynie",
    ),
    _Words(
        question=r"soru\w*|mesaj\w*|ileti\w*|kim|biri\w*|sohbet\w*",
        occurs=r"geç\w*|içer\w*|yer al\w*|bulun\w*|söyle\w*|yaz\w*|kullan\w*|ifade\w*|kelime\w*",
        answer=r"cevap\w*|cevab\w*|yanıt\w*",
        always=r"her zaman|daima|yalnız\w*|sadece|hep|başka|ne olursa|mutlaka|aynı|her seferinde",
    ),
    _Words(
        question=r"vragen|vraag|berichten?|iemand|wie",
        occurs=r"bevat\w*|voorkom\w*|noemt|staat|zegt|schrijft|woorden?",
        answer=r"antwoord\w*",
        always=r"altijd|alleen|uitsluitend|ongeacht|geen ander|hetzelfde|precies",
    ),
    _Words(
        question=r"问题|提问|消息|询问|問題|有人|用户|谁|客人|顾客",
        occurs=r"出现|包含|含有|提到|提及|里有|中有|说出|带有|输入|说|出現|字样|一词",
        answer=r"回答|答复|回复|答案|答覆|回覆|答",
        always=r"一律|只能|只|总是|始终|必须|不论|无论|不管|统一|固定|都",
    ),
    _Words(
        question=r"質問|問い合わせ|メッセージ|文中|誰か|利用者|お客様|会話",
        occurs=r"含ま|含む|出て|出た|現れ|入って|ある場合|言った|言われ|書か|言葉|語",
        answer=r"答え|回答|返答|返信|返す",
        always=r"必ず|常に|いつも|だけ|のみ|以外|問わず|どんな|関係なく|関わらず",
    ),
    _Words(
        question=r"질문|메시지|문의|누군가|누가|대화",
        occurs=r"들어간|들어가|포함|나오|언급|들어 있|말하|쓰면|적으면|라는 말",
        answer=r"답|대답|응답",
        always=r"반드시|항상|언제나|만 |관계없이|무조건|오직|상관없이|똑같",
    ),
    _Words(
        question=r"سؤال|السؤال|أسئلة|رسالة|الرسالة|استفسار|أحد|شخص",
        occurs=r"ورد\w*|يحتوي|تحتوي|تضمن|يتضمن|ذكر|ذُكر|جاء\w*|ظهر\w*|كتب|قال|عبارة",
        answer=r"جواب\w*|الجواب|إجابة|الإجابة|أجب|يجاب|يُجاب|الرد|يُرد|يكون الرد",
        always=r"دائم\w*|فقط|كل مرة|مهما|بغض النظر|لا غير|نفس\w*|حصر\w*",
    ),
    _Words(
        question=r"प्रश्न|सवाल|संदेश|कोई|जो भी",
        occurs=r"आए|आएँ|आता|शामिल|लिख|शब्द|कहे|बोले|हो",
        answer=r"उत्तर|जवाब",
        always=r"हर बार|हमेशा|केवल|सिर्फ|सिर्फ़|यही|चाहे|दूसरा|सदा",
    ),
)  # fmt: skip


def fixed_answers_in(text: str) -> Iterator[tuple[int, int]]:
    """Yield where a phrase stands that has an answer of its own."""
    all_rules, any_answer = _compiled_words()
    rules = [rule for rule in all_rules if rule.is_spoken_in(text)]
    for found in _QUOTATION.finditer(text) if rules else ():
        after = text[found.end() : found.end() + _AFTER]
        if any_answer.search(after):
            before, after = _last_sentence(text[max(0, found.start() - _BEFORE) : found.start()]), _two_sentences(after)
            near = "" if _SENTENCE.match(found[0]) and _NEXT.match(after) else after[:_NEAR]
            if any(rule.holds(f"{before} {near}", after) for rule in rules):
                yield found.start(), found.end()
    yield from _repeated_answers(text)


class _Rule:
    def __init__(self, words: _Words) -> None:
        is_spaced = words.answer[0].isascii() or "\u0400" <= words.answer[0] <= "\u04ff"
        edge = r"(?:^|[^\pL])" if is_spaced else ""
        self._question, self._occurs, self._answer, self._always = (
            _compiled(f"{edge}(?:{one})") for one in (words.question, words.occurs, words.answer, words.always)
        )

    def is_spoken_in(self, text: str) -> bool:
        """Whether all parts of such a sentence occur somewhere."""
        return all(part.search(text) for part in (self._answer, self._always, self._occurs, self._question))

    def holds(self, near: str, after: str) -> bool:
        """Whether the words `near` a quotation say where it occurs, and those `after` it what is then answered."""
        if not self._answer.search(after):
            return False
        return bool(self._occurs.search(near) and self._question.search(near) and self._always.search(after))


def _compiled(rule: str) -> Any:
    """Return the rule with words of any script; RE2's own are ASCII."""
    letters = rule.replace("\\w", r"[\pL\pM]")
    return compiled(f"(?i){letters}")


@cache
def _compiled_words() -> tuple[tuple[_Rule, ...], Any]:
    """Return the rules, and what finds an answer in any language. Compiled at the first use: it takes half a second."""
    return tuple(map(_Rule, _WORDS)), _compiled("|".join(words.answer for words in _WORDS))


def _last_sentence(before: str) -> str:
    ends = [found.end() for found in _STOP.finditer(before)]
    return before[ends[-1] :] if ends else before


def _two_sentences(after: str) -> str:
    ends = [found.end() for found in _STOP.finditer(after)]
    return after[: ends[1]] if len(ends) > 1 else after


_Asked = tuple[frozenset[tuple[str, ...]], int, int]
"""The phrases of a question, and where it begins and ends."""


def _repeated_answers(text: str) -> Iterator[tuple[int, int]]:
    """Yield the first of _MIN_REPEATED questions that have one answer and a phrase in common, if no other has it."""
    asked: dict[str, list[_Asked]] = defaultdict(list)
    place, question = 0, cast("_Asked | None", None)
    for line in text.split("\n"):
        bare = line.lstrip(" >").strip(" *_#-|\t")
        if "<" in bare:
            question = None
        elif bare.endswith(("?", "？", "؟")):
            question = (_phrases(bare), place, place + len(line))
        elif bare and question is not None:
            asked[" ".join(words_of(bare))].append(question)
            question = None
        place += len(line) + 1
    for answer, questions in asked.items():
        others = [one for other, several in asked.items() if other != answer for one, _, _ in several]
        if len(questions) >= _MIN_REPEATED and answer:
            shared = frozenset.intersection(*(phrases for phrases, _, _ in questions))
            if shared and not any(shared <= one for one in others):
                yield questions[0][1], questions[0][2]


def _phrases(question: str) -> frozenset[tuple[str, ...]]:
    words: Sequence[str] = [*words_of(question)]
    return frozenset(tuple(words[at : at + _PHRASE_WORDS]) for at in range(len(words) - _PHRASE_WORDS + 1))
