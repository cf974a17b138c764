"""The manifest of a version: what it is and what made it, as a signed in-toto statement.

It covers everything in a version's row. A row that was changed outside the registry is found before the version is
loaded. The statement holds identifiers, digests and numbers, never text of a document.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from sealserve.canonical import Json, canonical_json
from sealserve.errors import BadAdapter, CorruptArtifact
from sealserve.proof.dsse import STATEMENT_TYPE, opened, sign, signers
from sealserve.proof.keys import KeyRing
from sealserve.records.cycles import SelfEdit
from sealserve.records.policy_decisions import PolicyDecision
from sealserve.records.versions import AdapterVersion, Lineage
from sealserve.registry.registry import Registry

PREDICATE_TYPE = "urn:sealserve:adapter-version:v1"
_FROM_LINEAGE = ("recipe", "scores", "verdict", "base_digest", "settings_digest", "imported")


class Seals:
    """Signs manifests and checks them, with one key ring. Safe to use from many threads."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    @classmethod
    def open(cls, data_directory: Path, registry: Registry) -> "Seals":
        """Use the signing key in `data_directory`/keys, made on the first call, and the keys that `registry` trusts.

        Raises: BadConfig, StorageFailed.
        """
        return cls(KeyRing(data_directory / "keys", registry))

    @property
    def keys(self) -> KeyRing:
        """The keys that sign and that are trusted."""
        return self._keys

    def seal(
        self,
        *,
        tenant: str,
        cycle: str,
        artifact_manifest: bytes,
        parent: int,
        documents: Sequence[tuple[str, str]],
        self_edits: Iterable[SelfEdit],
        rulings: Sequence[PolicyDecision],
        approvals: Sequence[str],
        lineage: Lineage,
    ) -> Json:
        """Return the signed manifest of the version that this publishes.

        `artifact_manifest` is the artifact store's (`ArtifactStore.manifest`), `documents` are (id, digest).
        Raises: BadConfig (keys), StorageFailed.
        """
        predicate = {
            "tenant": tenant,
            "cycle": cycle,
            "parent": parent,
            "documents": [{"document": document, "sha256": digest} for document, digest in documents],
            "self_edits_sha256": _digest_of(self_edits),
            "rulings": [{"ruling": one.ruling, "effect": one.effect.value, "bundle": one.bundle} for one in rulings],
            "approvals": list(approvals),
            **{name: value for name, value in lineage.to_json().items() if name in _FROM_LINEAGE},
        }
        statement = {
            "_type": STATEMENT_TYPE,
            "subject": subjects(artifact_manifest),
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate,
        }
        return sign(statement, self._keys.signing_key())

    def with_approvals(self, version: AdapterVersion, approvals: Sequence[str]) -> Json:
        """Return the version's manifest, signed anew, with who approved it. Raises: as `require`."""
        self.require(version)
        statement, _ = self.statement(_manifest_of(version))
        predicate = {**statement["predicate"], "approvals": list(approvals)}
        return sign({**statement, "predicate": predicate}, self._keys.signing_key())

    def statement(self, envelope: Json) -> tuple[Json, str]:
        """Return the statement in `envelope` and the id of its trusted signer.

        Raises: CorruptArtifact, UnknownSigner, StorageFailed.
        """
        statement, signer = opened(envelope, self._keys.trusted_keys(signers(envelope)))
        if statement.get("predicateType") != PREDICATE_TYPE:
            raise CorruptArtifact("the manifest is not that of an adapter version")
        return statement, signer

    def require(self, version: AdapterVersion) -> None:
        """Return if a trusted key has signed exactly what the version's row contains.

        Reads the registry's row of the signer's key, and no file. Raises: BadAdapter (`not_sealed`, `bad_seal`: it is
        not what was signed), UnknownSigner (nobody here can tell), StorageFailed.
        """
        envelope = _manifest_of(version)
        try:
            statement, _ = self.statement(envelope)
        except CorruptArtifact as error:
            raise BadAdapter(f"{error.message}; it is not loaded", defect="bad_seal") from error
        if odd := _differs(statement, version):
            raise BadAdapter(f"the signed manifest names another {odd}; it is not loaded", defect="bad_seal")


def subjects(artifact_manifest: bytes) -> list[Json]:
    """Return the subjects of a statement on an artifact with this manifest: the manifest, then its files."""
    files: Json = json.loads(artifact_manifest)
    whole = {"name": "manifest.json", "digest": {"sha256": hashlib.sha256(artifact_manifest).hexdigest()}}
    return [whole, *({"name": name, "digest": {"sha256": one["sha256"]}} for name, one in sorted(files.items()))]


def find_unknown_signers(registry: Registry, versions: Sequence[AdapterVersion]) -> dict[tuple[str, int], str]:
    """Return, by tenant and version, the key that signed it, of those versions that nobody here can verify.

    Raises: StorageFailed.
    """
    named: dict[tuple[str, int], tuple[str, ...]] = {}
    for version in versions:
        with suppress(CorruptArtifact):  # bad seals are found when they are loaded
            if version.lineage.manifest is not None:
                named[version.tenant, version.version] = signers(version.lineage.manifest)
    known = registry.trusted_keys.find(key for keys in named.values() for key in keys)
    return {name: keys[0] for name, keys in named.items() if not known.keys() & set(keys)}


def _manifest_of(version: AdapterVersion) -> Json:
    if version.lineage.manifest is None:
        raise BadAdapter("the version has no signed manifest; it is not loaded", defect="not_sealed")
    return version.lineage.manifest


def _differs(statement: Json, version: AdapterVersion) -> str:
    """Return the name of the first field in which row and statement differ; empty if there is none."""
    predicate: Json = statement["predicate"]
    row: Json = {
        "tenant": version.tenant,
        "cycle": version.cycle,
        "parent": version.parent,
        "documents": list(version.documents),
        "artifact": version.artifact,
        "approvals": list(version.lineage.approvals or ()),
        **{name: getattr(version.lineage, name) for name in _FROM_LINEAGE},
    }
    signed: Json = {
        **{name: predicate.get(name) for name in ("tenant", "cycle", "parent", "approvals", *_FROM_LINEAGE)},
        "documents": [one["document"] for one in predicate["documents"]],
        "artifact": statement["subject"][0]["digest"]["sha256"],
    }
    return next((name for name in row if canonical_json(row[name]) != canonical_json(signed[name])), "")


def _digest_of(edits: Iterable[SelfEdit]) -> str:
    hasher = hashlib.sha256()
    for edit in sorted((edit for edit in edits if edit.admitted), key=lambda edit: edit.self_edit):
        whole = [edit.self_edit, edit.document, edit.template.value, edit.seed, edit.text]
        hasher.update(hashlib.sha256(canonical_json(whole).encode()).digest())
    return hasher.hexdigest()
