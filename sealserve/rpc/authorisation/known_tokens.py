"""Whose a secret is, as a server remembers it between two looks at the registry."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from sealserve.errors import StorageFailed, Unauthenticated
from sealserve.records.principals import Principal, Token
from sealserve.rpc.authorisation.unknown_tokens import Issued, UnknownTokens, Unlisted

REMEMBER_SECONDS = 1.0
"""How long another server's revocation may go unnoticed."""

PATIENCE_SECONDS = 2.0
"""How long a token that was valid waits for the registry to say so again."""

_UNKNOWN_THREADS = 2
_MAX_REMEMBERED = 10_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Seen:
    """A token as the registry had it at `at`; it is asked again from `ask_at` on. Seconds of the clock."""

    token: Token
    at: float
    ask_at: float


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a token was refused, and from when on the registry is asked again: seconds of the clock."""

    message: str
    reason: str
    ask_at: float


class KnownTokens:
    """Whose a secret is, remembered for a moment: most calls come from those who called just now.

    A secret that is nobody's costs neither a thread nor a look at the database. While the registry is away, a token
    that was valid stays so for `grace_seconds`: answers need no database.
    """

    def __init__(
        self,
        find: Callable[[str], Token],
        *,
        issued: Issued | None = None,
        grace_seconds: float = 0.0,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`find` blocks, and raises Unauthenticated for a secret that is nobody's; without `issued` it is asked about
        every secret. `clock` gives seconds.
        """
        self._find = find
        self._grace_seconds = grace_seconds
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._utc_now = utc_now
        self._seen: dict[str, _Seen] = {}
        self._refused: dict[str, _Refusal] = {}
        self._lookups: dict[str, asyncio.Future[Token]] = {}
        self._threads = ThreadPoolExecutor(_UNKNOWN_THREADS, thread_name_prefix="tokens")
        self._unknown = UnknownTokens(issued or Unlisted(), self._threads)

    async def principal_of(self, secret: str) -> Principal:
        """Return whose secret this is. Raises: Unauthenticated, StorageFailed, Unavailable (too many unknown ones)."""
        seen = self._seen.get(secret)
        if seen is None:
            self._require_not_refused(secret)
            await self._unknown.require_issued(secret)
            return (await self._looked_up(secret)).principal
        if self._clock() >= seen.ask_at:
            return (await self._asked_again(secret, seen)).principal
        seen.token.require_unexpired(self._utc_now())
        return seen.token.principal

    def forget(self, token: str) -> None:
        """Ask anew for the token of that id: it was revoked here."""
        for secret, seen in list(self._seen.items()):
            if seen.token.token == token:
                del self._seen[secret]

    def close(self) -> None:
        """Begin no more lookups of unknown secrets."""
        self._unknown.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _asked_again(self, secret: str, seen: _Seen) -> Token:
        """Return the token as it is now, or as it was, if the registry does not say and that is not long ago."""
        try:
            async with asyncio.timeout(self._patience_seconds):
                return await self._looked_up(secret)
        except (StorageFailed, TimeoutError) as error:
            now = self._clock()
            if now - seen.at > self._grace_seconds:
                raise StorageFailed("the registry cannot be asked whose token this is") from error
            if secret in self._seen:  # else: it was revoked meanwhile
                self._seen[secret] = replace(seen, ask_at=now + REMEMBER_SECONDS)
        seen.token.require_unexpired(self._utc_now())
        return seen.token

    async def _looked_up(self, secret: str) -> Token:
        """Return what the registry says; those who ask for the same secret at the same time share one lookup."""
        lookup = self._lookups.get(secret)
        if lookup is None:
            lookup = self._lookups[secret] = asyncio.ensure_future(self._look_up(secret))
            lookup.add_done_callback(lambda done: done.cancelled() or done.exception())  # it may find nobody waiting
        return await asyncio.shield(lookup)

    async def _look_up(self, secret: str) -> Token:
        asked_at = self._clock()
        try:
            token = await self._found(secret)
        except Unauthenticated as refusal:
            self._seen.pop(secret, None)
            _keep(self._refused, secret, _Refusal(refusal.message, refusal.reason, asked_at + REMEMBER_SECONDS))
            raise
        finally:
            del self._lookups[secret]
        _keep(self._seen, secret, _Seen(token, asked_at, asked_at + REMEMBER_SECONDS))
        return token

    async def _found(self, secret: str) -> Token:
        threads = None if secret in self._seen else self._threads
        return await asyncio.get_running_loop().run_in_executor(threads, self._find, secret)

    def _require_not_refused(self, secret: str) -> None:
        """Return unless the registry has just said that this is a token no more. Raises: Unauthenticated."""
        refusal = self._refused.get(secret)
        if refusal is not None and self._clock() < refusal.ask_at:
            raise Unauthenticated(refusal.message, reason=refusal.reason)


def _keep(remembered: dict[str, T], secret: str, what: T) -> None:
    """Remember `what`; when there is too much, the rest is forgotten."""
    if len(remembered) >= _MAX_REMEMBERED:
        remembered.clear()
    remembered[secret] = what
