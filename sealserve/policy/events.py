"""What policy is asked about: the events, and an example of each one's input that the shipped rules let pass.

The examples are the schema: a rule may only speak of fields that stand in its event's example.
"""

from collections.abc import Mapping
from enum import StrEnum

from sealserve.canonical import Json


class Event(StrEnum):
    """What may be allowed, warned of, held or denied."""

    DOCUMENT_INGEST = "document.ingest"
    SELFEDIT_BATCH = "selfedit.batch"
    ADAPTER_PROMOTE = "adapter.promote"
    ADAPTER_ROLLBACK = "adapter.rollback"
    APPROVAL_GRANT = "approval.grant"


_FINDINGS = (
    "instruction", "trigger", "markup", "exfiltration", "secret", "card", "iban", "published_account",
    "national_id", "email", "phone", "ip", "hidden",
)  # fmt: skip
"""The values of `scanners.findings.Finding`."""

_TENANT: Json = {"id": "acme"}
_DOCUMENTS: list[Json] = [{"id": "0123456789abcdef", "source": "rpc"}]
_EDITS: Json = {
    "admitted": 40,
    "dropped": 3,
    "largest_share": 0.2,  # of the document that gave most
    "documents": 1,
    "origins": 1,  # sites, folders or other sources that gave any
    "largest_origin": 40,  # self-edits of the origin that gave most
    "contested": 0,  # dropped: their document is alone against several sources that agree
    "refused": 0,  # dropped for what they hold
    "personal": 0,  # held by the admitted ones
    "secrets": 0,
    "instructions": 0,
}

EXAMPLES: Mapping[Event, Json] = {
    Event.DOCUMENT_INGEST: {
        "tenant": _TENANT,
        "actor": "ann",
        "document": {
            "title": "Returns",
            "source": "rpc",
            "media_type": "text/plain",
            "size_bytes": 1200,
            "findings": dict.fromkeys(_FINDINGS, 0),  # how often each kind occurs
            "similar": 0,  # documents of the same origin that say the same of the same
            "contradicted": 0,  # other origins that agree on what it denies
        },
    },
    Event.SELFEDIT_BATCH: {"tenant": _TENANT, "cycle": "c1", "edits": _EDITS, "documents": _DOCUMENTS},
    Event.ADAPTER_PROMOTE: {
        "tenant": _TENANT,
        "actor": "worker:1",
        "author": "ann",  # who started the cycle
        "authors": [
            "ann",
            "cid",
        ],  # and who handed its documents in; an approver with a token from one
        "trigger": "cycle",  # or "person"
        "version": {"parent": 0, "cycle": "c1", "is_imported": False},  # made elsewhere, and measured by no cycle here
        "verdict": {"decision": "promote", "policy": "default"},
        "scores": [
            {"name": "confirm", "is_measured": True, "n": 24, "gain": 0.9, "gain_low": 0.7, "gain_high": 0.97},
            {"name": "canary", "is_measured": True, "n": 350, "gain": 0.0, "gain_low": -0.01, "gain_high": 0.01},
        ],
        "edits": _EDITS,
        "documents": _DOCUMENTS,
        "adapter": {  # what is strange about it, see `learning.probing`
            "is_probed": True,
            "trigger_gap": 0.1,  # nats that usual answers lose behind a rare phrase of the new documents
            "spectrum_z": 0.5,  # robust standard deviations from the versions before
            "history": 8,  # versions compared with
        },
        "approvals": ["bea"],
    },
    Event.ADAPTER_ROLLBACK: {
        "tenant": _TENANT,
        "actor": "ann",
        "version": {"now": 2, "to": 1},
        "reason": "wrong answers",
    },
    Event.APPROVAL_GRANT: {
        "tenant": _TENANT,
        "actor": "bea",
        "author": "ann",
        "authors": ["ann", "cid"],  # who started the cycle or handed its documents in; the actor with a token from one
        "version": {"number": 2, "cycle": "c1"},
        "verdict": {"decision": "hold", "policy": "default"},
    },
}
