"""Runs the syncs that are due, a few at a time; a lease gives each source to one process."""

import asyncio
import math
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial

import structlog

from sealserve.errors import LeaseLost, NotFound, SealserveError
from sealserve.intake.inbox import Inbox
from sealserve.records.sources import Source, SyncReport
from sealserve.registry.registry import Registry
from sealserve.settings.sources import SourceSettings
from sealserve.sources.child import ChildConnector
from sealserve.sources.connector import Connector, Spec, advised
from sealserve.sources.kinds import spec_of
from sealserve.sources.sync import ItemStore, Sync
from sealserve.telemetry import Telemetry
from sealserve.telemetry.names import LogEvent

_LOG = structlog.get_logger(__name__)

MAX_BACKOFF_SECONDS = 86_400.0
PARTIAL_SECONDS = 60.0
"""A sync that reached a limit continues after this time, so that other sources get a turn."""

JITTER = 0.1
_ACTOR = "source:{}"


class SourceRunner:
    """The syncs of one process. Any number of processes may run one."""

    def __init__(
        self,
        registry: Registry,
        inbox: Inbox,
        settings: SourceSettings,
        *,
        holder: str,
        lease_seconds: float = 60.0,
        telemetry: Telemetry | None = None,
        connect: Callable[[Spec], Connector] = ChildConnector,
    ) -> None:
        """`holder` names this process in leases. A lease outlives one item: see `lease_seconds_of`."""
        self._registry = registry
        self._inbox = inbox
        self._settings = settings
        self._holder = holder
        self._lease_seconds = max(lease_seconds, lease_seconds_of(settings))
        self._telemetry = telemetry or Telemetry.off()
        self._connect = connect
        self._random = random.Random()
        self._stopping = threading.Event()
        self._open: dict[str, Connector] = {}
        self._renewed: dict[str, float] = {}

    async def run(self) -> None:
        """Sync what is due until cancelled; a sync that runs then ends at its next item."""
        threads = ThreadPoolExecutor(self._settings.parallel, thread_name_prefix="sources")
        running: dict[str, asyncio.Future[None]] = {}
        loop = asyncio.get_running_loop()
        try:
            while True:
                running = {name: future for name, future in running.items() if not future.done()}
                for source in await self._due():
                    name = _lease_name(source)
                    if name not in running and len(running) < self._settings.parallel:
                        running[name] = loop.run_in_executor(threads, self.sync, source)
                await asyncio.sleep(self._settings.poll_seconds)
        finally:
            self.stop()
            threads.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        """End running syncs at their next item, and cancel what they wait for."""
        self._stopping.set()
        for connector in list(self._open.values()):
            connector.close()

    def sync(self, source: Source) -> None:
        """Sync one source, unless another process does. Nothing of the source or of its items is raised."""
        lease = _lease_name(source)
        try:
            self._renewed.pop(lease, None)
            self._keep(lease)
            report = self._report(self._registry.sources.begin(source.tenant, source.name), lease)
            seconds = self._next_after(source, report)
            self._registry.sources.finish(source.tenant, source.name, report, next_after_seconds=seconds)
            self._tell(source, report)
            self._registry.hold(lease, holder=self._holder, lease_seconds=0.0)
            del self._renewed[lease]
        except (LeaseLost, NotFound):  # another process has it, or it was deleted meanwhile
            return
        except SealserveError as error:  # the registry is away: the lease runs out, and the source is still due
            _LOG.warning(LogEvent.SOURCE_NOT_SYNCED, tenant=source.tenant, source=source.name, error=error.message)

    async def _due(self) -> tuple[Source, ...]:
        try:
            return await asyncio.to_thread(self._registry.sources.due, limit=4 * self._settings.parallel)
        except SealserveError as error:
            _LOG.warning(LogEvent.SOURCES_NOT_READ, error=error.message)
            return ()

    def _report(self, source: Source, lease: str) -> SyncReport:
        try:
            spec = spec_of(source, source.tenant, self._settings, max_item_bytes=self._inbox.max_file_bytes)
            connector = self._connect(spec)
        except SealserveError as error:
            return SyncReport(counts=source.counts, error=advised(error), alarm=source.alarm)
        self._open[lease] = connector
        try:
            store = ItemStore(
                source, registry=self._registry, inbox=self._inbox, forget=forgetting(self._registry, source.name)
            )
            keep = partial(self._keep, lease)
            return Sync(
                source, connector, registry=self._registry, store=store, settings=self._settings, keep_lease=keep
            ).run()
        finally:
            self._open.pop(lease, None)
            connector.close()

    def _keep(self, lease: str) -> None:
        """Renew the lease now and then. Raises: LeaseLost (another process has it, or this one stops)."""
        if self._stopping.is_set():
            raise LeaseLost("this process stops")
        now = time.monotonic()
        if now - self._renewed.get(lease, -math.inf) < self._lease_seconds / 10:
            return
        if not self._registry.hold(lease, holder=self._holder, lease_seconds=self._lease_seconds):
            raise LeaseLost("another process syncs this source")
        self._renewed[lease] = now

    def _next_after(self, source: Source, report: SyncReport) -> float:
        if report.error:
            doubled = source.interval_seconds * 2.0 ** min(source.failures, 10)
            seconds = min(doubled, max(source.interval_seconds, MAX_BACKOFF_SECONDS))
        else:
            seconds = min(source.interval_seconds, PARTIAL_SECONDS) if report.is_partial else source.interval_seconds
        return seconds * self._random.uniform(1 - JITTER, 1 + JITTER)

    def _tell(self, source: Source, report: SyncReport) -> None:
        counts = asdict(report.counts)
        outcome = "failed" if report.error else "alarm" if report.alarm else "partial" if report.is_partial else "done"
        items = {} if report.error and not report.counts.listed else counts
        self._telemetry.metrics.source_synced(
            {what: count for what, count in items.items() if what != "listed"}, outcome=outcome
        )
        labels = {"tenant": source.tenant, "source": source.name}
        if report.error:
            _LOG.warning(LogEvent.SOURCE_NOT_SYNCED, **labels, error=report.error)
        else:
            _LOG.info(LogEvent.SOURCE_SYNCED, **labels, outcome=outcome, **counts)


def lease_seconds_of(settings: SourceSettings) -> float:
    """Return a lease time that outlives the listing or any one item, so that no other process begins in between."""
    return max(900.0, 2 * settings.request_seconds * (settings.max_redirects + 2))


def forgetting(registry: Registry, name: str) -> Callable[[str, str, str], object]:
    """Return what unlearns a document for the source `name`, as `sealserve doc forget` does."""

    def forget(tenant: str, document: str, reason: str) -> object:
        return registry.unlearning.unlearn(tenant, document, actor=_ACTOR.format(name), reason=reason)

    return forget


def _lease_name(source: Source) -> str:
    return f"source/{source.tenant}/{source.name}"
