"""The rules in force, in one process: read again when their files change, and only if their golden cases pass.

A refused bundle is logged once, and the bundle before stays in force.
"""

import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import structlog

from sealserve.canonical import Json
from sealserve.errors import BadConfig
from sealserve.packaged_policies import policy_directory
from sealserve.policy.bundle import Bundle, load_bundle, rule_files
from sealserve.policy.evaluate import decide
from sealserve.policy.events import Event
from sealserve.policy.golden_cases import check, read_cases
from sealserve.records.policy_decisions import PolicyDecision
from sealserve.telemetry.names import LogEvent

_LOG = structlog.get_logger(__name__)


def proven_bundle(directory: Path) -> Bundle:
    """Return the bundle below `directory`, its golden cases passed. Raises: BadConfig, naming what failed."""
    bundle = load_bundle(directory)
    wrong = [f"{one.name}: {one.found}" for one in check(bundle, read_cases(directory)) if not one.is_right]
    if wrong:
        raise BadConfig(f"{directory}: golden cases fail: " + "; ".join(wrong))
    return bundle


def open_rules(directory: Path | None = None) -> "Rulebook":
    """Return the rules below `directory`, else the packaged ones. Raises: BadConfig."""
    return Rulebook(directory or policy_directory(), clock=lambda: datetime.now(UTC))


class Rulebook:
    """Safe to use from many threads."""

    def __init__(self, directory: Path, *, clock: Callable[[], datetime]) -> None:
        """Read the bundle. Raises: BadConfig."""
        self._directory = directory
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp = _stamp(directory)
        self._bundle = proven_bundle(directory)

    def bundle(self) -> Bundle:
        """Return the rules in force."""
        with self._lock:
            stamp = _stamp(self._directory)
            if stamp != self._stamp:
                self._stamp = stamp
                self._read_again()
            return self._bundle

    def rule(self, event: Event, given: Json, *, tenant: str, subject: str) -> PolicyDecision:
        """Return the ruling on `given`, with a fresh id; nothing is kept yet."""
        started = perf_counter()
        bundle = self.bundle()
        decided = decide(bundle.of(tenant), event, given)
        return PolicyDecision(
            ruling=secrets.token_hex(8),
            tenant=tenant,
            event=event.value,
            subject=subject,
            effect=decided.effect,
            bundle=bundle.digest,
            input=given,
            results=decided.results,
            milliseconds=round(1000 * (perf_counter() - started), 3),
            decided_at=self._clock(),
        )

    def _read_again(self) -> None:
        try:
            self._bundle = proven_bundle(self._directory)
            _LOG.info(LogEvent.POLICY_LOADED, bundle=self._bundle.digest)
        except BadConfig as error:
            _LOG.warning(LogEvent.POLICY_REFUSED, error=error.message, in_force=self._bundle.digest)


def _stamp(directory: Path) -> tuple[tuple[str, int, int], ...]:
    files = (*rule_files(directory), *sorted((directory / "tests/rules").glob("*.yaml")))
    found = []
    for file in files:
        try:
            status = file.stat()
        except OSError:
            continue
        found.append((str(file), status.st_mtime_ns, status.st_size))
    return tuple(found)
