"""The calls of the API as data, one module a noun. Both clients send the same calls."""

from sealserve.client.calls import (
    adapters,
    approvals,
    audit,
    canaries,
    cycles,
    documents,
    feedback,
    inference,
    question_sets,
    rollouts,
    sources,
    tenants,
    tokens,
)

__all__ = [
    "adapters",
    "approvals",
    "audit",
    "canaries",
    "cycles",
    "documents",
    "feedback",
    "inference",
    "question_sets",
    "rollouts",
    "sources",
    "tenants",
    "tokens",
]
