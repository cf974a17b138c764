"""How much a tenant keeps of questions with right answers, and reading about them without the questions."""

from typing import Any

from sqlalchemy import Column, Table, func, select

from sealserve.errors import QuotaExceeded
from sealserve.registry.sql.database import Transaction
from sealserve.registry.sql.evaluation_tables import canary_suites, evaluation_sets
from sealserve.settings.limits import LimitSettings

FULL_RETRY_SECONDS = 3600.0


def require_room(tx: Transaction, tenant: str, *, size_bytes: int, limits: LimitSettings) -> None:
    """Return if the tenant may keep another evaluation set or canary suite of that size. Raises: QuotaExceeded."""
    versions, kept_bytes = 0, 0
    for table in (evaluation_sets, canary_suites):
        size = func.coalesce(func.sum(table.c.size_bytes), 0)
        row = tx.row(select(func.count().label("n"), size.label("size")).where(table.c.tenant == tenant))
        assert row is not None
        versions, kept_bytes = versions + row.n, kept_bytes + int(row.size)
    subject = f"tenants/{tenant}"
    if versions >= limits.question_versions:
        text = f"{tenant} keeps {versions} versions of evaluation sets and canary suites and may have no more"
        advice = "; put many items into one suite, or ask the operator to raise limits.question_versions"
        raise QuotaExceeded(text + advice, retry_seconds=FULL_RETRY_SECONDS, subject=subject)
    if kept_bytes + size_bytes > limits.question_bytes:
        text = f"{tenant} keeps {kept_bytes} bytes of evaluation sets and canary suites; {size_bytes} more exceed the "
        advice = f"limit of {limits.question_bytes}: ask the operator to raise limits.question_bytes"
        raise QuotaExceeded(text + advice, retry_seconds=FULL_RETRY_SECONDS, subject=subject)


def without_items(table: Table) -> list[Column[Any]]:
    """Return the columns of `table` but the questions themselves, which may be megabytes."""
    return [column for column in table.c if column.name != "items"]
