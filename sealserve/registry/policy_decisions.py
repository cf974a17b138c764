"""Decisions by written rules, kept with all that explains and repeats them. Decides nothing."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, select

from sealserve.errors import NotFound
from sealserve.records.policy_decisions import PolicyDecision, RuleEffect, RuleResult
from sealserve.registry import audit
from sealserve.registry.cycles import cycle_rows
from sealserve.registry.documents import document_rows
from sealserve.registry.sql.database import Database, Transaction
from sealserve.registry.sql.tables import audit as audit_table
from sealserve.registry.sql.tables import cycles, rulings

ACTOR = "policy"


class PolicyDecisions:
    """Decisions of written policy, and the authors of cycles and documents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, ruling: PolicyDecision) -> None:
        """Keep `ruling`; a denial or hold is also written to the audit trail."""
        with self._database.write() as tx:
            keep(tx, ruling)

    def get(self, ruling: str) -> PolicyDecision:
        """Return the decision of that id. Raises: NotFound."""
        with self._database.read() as tx:
            row = tx.row(select(rulings).where(rulings.c.ruling == ruling))
        if row is None:
            raise NotFound(ruling, kind="decision")
        return _record(row)

    def page(
        self, *, tenant: str | None = None, subject: str | None = None, last: int = 100
    ) -> tuple[PolicyDecision, ...]:
        """Return the newest `last` decisions, newest first."""
        query = select(rulings).order_by(rulings.c.sequence.desc()).limit(last)
        if tenant is not None:
            query = query.where(rulings.c.tenant == tenant)
        if subject is not None:
            query = query.where(rulings.c.subject == subject)
        with self._database.read() as tx:
            return tuple(map(_record, tx.rows(query)))

    def cycle_author(self, cycle: str) -> str:
        """Return who started the cycle; empty when its audit row does not say."""
        with self._database.read() as tx:
            owner = tx.row(select(cycles.c.tenant).where(cycles.c.cycle == cycle))
            if owner is None:
                return ""
            row = tx.row(
                select(audit_table.c.actor).where(
                    audit_table.c.tenant == owner.tenant,
                    audit_table.c.subject == cycle_rows.resource(owner.tenant, cycle),
                    audit_table.c.action.in_(("cycle.start", "cycle.import")),
                )
            )
        return row.actor if row else ""

    def cycle_authors(self, tenant: str, cycle: str) -> tuple[str, ...]:
        """Return who started the cycle, then who submitted its documents. Raises: NotFound."""
        with self._database.read() as tx:
            return cycle_rows.authors_of(tx, tenant, cycle)

    def document_authors(self, tenant: str, document: str) -> tuple[str, ...]:
        """Return who handed the document in, each time it was. Raises: NotFound."""
        with self._database.read() as tx:
            document_rows.get(tx, tenant, document)
            return cycle_rows.authors_among(tx, tenant, [document_rows.resource(tenant, document)])


def keep(tx: Transaction, ruling: PolicyDecision) -> None:
    """Store `ruling` as part of `tx`; no change if it is stored already."""
    if tx.row(select(rulings.c.ruling).where(rulings.c.ruling == ruling.ruling)) is not None:
        return
    tx.insert(rulings, [{**asdict(ruling), "results": [asdict(result) for result in ruling.results]}])
    if ruling.effect in (RuleEffect.DENY, RuleEffect.HOLD):
        audit.append(
            tx,
            f"policy.{ruling.effect.value}",
            actor=ACTOR,
            tenant=ruling.tenant,
            subject=ruling.subject,
            details={
                "ruling": ruling.ruling,
                "event": ruling.event,
                "bundle": ruling.bundle,
                "rules": [one.rule for one in ruling.results if one.effect is not RuleEffect.ALLOW],
            },
        )


def _record(row: Row[Any]) -> PolicyDecision:
    tree = {name: value for name, value in row._mapping.items() if name != "sequence"}
    results = tuple(RuleResult(**{**one, "effect": RuleEffect(one["effect"])}) for one in tree["results"])
    return PolicyDecision(**{**tree, "effect": RuleEffect(tree["effect"]), "results": results})
