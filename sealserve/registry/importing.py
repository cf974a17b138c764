"""Taking in an adapter that another installation made: a version that is held, and no document is learned by it."""

from collections.abc import Callable

from sqlalchemy import update

from sealserve.records import AdapterVersion, CycleState, Json
from sealserve.registry import audit, cycles, tenants, versions
from sealserve.registry import tables as t
from sealserve.registry.artifacts import ArtifactStore
from sealserve.registry.database import Database
from sealserve.registry.effects import Publish

TRIGGER = "import"


class Importing:
    """The part of the registry's face that imports; `_database` and `artifacts` are the registry's own."""

    _database: Database
    artifacts: ArtifactStore

    def import_version(
        self, tenant: str, *, artifact: str, lineage_of: Callable[[str], Json], actor: str
    ) -> AdapterVersion:
        """Make the tenant's next version of `artifact`, HELD, with a cycle of its own that nobody works on.

        `lineage_of` makes the lineage for the cycle's id; it runs inside the transaction, so it must be quick.
        Raises: NotFound (tenant, artifact), CorruptArtifact, FailedPrecondition (a cycle is open).
        """
        self.artifacts.directory(artifact)
        with self._database.write() as tx:
            owner = tenants.get(tx, tenant)
            cycles.require_none_open(tx, tenant)
            cycle = cycles.open_for(tx, tenant, (), trigger=TRIGGER, actor=actor)
            lineage = lineage_of(cycle.cycle)
            publish = Publish(
                artifact=artifact, parent=0, documents=(), lineage=lineage, promote=False, expected_etag=owner.etag
            )
            made = versions.create(tx, tenant, publish=publish, cycle=cycle.cycle, actor=actor)
            reason = "imported: it answers once a cycle of this installation has measured it"
            ended = {"state": CycleState.HELD, "reason": reason, "version": made.version, "updated_at": tx.now}
            tx.run(update(t.cycles).where(t.cycles.c.cycle == cycle.cycle).values(**ended))
            audit.append(
                tx,
                "adapter.import",
                actor=actor,
                tenant=tenant,
                subject=versions.resource(tenant, made.version),
                details={"artifact": artifact, "from": lineage.get("imported", {})},
            )
            return made
