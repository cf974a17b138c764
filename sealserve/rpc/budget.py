"""What one caller may use of the server: calls and watches at once, calls, writes, bytes and tokens in a minute.

Each call counts for the principal and for every tenant that it is bound to; that of a principal which is bound to none,
for the tenant that it names. Who is over its share is refused before anything of the call is read, or as soon as the
tenant is known. Administrators and the installation's own processes have no limits.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from sealserve.errors import QuotaExceeded
from sealserve.records.principals import Principal, Role
from sealserve.settings.limits import LimitSettings

WATCHES = frozenset({"WatchAdapters", "WatchCycle", "StreamDocuments"})
"""Methods that may run for ever."""

ANSWERS = frozenset({"InferenceService/Generate", "InferenceService/StreamGenerate"})
"""Methods that cost tokens."""

_READS = ("Get", "List", "Watch", "Summarize", "Verify", "Count", "Generate", "StreamGenerate")
"""How the names of methods begin that write nothing to the registry."""

BURST_SECONDS = 10.0
"""So much of a minute's calls and writes may come at once."""

MINUTE = 60.0
PLACE_SECONDS = 1.0
"""When to try again after a refusal for want of a place: nobody knows when one gets free."""

MOST_ACCOUNTS = 10_000
"""So many are kept before those that are idle are dropped."""


class _Bucket:
    """A token bucket that may be overdrawn: what a call costs is often known only after it."""

    def __init__(self, per_minute: float, *, burst_seconds: float, now: float) -> None:
        self._per_second = per_minute / MINUTE
        self._capacity = max(1.0, self._per_second * burst_seconds)
        self._level, self._at = self._capacity, now

    def take(self, amount: float, *, now: float) -> None:
        """Take `amount`; the level may fall below zero."""
        self._fill(now)
        self._level -= amount

    def wait_seconds(self, *, now: float) -> float:
        """Return how long it takes until there is something in it again; 0 if there is."""
        self._fill(now)
        return 0.0 if self._level > 0 else -self._level / self._per_second + 1 / max(1.0, self._per_second)

    def is_full(self, *, now: float) -> bool:
        """Whether nothing was taken lately."""
        self._fill(now)
        return self._level >= self._capacity

    def _fill(self, now: float) -> None:
        self._level = min(self._capacity, self._level + (now - self._at) * self._per_second)
        self._at = now


class _Account:
    """The share of one tenant or one principal, and what is used of it. `part` is that of a tenant's limits."""

    def __init__(self, subject: str, limits: LimitSettings, *, part: float, now: float) -> None:
        self.subject = subject
        self.most_calls = max(1, math.floor(limits.calls_in_flight * part))
        self.most_watches = max(1, math.floor(limits.watches * part))
        self.running = self.watching = 0
        self.calls = _Bucket(limits.calls_per_minute * part, burst_seconds=BURST_SECONDS, now=now)
        self.writes = _Bucket(limits.writes_per_minute * part, burst_seconds=BURST_SECONDS, now=now)
        self.bytes = _Bucket(limits.bytes_per_minute * part, burst_seconds=MINUTE, now=now)
        self.tokens = _Bucket(limits.tokens_per_minute * part, burst_seconds=MINUTE, now=now)

    def is_idle(self, *, now: float) -> bool:
        """Whether it can be forgotten without a loss."""
        buckets = (self.calls, self.writes, self.bytes, self.tokens)
        return not self.running and not self.watching and all(bucket.is_full(now=now) for bucket in buckets)

    def require(self, method: str, *, now: float) -> None:
        """Return if it has room for a call of `method`. Raises: QuotaExceeded."""
        for bucket, what in self._asked(method):
            if wait := bucket.wait_seconds(now=now):
                text = f"{self.subject} has used its share of {what} in a minute; retry in {math.ceil(wait)} s"
                raise QuotaExceeded(text, retry_seconds=wait, subject=self.subject)
        if _is_watch(method):
            used, most, what = self.watching, self.most_watches, "watches and document streams"
        else:
            used, most, what = self.running, self.most_calls, "calls in flight"
        if used >= most:
            text = f"{self.subject} has {used} {what}, its share; end one first"
            raise QuotaExceeded(text, retry_seconds=PLACE_SECONDS, subject=self.subject)

    def _asked(self, method: str) -> Iterator[tuple[_Bucket, str]]:
        yield self.calls, "calls"
        yield self.bytes, "bytes"
        if method in ANSWERS:
            yield self.tokens, "tokens"
        if _writes(method):
            yield self.writes, "writes"


class Share:
    """What one call takes from the shares of its caller, and of the tenant that it names; of those that have limits."""

    def __init__(self, method: str, *, find: Callable[[str], _Account] | None, clock: Callable[[], float]) -> None:
        """`find` gives the account of a tenant that the call names; None: that is not charged."""
        self._method = method
        self._is_watch = _is_watch(method)
        self._find = find
        self._clock = clock
        self._entered: list[_Account] = []
        self._named: _Account | None = None  # of the tenant that was named last
        self._unassigned_bytes = 0  # of which it is not known yet what tenant they are for
        self.accounts: tuple[_Account, ...] = ()  # of the caller itself

    def enter(self, *accounts: _Account) -> None:
        """Count the call for its caller's accounts, or for none of them. Raises: QuotaExceeded."""
        self._enter(accounts)
        self.accounts = accounts

    def name_tenant(self, tenant: str) -> None:
        """Count the call for the tenant, once, if its caller is bound to none. Raises: QuotaExceeded."""
        if self._find is None:
            return
        account = self._find(tenant)
        if account not in self._entered:
            self._enter((account,))
        account.bytes.take(self._unassigned_bytes, now=self._clock())
        self._named, self._unassigned_bytes = account, 0

    def leave(self) -> None:
        """The call has ended."""
        for account in self._entered:
            _add(account, -1, is_watch=self._is_watch)

    def take_bytes(self, count: int) -> None:
        """Take note of `count` bytes that were received; of whose tenant, the next `name_tenant` says."""
        self._unassigned_bytes += count
        for account in self.accounts:
            account.bytes.take(count, now=self._clock())

    def take_tokens(self, count: int) -> None:
        """Take note of `count` tokens that were read or written."""
        for account in self._charged():
            account.tokens.take(count, now=self._clock())

    async def take_write(self) -> None:
        """Return once there is room for another write of the same stream: its sender is held back, not refused."""
        for account in self._charged():
            now = self._clock()
            await asyncio.sleep(max(account.writes.wait_seconds(now=now), account.bytes.wait_seconds(now=now)))
            account.writes.take(1, now=self._clock())

    def _enter(self, accounts: tuple[_Account, ...]) -> None:
        now = self._clock()
        for account in accounts:
            account.require(self._method, now=now)
        for account in accounts:
            account.calls.take(1, now=now)
            if _writes(self._method) and not self._is_watch:  # each document of a stream counts as it comes
                account.writes.take(1, now=now)
            _add(account, 1, is_watch=self._is_watch)
        self._entered += accounts

    def _charged(self) -> tuple[_Account, ...]:
        return self.accounts if self._named is None else (*self.accounts, self._named)


CURRENT_SHARE: ContextVar[Share] = ContextVar("sealserve_share")
"""Set by `authorisation/access.py` in the task that serves the call."""


class Budget:
    """Every caller's share. Use it from one event loop."""

    def __init__(self, limits: LimitSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._limits = limits
        self._clock = clock
        self._accounts: dict[str, _Account] = {}

    def enter(self, principal: Principal, method: str) -> Share:
        """Count a call of `method`, `"Service/Method"`, and return its share; have it `leave` in the end.

        Raises: QuotaExceeded.
        """
        has_limits = principal.role not in (Role.ADMIN, Role.ENGINE)
        find = self._tenants_account if has_limits and principal.tenants is None else None
        share = Share(method, find=find, clock=self._clock)
        if has_limits:
            share.enter(*self._own_accounts(principal))
        return share

    def _own_accounts(self, principal: Principal) -> Iterator[_Account]:
        part = 1.0 if principal.tenants is None else self._limits.principal_share
        yield self._account(f"principals/{principal.name}", part)
        for tenant in principal.tenants or ():
            yield self._tenants_account(tenant)

    def _tenants_account(self, tenant: str) -> _Account:
        return self._account(f"tenants/{tenant}", 1.0)

    def _account(self, subject: str, part: float) -> _Account:
        found = self._accounts.get(subject)
        if found is None:
            now = self._clock()
            if len(self._accounts) >= MOST_ACCOUNTS:
                self._accounts = {name: one for name, one in self._accounts.items() if not one.is_idle(now=now)}
            found = self._accounts[subject] = _Account(subject, self._limits, part=part, now=now)
        return found


def _add(account: _Account, count: int, *, is_watch: bool) -> None:
    if is_watch:
        account.watching += count
    else:
        account.running += count


def _is_watch(method: str) -> bool:
    return method.partition("/")[2] in WATCHES


def _writes(method: str) -> bool:
    return not method.partition("/")[2].startswith(_READS)
