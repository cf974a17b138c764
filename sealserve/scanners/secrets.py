"""Credentials in a text, by the forms that their issuers give them (bc-detect-secrets). Counts, never contents.

Entropy and keyword detectors are left out: they flag plain English. Each detector is asked directly, since the
package's settings are one object for the whole process.
"""

import re
from functools import cache
from importlib import import_module

from detect_secrets.plugins.base import RegexBasedDetector

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
_MAX_LINE = 4000
"""Characters of a line that are looked at in one piece: some forms take quadratic time."""


_PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")


def secrets_in(text: str) -> int:
    """Return how many credentials are in `text`."""
    return len(_PRIVATE_KEY.findall(text)) + sum(
        len(_of(piece)) for line in text.splitlines() for piece in _pieces(line)
    )


def _pieces(line: str) -> list[str]:
    return [line[start : start + _MAX_LINE] for start in range(0, len(line), _MAX_LINE)]


def _of(line: str) -> set[str]:
    return {found for detector in _detectors() for found in detector.analyze_string(line)}


@cache
def _detectors() -> tuple[RegexBasedDetector, ...]:
    return tuple(getattr(import_module(f"detect_secrets.plugins.{module}"), name)() for module, name in _DETECTORS)
