"""Finds personal data in a text by form and check digits. Yields kinds and places, and never keeps what was found.

One check digit in ten is right by chance, so it is not enough: a number must also be written in the usual form, or
follow a word that names its kind. Bar codes and part numbers are neither cards nor persons.
"""

import ipaddress
import re
from collections.abc import Iterator

from sealserve.scanners.published_accounts import is_published, names_a_business

_EMAIL = re.compile(r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
_PHONE = re.compile(r"(?<![\w+])\+[1-9](?:[ ().\-/]?\d){6,14}(?!\d)")
"""ITU-T E.164: a plus sign, the country code, at most 15 digits."""

_NEARBY = 48
"""Characters before a number in which a word names its kind."""

_ISSUERS = re.compile(
    r"4\d{15}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|"
    r"6(?:011|4[4-9]\d|5\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)
"""Numbers and lengths of Visa, Mastercard, American Express, Diners, Discover, JCB and UnionPay (ISO/IEC 7812)."""

_TEST_CARDS = frozenset(
    """4242424242424242 4000056655665556 5555555555554444 5200828282828210 2223003122003222 378282246310005
    371449635398431 6011111111111117 6011000990139424 3056930009020004 3566002020360505 6200000000000005
    4012888888881881 5105105105105100""".split()
)
"""Numbers that payment services publish for trying them out (docs.stripe.com/testing, PayPal's test cards)."""

_PUBLISHED = frozenset(
    """4111111111111111 4000000000000002 GB82WEST12345698765432 GB29NWBK60161331926819 GB33BUKB20201555555555
    DE89370400440532013000 DE02120300000000202051 DE75512108001245126199 FR1420041010050500013M02606
    FR7630006000011234567890189 ES9121000418450200051332 IT60X0542811101000000123456 NL91ABNA0417164300
    CH9300762011623852957 AT611904300234573201 BE68539007547034 PL61109010140000071219812874
    SE4550000000058398257466 DK5000400440116243 NO9386011117947 FI2112345600000785 IE29AIBK93115212345678
    PT50000201231234567890154 CZ6508000000192000145399 TR330006100519786457841326 SA0380000000608010167519
    AE070331234567890123456 BR1800360305000010009795493C1 078-05-1120 219-09-9999 123-45-6789 123.456.789-09
    111.444.777-35 12345678Z 00000000T""".split()
)
"""Numbers that textbooks, services and the SWIFT IBAN registry give as examples; a text may also use them as if they
were somebody's, so they are examples only where it says so.
"""

_PUBLISHED_LIKE = frozenset((number[:2], number[4:-4]) for number in _PUBLISHED if number[:2].isalpha())

_EXAMPLE_WORDS = re.compile(
    r"(?i)\b(?:examples?|samples?|test(?:s|ing)?|sandbox|dummy|demo|placeholder|fictitious|beispiel\w*|muster\w*|"
    r"ejemplos?|prueba|exemples?|essai|esemp\w*|exemplo\w*|teste|пример\w*|тест\w*)\b|示例|测试|例|テスト|예시|테스트|"
    r"مثال|تجريب|उदाहरण|דוגמ|ตัวอย่าง"
)
_EXAMPLE_NEARBY = 400
_BEGINNING = 120
"""Characters before a number, and at the beginning, in which the text says that it is an example."""

_CARD_GROUPS = re.compile(r"\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{1,3})?|3\d{3}([ -])\d{6}\2\d{4,5}")
_CARD_WORDS = re.compile(
    r"(?i)card|visa|amex|karte|carte|tarjeta|cart(?:a|ao|ão)\b|paid|pay\b|карт|卡|カード|카드|بطاق|कार्ड|บัตร"
)
_OTHER_WORDS = re.compile(
    r"(?i)\b(?:order|customer|client|tracking|parcel|shipment|consignment|reference|invoice|member(?:ship)?|contract|"
    r"ticket|serial|article|bestell|kunden|sendungs|vertrags|rechnungs|commande|suivi|pedido|seguimiento|ordine|"
    r"spedizione|bestel|klant|zamówieni\w*|заказа?)"
    r"[ -]?(?:no|nr|number|id|code|nummer|numéro|número|numero|n°)?[.:]{0,2} *$"
)
"""At the end of the words before a number: it is not a card's but another one, whose check digit is right by chance."""

_PERSON_WORDS = re.compile(
    r"(?i)\b(?:social security|ssn|identity|national id|tax(?:payer)?|(?:his|her|their|my|your)\b|born|patient|"
    r"applicant|employee|citizen|insured|holder)"
)
_PART_WORDS = re.compile(
    r"(?i)\b(?:part|parts|item|article|order|model|catalogue?|sku|drawing|serial|ref|spare|fits)\b"
)
_DNI_WORDS = re.compile(r"(?i)\b(?:dni|nie|nif|documento|identidad|identity|pasaporte)\b")
_CARD = re.compile(r"(?<![\d.-])[3-6]\d{3}(?:[ -]?\d){9,15}(?![ -]?\d)(?!-)")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_IP = re.compile(
    r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\d)|(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![\w:])"
)
_SSN = re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
"""United States: numbers that the Social Security Administration does not give out are left out."""

_CPF = re.compile(r"(?<!\d)\d{3}\.\d{3}\.\d{3}-\d{2}(?!\d)")
_DNI = re.compile(r"\b[0-9XYZ]\d{7}-?[A-Z]\b")
_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"


def personal_in(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield each kind (a value of `Finding`) with its span."""
    checks = (
        ("email", _EMAIL, lambda _: True),
        ("iban", _IBAN, is_iban),
        ("card", _CARD, is_card),
        ("national_id", _SSN, lambda _: True),
        ("national_id", _CPF, is_cpf),
        ("national_id", _DNI, is_dni),
        ("phone", _PHONE, lambda _: True),
        ("ip", _IP, is_public_ip),
    )
    is_business: bool | None = None  # not yet looked for
    for kind, pattern, is_real in checks:
        for found in pattern.finditer(text):
            start = found.start()
            is_meant = is_real(found[0]) and _is_meant(pattern, found[0], text[max(0, start - _NEARBY) : start])
            nearby = f"{text[:_BEGINNING]} {text[max(0, start - _EXAMPLE_NEARBY) : start]}"
            if not is_meant or _is_example(found[0], nearby):
                continue
            if kind == "iban":
                is_business = names_a_business(text) if is_business is None else is_business
                published = is_published(text, found.span(), is_business=is_business)
                yield "published_account" if published else kind, found.span()
            else:
                yield kind, found.span()


def _is_example(number: str, before: str) -> bool:
    """Whether the number is a published example or mostly zeros, and is called an example."""
    plain = number.replace(" ", "").replace("-", "")
    is_known = number in _PUBLISHED or plain in _PUBLISHED or "00000" in plain or _likeness(plain) in _PUBLISHED_LIKE
    return is_known and _EXAMPLE_WORDS.search(before) is not None


def _likeness(account: str) -> tuple[str, str]:
    """Return country and all but the check digits and the last four: services vary these for their test accounts."""
    return account[:2], account[4:-4]


def _is_meant(pattern: re.Pattern[str], number: str, before: str) -> bool:
    """Whether spelling and the words before the number say that it is one of its kind."""
    if pattern is _CARD:
        is_said = _CARD_WORDS.search(before) is not None
        return is_said or (_CARD_GROUPS.fullmatch(number) is not None and not _OTHER_WORDS.search(before))
    if pattern is _SSN:
        return _PERSON_WORDS.search(before) is not None and _PART_WORDS.search(before) is None
    return pattern is not _DNI or _DNI_WORDS.search(before) is not None


def is_card(number: str) -> bool:
    """Return whether an issuer's number has the right check digit (ISO/IEC 7812-1, annex B: Luhn), and is no published
    test number.
    """
    digits = [int(c) for c in number if c.isdigit()]
    plain = "".join(map(str, digits))
    if not _ISSUERS.fullmatch(plain) or plain in _TEST_CARDS:
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_iban(number: str) -> bool:
    """Return whether the check digits are right (ISO 13616: the number, rearranged, is 1 modulo 97)."""
    compact = number.replace(" ", "")
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def is_cpf(number: str) -> bool:
    """Return whether both check digits are right (Brazil, Receita Federal: weights 10…2 and 11…2, modulo 11)."""
    digits = [int(c) for c in number if c.isdigit()]
    checks = [sum(digit * (n + 1 - i) for i, digit in enumerate(digits[:n])) * 10 % 11 % 10 for n in (9, 10)]
    return len(set(digits)) > 1 and checks == digits[9:]


def is_dni(number: str) -> bool:
    """Return whether the letter is right (Spain, DNI and NIE: the number modulo 23 names it)."""
    compact = number.replace("-", "")
    digits = str("XYZ".find(compact[0])) + compact[1:-1] if compact[0] in "XYZ" else compact[:-1]
    return _DNI_LETTERS[int(digits) % 23] == compact[-1]


def is_public_ip(address: str) -> bool:
    """Return whether it is an address of the public internet: private and reserved addresses identify nobody."""
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False
