"""Knows which version should answer each tenant that this replica has met, by a request or by a change.

It reads changes from the registry (`registry/versions/desired.py`), so the cost of a look depends on the number of
changes, not on the number of tenants. Tenants requested at the same time are read together. As a safety net, some known
tenants are read again now and then; that also catches up with a registry that was restored from a backup.
"""

import asyncio
from itertools import islice

from sealserve.errors import NotFound, SealserveError
from sealserve.records.rollouts import Desired
from sealserve.registry.registry import Registry

BATCH = 500
"""Tenants that one read returns at most."""

RECHECK_SECONDS = 10.0
RECHECKED = 200
"""So many known tenants are read again every RECHECK_SECONDS."""


class Knowledge:
    """Use it from one event loop."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._met: dict[str, Desired] = {}
        self._seen: int | None = None  # the number of the last change seen; None before the first read
        self._asked: dict[str, asyncio.Future[Desired]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._to_recheck: list[str] = []
        self._rechecked_seconds = 0.0
        self.has_more = False  # the last `changes` did not return all

    @property
    def is_new(self) -> bool:
        """Whether no changes were read yet."""
        return self._seen is None

    def get(self, tenant: str) -> Desired | None:
        """Return what should answer the tenant as far as is known here; None if it was never met."""
        return self._met.get(tenant)

    async def changes(self) -> tuple[Desired, ...]:
        """Return the tenants that changed since the last call; at the first, those that changed last of all.

        Raises: StorageFailed.
        """
        if self._seen is None:
            found = await asyncio.to_thread(self._registry.desired.newest, limit=BATCH)
            self._seen = max((one.changed for one in found), default=0)
            self._rechecked_seconds = _now()
        else:
            found = await asyncio.to_thread(self._registry.desired.since, self._seen, limit=BATCH)
            self._seen = max((one.changed for one in found), default=self._seen)
            self.has_more = len(found) == BATCH
            if _now() - self._rechecked_seconds >= RECHECK_SECONDS:
                found += await self._recheck()
        for one in found:
            self._met[one.tenant] = one
        return found

    async def find(self, tenant: str) -> Desired:
        """Return what should answer the tenant, read now if it was never met. Raises: NotFound, StorageFailed."""
        known = self._met.get(tenant)
        if known is not None:
            return known
        if tenant not in self._asked:
            self._asked[tenant] = asyncio.get_running_loop().create_future()
            self._asked[tenant].add_done_callback(lambda done: done.cancelled() or done.exception())
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read_asked(), name="tenants asked for")
        return await asyncio.shield(self._asked[tenant])

    async def _read_asked(self) -> None:
        while self._asked:
            names = tuple(islice(self._asked, BATCH))
            try:
                found = await asyncio.to_thread(self._registry.desired.of, names)
            except SealserveError as error:
                for name in names:
                    self._asked.pop(name).set_exception(error)
                continue
            for name in names:
                read = found.get(name)
                if read is not None:
                    known = self._met.get(name)
                    self._met[name] = known if known is not None and known.changed > read.changed else read
                    self._asked.pop(name).set_result(self._met[name])
                else:
                    self._asked.pop(name).set_exception(NotFound(f"tenants/{name}", kind="tenant"))

    async def _recheck(self) -> tuple[Desired, ...]:
        """Read some known tenants again; return those that differ from what is known here."""
        self._rechecked_seconds = _now()
        self._to_recheck = self._to_recheck or list(self._met)
        names, self._to_recheck = self._to_recheck[:RECHECKED], self._to_recheck[RECHECKED:]
        newest = await asyncio.to_thread(self._registry.desired.newest_number)
        self._seen = min(self._seen or 0, newest)
        found = await asyncio.to_thread(self._registry.desired.of, names)
        return tuple(one for one in found.values() if self._met.get(one.tenant) != one)


def _now() -> float:
    return asyncio.get_running_loop().time()
