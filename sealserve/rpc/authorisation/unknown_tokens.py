"""Secrets that a server does not know: made-up ones, and now and then a token that another server has just made."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from sealserve.errors import Unauthenticated, Unavailable
from sealserve.records.principals import digest_of

REFRESH_SECONDS = 0.25
"""Time between two looks for tokens that other servers made, while somebody shows unknown ones."""

MOST_UNKNOWN = 1024
"""Calls with unknown tokens that wait for such a look at once."""

REFUSALS_PER_SECOND = 200
"""So many of them are told that their token is unknown: all at once, they would hold up everybody else."""

_UNKNOWN = "this token is unknown or revoked; ask an administrator for another one"


class Issued(Protocol):
    """Which secrets may be tokens (`registry/issued_tokens.py`)."""

    def has(self, digest: str) -> bool:
        """Return False if this is the digest of no token that was there at the last `refresh`."""

    def refresh(self) -> None:
        """Read the tokens that were made since the last time. Blocks. Raises: StorageFailed."""


class Unlisted:
    """Any secret may be a token."""

    def has(self, digest: str) -> bool:
        """Return True."""
        return True

    def refresh(self) -> None:
        """Do nothing."""


class UnknownTokens:
    """Makes calls with unknown secrets wait: they share one look for new tokens, and refusals go out one by one."""

    def __init__(self, issued: Issued, threads: ThreadPoolExecutor) -> None:
        self._issued = issued
        self._threads = threads
        self._waiting = 0
        self._next_look: asyncio.Task[None] | None = None  # that has not begun
        self._looked_at = self._told_at = -REFRESH_SECONDS

    async def require_issued(self, secret: str) -> None:
        """Return if the secret may be a token. Raises: Unauthenticated, StorageFailed, Unavailable (too many ask)."""
        digest = digest_of(secret)
        if self._issued.has(digest):
            return
        if self._waiting >= MOST_UNKNOWN:
            raise Unavailable("too many unknown tokens at once; try again", reason="TOO_MANY_UNKNOWN_TOKENS")
        self._waiting += 1
        try:
            await self._look()
            if not self._issued.has(digest):
                await self._await_turn()
                raise Unauthenticated(_UNKNOWN)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Look no more."""
        if self._next_look is not None:
            self._next_look.cancel()

    async def _look(self) -> None:
        """Return after a look that began after this call."""
        if self._next_look is None:
            self._next_look = asyncio.create_task(self._look_soon(), name="tokens")
            self._next_look.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(self._next_look)

    async def _look_soon(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._looked_at + REFRESH_SECONDS - loop.time())
        self._next_look, self._looked_at = None, loop.time()
        await loop.run_in_executor(self._threads, self._issued.refresh)

    async def _await_turn(self) -> None:
        now = asyncio.get_running_loop().time()
        self._told_at = max(now, self._told_at + 1 / REFUSALS_PER_SECOND)
        await asyncio.sleep(self._told_at - now)
