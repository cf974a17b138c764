"""Finds what a person should look at in a text: words meant for the model, secrets, personal data. Returns counts,
never contents.

Scanners are pure; what is done with a finding is policy (`document.ingest`, `selfedit.batch`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

from sealserve.scanners.pii import personal_in
from sealserve.scanners.prompt_injection import injections_in, sentences_with_injections
from sealserve.scanners.secrets import places_of_secrets, secrets_in

MAX_NAMED = 3
"""The largest number of sentences and places that are reported for one document."""


class Finding(StrEnum):
    """What was found; rules speak of `document.findings.<value>`."""

    INSTRUCTION = "instruction"  # tells whoever learns from it what to do
    TRIGGER = "trigger"  # ties a fixed answer to a phrase
    MARKUP = "markup"  # chat-template tokens, role markers, the fence of an article
    EXFILTRATION = "exfiltration"  # a link or image that carries what it is filled with away
    SECRET = "secret"  # a credential in a known form
    CARD = "card"  # payment card number, Luhn digit right
    IBAN = "iban"  # bank account of a person, or of nobody that the text names; check digits right
    PUBLISHED_ACCOUNT = "published_account"  # bank account that an organisation gives for payments to it
    NATIONAL_ID = "national_id"  # identity number of a person, check digits right where it has any
    EMAIL = "email"
    PHONE = "phone"  # with its country code
    IP = "ip"  # an address that is neither private nor reserved
    HIDDEN = "hidden"  # characters and elements that a reader does not see, taken out


INJECTIONS = frozenset({Finding.INSTRUCTION, Finding.TRIGGER, Finding.MARKUP, Finding.EXFILTRATION})
PERSONAL = frozenset({Finding.CARD, Finding.IBAN, Finding.NATIONAL_ID, Finding.EMAIL, Finding.PHONE, Finding.IP})


def findings_in(text: str) -> Mapping[Finding, int]:
    """Return how often each kind occurs in `text`; every kind has a number. HIDDEN is 0: it is gone by now."""
    found: Counter[str] = Counter(kind for kind, _, _ in injections_in(text))
    found.update(kind for kind, _ in personal_in(text))
    found[Finding.SECRET] += secrets_in(text)
    return {kind: found[kind] for kind in Finding}


def places_in(text: str) -> tuple[str, ...]:
    """Return what a person should look at in `text`: sentences meant for the model, word for word, and the lines where
    secrets and numbers of persons stand, without these. At most MAX_NAMED of both.
    """
    numbers = [(start, _NUMBERS[kind]) for kind, (start, _) in personal_in(text) if kind in _NUMBERS]
    secrets = [(start, "a password, key or token") for start in places_of_secrets(text)]
    lines = dict.fromkeys(f"{what} in line {text.count(LINE_END, 0, at) + 1}" for at, what in sorted(numbers + secrets))
    return (*sentences_with_injections(text)[:MAX_NAMED], *tuple(lines)[:MAX_NAMED])


_NUMBERS = {"card": "a card number", "iban": "a bank account", "national_id": "an identity number"}
LINE_END = "\n"


def total(found: Mapping[Finding, int], kinds: Iterable[Finding]) -> int:
    """Return how many findings of `kinds` there are."""
    return sum(found[kind] for kind in kinds)
