"""A version's manifest, replaced by one that says more of it: who approved it. Its artifact and number stay."""

from sqlalchemy import update

from sealserve.canonical import Json
from sealserve.records.versions import AdapterVersion
from sealserve.registry import audit
from sealserve.registry.sql import tables as t
from sealserve.registry.sql.database import Database
from sealserve.registry.versions import version_rows


class Endorsing:
    """The part of the registry's face that keeps a later manifest; `_database` is the registry's own."""

    _database: Database

    def endorse_version(
        self, tenant: str, version: int, *, manifest: Json, approvals: list[str], actor: str
    ) -> AdapterVersion:
        """Keep `manifest` and who approved in the version's lineage; no change if it says so. Raises: NotFound."""
        own = t.versions.c.tenant == tenant, t.versions.c.version == version
        with self._database.write() as tx:
            found = version_rows.get(tx, tenant, version)
            if found.lineage.get("approvals") == approvals:
                return found
            lineage = {**found.lineage, "manifest": manifest, "approvals": approvals}
            tx.run(update(t.versions).where(*own).values(lineage=lineage))
            audit.append(
                tx,
                "adapter.endorse",
                actor=actor,
                tenant=tenant,
                subject=version_rows.resource(tenant, version),
                details={"approvals": approvals},
            )
            return version_rows.get(tx, tenant, version)
