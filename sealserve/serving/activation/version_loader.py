"""Loads one version into the engine. Its seal and files are checked first, and one token is generated as a probe last.

A version that is loaded again into the same engine is not probed again.

While the registry cannot be read, a version that was loaded here before is loaded as it was then. Its files are checked
again, its seal was.

A version that cannot be served is quarantined, which moves its tenant's pointer back if it was the desired one. One
under which the engine may have died is suspended until it is cleared.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from sealserve.concurrency import in_thread
from sealserve.engine.engine import AdapterFiles, Engine, GenerateRequest
from sealserve.errors import (
    BadAdapter,
    CorruptArtifact,
    EngineFailed,
    NotFound,
    StorageFailed,
    Unavailable,
    UnfitSettings,
)
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.records.versions import Activation, AdapterVersion, VersionState
from sealserve.registry.registry import Registry
from sealserve.serving.activation.places import Need, Places
from sealserve.serving.activation.retirement import Retirement
from sealserve.serving.adapter_table import Route
from sealserve.telemetry import Telemetry
from sealserve.telemetry.names import Attribute, LogEvent, Span

ACTOR = "serve"
MAX_FAILED_PROBES = 3
"""An adapter under which the engine fails this often is quarantined; fewer may be the engine's own trouble."""

NOT_FOR_THESE_SETTINGS = frozenset({"wrong_base", "rank_too_large"})
"""Defects that another setting would cure. A version is not quarantined for them."""

MAX_REMEMBERED = 1024
"""Versions that can be loaded again while the registry cannot be read; some kilobytes each."""

PROBE = (ChatTurn(role="user", content="Hello."),)


class VersionLoader:
    """Loads and quarantines versions. Use it from one event loop."""

    def __init__(
        self,
        registry: Registry,
        engine: Engine,
        *,
        places: Places,
        retirement: Retirement,
        telemetry: Telemetry,
        require_seal: Callable[[AdapterVersion], None],
        on_moved: Callable[[], None],
    ) -> None:
        """`require_seal` raises BadAdapter for a version that is not what was signed, UnknownSigner if nobody here can
        tell (`Seals.require`).
        """
        self._registry = registry
        self._engine = engine
        self._places = places
        self._retirement = retirement
        self._telemetry = telemetry
        self._require_seal = require_seal
        self._on_moved = on_moved
        self._versions: dict[str, tuple[str, int]] = {}  # engine name -> what it is
        self._remembered: OrderedDict[tuple[str, int], AdapterVersion] = OrderedDict()  # loaded last at the end
        self._failed_probes: Counter[str] = Counter()
        self._probed: dict[str, int] = {}  # engine name -> the engine's number of rebuilds when it was probed last
        self._log = structlog.get_logger("sealserve.activator")

    async def load(self, tenant: str, version: int, *, activation: int, need: Need) -> Route | None:
        """Return the version's route, its adapter loaded and probed; None if it is quarantined, or was now.

        Raises: NotFound, Unavailable (also UnknownSigner and UnfitSettings), EngineFailed, StorageFailed.
        """
        found = await self._find(tenant, version)
        if found.state is not VersionState.READY:
            return None
        self._versions[found.engine_name] = (tenant, version)
        refusal = ""
        try:
            with self._retirement.kept(found.engine_name):
                await self._load(found, need=need)
        except BadAdapter as error:
            self._telemetry.metrics.adapter_refused(error.defect)
            if error.defect in NOT_FOR_THESE_SETTINGS:
                raise UnfitSettings(error.message) from error
            refusal = f"{error.defect}: {error.message}"
        except CorruptArtifact as error:
            refusal = error.message
        except EngineFailed:
            self._failed_probes[found.engine_name] += 1
            if self._failed_probes[found.engine_name] < MAX_FAILED_PROBES:
                raise
            refusal = "the engine fails under it"
        if refusal:
            await self._quarantine(tenant, version, refusal)
            return None
        return Route(
            tenant=tenant,
            version=version,
            activation=activation,
            engine_name=found.engine_name,
            origin=found.lineage.traceparent or "",
        )

    async def quarantine(self, engine_names: Iterable[str], *, reason: str) -> None:
        """Quarantine the versions behind these names; names never loaded here are passed over."""
        for tenant, version in self._known(engine_names):
            await self._quarantine(tenant, version, reason)

    async def suspend(self, engine_names: Iterable[str], *, reason: str) -> None:
        """Take the versions behind these names out of service: the ones before them answer."""
        await self._move_suspended(self._registry.versions.suspend, engine_names, reason=reason)

    async def resume(self, engine_names: Iterable[str], *, reason: str) -> None:
        """Put those of these suspended versions back into service that nobody has replaced meanwhile."""
        await self._move_suspended(self._registry.versions.resume, engine_names, reason=reason)

    async def _move_suspended(
        self, move: Callable[..., Activation | None], engine_names: Iterable[str], *, reason: str
    ) -> None:
        for tenant, version in self._known(engine_names):
            self._remembered.pop((tenant, version), None)
            moved = await asyncio.to_thread(move, tenant, version, actor=ACTOR, reason=reason)
            if moved is not None:
                self._log.warning(
                    LogEvent.VERSION_SUSPECTED, tenant=tenant, version=version, kind=moved.kind, reason=reason
                )
                self._on_moved()

    def _known(self, engine_names: Iterable[str]) -> list[tuple[str, int]]:
        """Return the tenant and version behind each of these names that was ever loaded here."""
        return [self._versions[name] for name in engine_names if name in self._versions]

    async def _find(self, tenant: str, version: int) -> AdapterVersion:
        """Return the version as the registry has it. Raises: NotFound, StorageFailed (and it was never loaded here)."""
        try:
            return await asyncio.to_thread(self._registry.versions.get, tenant, version)
        except StorageFailed:
            if (found := self._remembered.get((tenant, version))) is None:
                raise
            return found

    @contextmanager
    def _checked(self, version: AdapterVersion) -> Iterator[Path]:
        """Give the version's files, its seal and their digests checked. Blocking.

        Raises: BadAdapter, UnknownSigner, CorruptArtifact, NotFound, StorageFailed.
        """
        try:
            self._require_seal(version)
        except StorageFailed:
            if self._remembered.get((version.tenant, version.version)) != version:
                raise
        with self._registry.artifacts.materialise(version.artifact) as path:
            yield path

    def _remember(self, version: AdapterVersion) -> None:
        self._remembered[version.tenant, version.version] = version
        self._remembered.move_to_end((version.tenant, version.version))
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)

    async def _load(self, version: AdapterVersion, *, need: Need) -> None:
        async with in_thread(self._checked(version)) as path:
            files = AdapterFiles(name=version.engine_name, path=path)
            with self._telemetry.span(Span.LOAD, {Attribute.ADAPTER: version.engine_name}):
                await self._places.load(files, need=need, tenant=version.tenant)
        build = (await self._engine.info()).rebuilds
        if self._probed.get(version.engine_name) != build:
            await self._probe(version.engine_name)
            self._probed[version.engine_name] = build
        self._remember(version)

    async def _probe(self, engine_name: str) -> None:
        """Return when one token came out. Raises: EngineFailed, Unavailable."""
        request = GenerateRequest(
            request_id=f"probe-{engine_name}", turns=PROBE, adapter=engine_name, sampling=Sampling(max_tokens=1)
        )
        try:
            async for _ in self._engine.generate(request):
                pass
        except NotFound as error:
            raise Unavailable("the adapter was unloaded before it could be probed") from error

    async def _quarantine(self, tenant: str, version: int, reason: str) -> None:
        self._remembered.pop((tenant, version), None)
        self._log.warning(LogEvent.VERSION_QUARANTINED, tenant=tenant, version=version, reason=reason)
        await asyncio.to_thread(self._registry.versions.quarantine, tenant, version, actor=ACTOR, reason=reason)
        self._on_moved()
