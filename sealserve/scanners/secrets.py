"""Finds credentials in a text by their issuers' formats (bc-detect-secrets), and by the words beside them
(`passwords`). Returns counts, never contents.

The package's entropy and keyword detectors are left out: they flag plain English. Only the forms are taken from it: RE2
matches them, as some take cubic time otherwise.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import chain
from typing import Any

import re2

from sealserve.scanners.passwords import passwords_in

_DETECTORS = (
    ("artifactory", "ArtifactoryDetector"),
    ("aws", "AWSKeyDetector"),
    ("azure_storage_key", "AzureStorageKeyDetector"),
    ("basic_auth", "BasicAuthDetector"),
    ("discord", "DiscordBotTokenDetector"),
    ("github_token", "GitHubTokenDetector"),
    ("jwt", "JwtTokenDetector"),
    ("mailchimp", "MailchimpDetector"),
    ("npm", "NpmDetector"),
    ("sendgrid", "SendGridDetector"),
    ("slack", "SlackDetector"),
    ("square_oauth", "SquareOAuthDetector"),
    ("stripe", "StripeDetector"),
    ("twilio", "TwilioKeyDetector"),
)
_PRIVATE_KEY = re2.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?s:.){0,200}?[A-Za-z0-9+/]{24}")
"""With the beginning of the key: a page on keys may show how their files begin."""


_EXAMPLE = re2.compile(
    r"(?i)example|sample|dummy|placeholder|your|(?:change|replace)[-_]?(?:me|this|it)|redacted|x{6}|0{8}|\*{3}|1234567890|abcdef0123|0123456789|deadbeef|"
    r"eyjzdwiioiixmjm0nty3odkw|eyjzb21lijoicgf5bg9hzcj9|[:=](?:pass(?:word|wd|wort)?|pwd?|secret|token|key|changeme|contrasena|motdepasse)@|[<{$%]"
)
"""Example keys and placeholders from vendors' documentation, which open nothing. (The two long ones are the payloads
of jwt.io's own token and of PyJWT's manual.)
"""

_CUT_OFF = re.compile(r"[A-Za-z0-9+/,]")
"""Before a run in base64: what begins there is the rest of a longer one, such as a picture's."""


def secrets_in(text: str) -> int:
    """Return how many different credentials are in `text`, private keys all counted. Takes time linear in the text.

    Example keys do not count.
    """
    plain = text.encode(errors="replace").decode()
    private_keys = sum(1 for _ in _PRIVATE_KEY.finditer(plain))
    return private_keys + len({credential for credential, _ in _credentials(plain)})


def places_of_secrets(text: str) -> list[int]:
    """Return where the credentials in `text` begin."""
    plain = text.encode(errors="replace").decode()
    return [*(found.start() for found in _PRIVATE_KEY.finditer(plain)), *(start for _, start in _credentials(plain))]


def _credentials(text: str) -> Iterator[tuple[str, int]]:
    for name, forms in _forms():
        for found in chain.from_iterable(form.finditer(text) for form in forms):
            if name == "azure_storage_key" and _CUT_OFF.fullmatch(text[max(0, found.start() - 1) : found.start()]):
                continue
            if (name != "jwt" or _is_jwt(found[0])) and not _EXAMPLE.search(found[0]):
                yield found[0], found.start()
    yield from ((value, start) for value, start in passwords_in(text) if not _EXAMPLE.search(value))


@cache
def _forms() -> tuple[tuple[str, tuple[Any, ...]], ...]:
    detectors = (
        (module, getattr(import_module(f"detect_secrets.plugins.{module}"), name)) for module, name in _DETECTORS
    )
    return tuple((module, tuple(map(_as_re2, detector.denylist))) for module, detector in detectors)


def _as_re2(form: re.Pattern[str]) -> Any:
    return re2.compile(f"(?i){form.pattern}" if form.flags & re.IGNORECASE else form.pattern)


def _is_jwt(token: str) -> bool:
    from detect_secrets.plugins.jwt import JwtTokenDetector

    try:
        return bool(JwtTokenDetector.is_formally_valid(token))
    except RecursionError:  # its JSON is nested without end
        return False
