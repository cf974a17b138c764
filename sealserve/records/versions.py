"""Adapter versions, their activations, and what replicas observe."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sealserve.canonical import Json

BASE_VERSION = 0
"""The version number of "no adapter": the base model itself. Published versions count from 1 in each tenant."""


class VersionState(StrEnum):
    """Where an adapter version stands; which one is active is the tenant's pointer, not a state."""

    READY = "ready"
    QUARANTINED = "quarantined"  # never loaded again; `reason` says why


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterVersion:
    """One immutable, content-addressed adapter of one tenant."""

    tenant: str
    version: int
    artifact: str  # manifest digest; the directory in the artifact store
    engine_name: str  # never used twice: "<tenant>@v<version>-<artifact[:12]>"
    state: VersionState
    reason: str
    cycle: str
    parent: int  # version it was measured against
    documents: tuple[str, ...]  # every document it holds, earlier ones included
    lineage: Json  # recipe, self-edit ids, scores, verdict, base digest, config hash
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """One move of a tenant's pointer, forwards or back, or of the traffic beside it."""

    tenant: str
    activation: int  # counts from 1 in each tenant
    version: int
    previous: int
    kind: str  # "promote", "rollback" or "traffic"
    actor: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What one serving replica says it answers with."""

    replica: str
    tenant: str
    version: int
    activation: int
    observed_at: datetime
