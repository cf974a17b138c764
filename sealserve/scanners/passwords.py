"""Passwords, keys and door codes that a text gives away: a word for them, and beside it a value that looks like one.

The issuers' own forms are in `secrets`; here a value is told from a word by its mixture of letters, digits and signs.
Takes time linear in the text (RE2).
"""

import re
from collections.abc import Iterator

import re2

_NAME = (
    r"pass(?:word|wort|phrase|code)s?|pass ?[:=]|passwd|pwd|api[ _-]?(?:key|token|secret)|"
    r"(?:access|auth|secret|bot|client|signing|encryption|service|refresh|bearer)[ _-]?(?:key|token|secret)|secret|"
    r"token|credentials?|kennwort|passwort|zugangscode|contraseña|clave|mot de passe|parola d'ordine|senha|"
    r"palavra[- ]passe|wachtwoord|hasło|şifre(?:si)?|parola(?:sı)?|парол[ья]|heslo|lösenord|adgangskode|jelszó|"
    r"κωδικός|密码|密碼|口令|密钥|パスワード|暗証番号|비밀번호|암호|كلمة (?:المرور|السر)|סיסמה|पासवर्ड|รหัสผ่าน"
)
_BETWEEN = (
    r"[\"'`*»)]{0,3}(?:\s?(?:[:=：＝]|=>|->|→|–|-)\s?|\s(?:is|are|ist|lautet|es|est|è|é|to|на|为|是)\s|[:：]?\s|"
    r"[は는은是为]\s?)[\"'`*«„“]{0,3}"
)
_VALUE = r"([^\s\"'`<>|,;，。、」』”»()]{6,})"
_NAMED = re2.compile(rf"(?i)(?:^|[^a-z])(?:{_NAME})")
_ASSIGNED = re2.compile(rf"(?i){_BETWEEN}{_VALUE}")
_DOOR = (
    r"gates?|doors?|alarms?|safe|vault|key ?box|lock ?box|locker|portail|portillon|porte|alarme|coffre(?:-fort)?|tür|"
    r"tor|alarmanlage|tresor|schlüsseltresor|puerta|portón|alarma|caja fuerte|cancello|porta|allarme|cassaforte|"
    r"portão|cofre|ворот|двер|сейф|сигнализаци|保险柜|门禁|大门|金庫|玄関|금고|현관|출입문|sejf|brama|kasa|kapı"
)
_CODE = (
    r"codes?|pin|combination|passcode|kombination|código|codice|код[а-я]*|密码|密碼|暗証番号|番号|비밀번호|번호|kodu?|"
    r"şifresi"
)
_DIGITS = r"\d(?:[ -]?\d){3,7}[A-Za-z]?"
_IS_DOOR = re2.compile(f"(?i){_DOOR}")
_OPENS = re2.compile(rf"(?i)(?:{_CODE}|\b(?:with|mit|avec|con|com))[ :=]{{1,3}}(?:is |ist |est |es |é )?({_DIGITS})\b")
_NEARBY = 80
"""Characters before a code in which the door that it opens is named."""

_ISSUED = re2.compile(
    r"\b(?:AIza[\w-]{35}|glpat-[\w-]{20}|whsec_[A-Za-z0-9]{24,}|hf_[A-Za-z]{34}|sk-(?:proj-|ant-)?[\w-]{24,}|"
    r"shp(?:at|ca|pa)_[0-9a-f]{32}|dop_v1_[0-9a-f]{64}|\d{8,10}:AA[\w-]{33}|ya29\.[\w-]{40,}|EAA[A-Za-z0-9]{60,}|"
    r"AGE-SECRET-KEY-1[A-Z0-9]{50,}|PuTTY-User-Key-File-\d)"
)
"""Google, GitLab, Stripe's webhooks, Hugging Face, OpenAI and its like, Shopify, DigitalOcean, Telegram, age, PuTTY."""

_RUN = re.compile(r"[0-9a-fA-F]{24,}|[A-Za-z0-9+/_=-]{32,}")
_NO_VALUE = re.compile(
    r"(?i)^(?:https?:|/|\.|\\|\$|%|\{|\[|<|@|#)|\(|\)|^[a-z-]+(?:[_/][a-z-]+)*[.:]?$|://|^-{0,2}[A-Za-z_]{2,}="
)
_MIN_LENGTH, _MIN_CLASSES, _MAX_VALUE = 8, 3, 160


def passwords_in(text: str) -> Iterator[tuple[str, int]]:
    """Yield each value and where it begins."""
    for found in _ISSUED.finditer(text):
        yield found[0], found.start()
    for name in _NAMED.finditer(text):
        found = _ASSIGNED.match(text[name.end() : name.end() + _MAX_VALUE])
        value = found[1].rstrip(".:!?") if found else ""
        if _is_password(value):
            yield value, name.end() + found.start(1)
    for found in _OPENS.finditer(text):
        if _IS_DOOR.search(text[max(0, found.start() - _NEARBY) : found.start()]):
            yield found[1], found.start(1)


def _is_password(value: str) -> bool:
    """Whether a value mixes letters, digits and signs as words do not, or is a long run of random ones."""
    if _NO_VALUE.search(value) or len(value) < _MIN_LENGTH:
        return False
    if _RUN.fullmatch(value):
        return any(map(str.isdigit, value)) and any(map(str.isalpha, value)) and len(set(value)) >= 10
    classes = (
        any(map(str.islower, value)), any(map(str.isupper, value)), any(map(str.isdigit, value)),
        any(not one.isalnum() for one in value),
    )  # fmt: skip
    return sum(classes) >= _MIN_CLASSES and any(map(str.isalpha, value)) and any(map(str.isdigit, value))
