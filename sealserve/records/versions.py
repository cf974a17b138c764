"""Adapter versions, their activations, and what replicas observe."""

from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from sealserve.canonical import Json

BASE_VERSION = 0
"""The version number of "no adapter": the base model itself. Published versions count from 1 in each tenant."""


class VersionState(StrEnum):
    """The state of an adapter version. Which version is active is not a state: it is the tenant's `desired_version`."""

    READY = "ready"
    QUARANTINED = "quarantined"  # never loaded again; `reason` says why


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What made a version. None where it was not recorded: the keys of its JSON form are exactly those that were.

    Nested values stay JSON trees, because the signed manifest repeats them as they were written.
    """

    recipe: Json | None = None  # `records.candidates.Recipe`
    candidate: int | None = None  # index in its cycle
    self_edits: tuple[str, ...] | None = None  # ids of the admitted ones
    scores: Json | None = None  # `records.score_json.scorecard_json`
    verdict: Json | None = None  # `records.score_json.verdict_json`
    anomalies: Json | None = None  # `records.step_outputs.Anomalies`
    imported: Json | None = None  # where an adapter of another installation came from
    base_digest: str | None = None
    settings_digest: str | None = None
    traceparent: str | None = None  # of the cycle's trace
    reward: str | None = None  # that chose the winner
    manifest: Json | None = None  # the signed envelope, `proof.manifest`
    approvals: tuple[str, ...] | None = None  # who approved it, once countersigned
    others: Json = field(default_factory=dict)  # keys that another release wrote

    @classmethod
    def from_json(cls, tree: Json) -> Self:
        """Return the lineage stored as `tree`."""
        values: dict[str, Any] = {
            name: tuple(value) if name in _LISTS else value for name, value in tree.items() if name in _KEYS
        }
        return cls(**values, others={name: value for name, value in tree.items() if name not in _KEYS})

    def to_json(self) -> Json:
        """Return the JSON form; `from_json(tree).to_json()` equals `tree`."""
        known = {name: getattr(self, name) for name in _KEYS}
        present = {name: value for name, value in known.items() if value is not None}
        return {name: list(value) if name in _LISTS else value for name, value in present.items()} | dict(self.others)


_LISTS = ("self_edits", "approvals")
_KEYS = tuple(each.name for each in fields(Lineage) if each.name != "others")


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
    lineage: Lineage
    created_at: datetime
    is_loaded: bool = False  # in the server that was asked; the registry does not know
    stays_loaded: bool = False  # there, whoever else is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """One move of a tenant's pointer, forwards or back, or of the traffic beside it."""

    tenant: str
    activation: int  # counts from 1 in each tenant
    version: int
    previous: int
    kind: str  # "promote", "rollback", "traffic", "suspend" or "resume"
    actor: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """What a replica gives a tenant's requests to, and the activation that said so."""

    tenant: str
    activation: int
    versions: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Which version one serving replica reports to serve."""

    replica: str
    tenant: str
    version: int
    activation: int
    observed_at: datetime
