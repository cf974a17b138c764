"""Where things come from and where they went: from an answer, a version or a document, both ways. Read-only."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from sealserve.canonical import Json
from sealserve.errors import InvalidArgument, NotFound
from sealserve.records.pages import Page
from sealserve.records.versions import BASE_VERSION, AdapterVersion
from sealserve.registry.registry import Registry

_VERSION = re.compile(r"(?:tenants/)?([^/]+)/(?:adapters/)?v?([0-9]+)")
_DOCUMENT = re.compile(r"(?:tenants/)?([^/]+)/(?:documents/)?([0-9a-f]{16})")
PAGE = 500
T = TypeVar("T")
_SHOWN = ("recipe", "scores", "verdict", "base_digest", "settings_digest", "imported")


def trace(registry: Registry, what: str) -> Json:
    """Return the lineage of `what`: "acme/v3", "acme/<document>", a resource name, or the request id of an answer.

    Raises: NotFound, InvalidArgument.
    """
    if found := _DOCUMENT.fullmatch(what):
        return of_document(registry, found[1], found[2])
    if found := _VERSION.fullmatch(what):
        return of_version(registry, found[1], int(found[2]))
    if "/" in what:
        raise InvalidArgument(f"{what!r} is none of acme/v3, acme/<document> or an answer's id", field="what")
    return of_answer(registry, what)


def of_answer(registry: Registry, answer: str) -> Json:
    """Return the version that gave the answer, with its lineage and the feedback on the answer. Raises: NotFound."""
    opinion = registry.feedback.on_answer(answer)
    about: Json = {"answer": answer} | ({"thumb": opinion.opinion.thumb.value} if opinion else {})
    try:
        given = registry.answers.get(answer)
    except NotFound:
        if opinion is None:
            raise
        return about | of_version(registry, opinion.tenant, opinion.opinion.version)
    about |= {"answered_at": given.answered_at.isoformat(), "activation": given.activation}
    return about | of_version(registry, given.tenant, given.version)


def of_version(registry: Registry, tenant: str, version: int) -> Json:
    """Return what made the version, and what was made of it. Raises: NotFound."""
    owner = registry.tenants.get(tenant)
    if version == BASE_VERSION:
        return {
            "tenant": tenant,
            "version": BASE_VERSION,
            "made_of": "the base model",
            "is_active": owner.desired_version == version,
        }
    found = registry.versions.get(tenant, version)
    everyone = _versions(registry, tenant)
    edits = registry.cycles.self_edits(found.cycle)
    return {
        "tenant": tenant,
        "version": version,
        "is_active": owner.desired_version == version,
        "state": found.state.value,
        "artifact": found.artifact,
        "cycle": found.cycle,
        "author": registry.policy_decisions.cycle_author(found.cycle),
        "parent": found.parent,
        "documents": [_document(registry, tenant, document) for document in found.documents],
        "self_edits": {"admitted": sum(e.admitted for e in edits), "dropped": sum(not e.admitted for e in edits)},
        "rulings": [
            {"ruling": one.ruling, "event": one.event, "effect": one.effect.value}
            for one in registry.policy_decisions.page(tenant=tenant, subject=found.cycle)
        ],
        "approvals": _approvals(registry, tenant, version),
        "is_sealed": found.lineage.manifest is not None,
        **{name: value for name, value in found.lineage.to_json().items() if name in _SHOWN},
        "children": [one.version for one in everyone if one.parent == version],
        "activations": _activations(registry, tenant, version),
    }


def of_document(registry: Registry, tenant: str, document: str) -> Json:
    """Return which versions learned the document and which of them answers now. Raises: NotFound."""
    active = registry.tenants.get(tenant).desired_version
    holding = [one for one in _versions(registry, tenant) if document in one.documents]
    return {
        "tenant": tenant,
        **_document(registry, tenant, document),
        "versions": [
            {"version": one.version, "state": one.state.value, "cycle": one.cycle, "is_active": one.version == active}
            for one in holding
        ],
        "self_edits": sum(
            edit.document == document and edit.admitted
            for cycle in {one.cycle for one in holding}
            for edit in registry.cycles.self_edits(cycle)
        ),
        "answers": "in use now" if any(one.version == active for one in holding) else "not in use",
    }


def _document(registry: Registry, tenant: str, document: str) -> Json:
    found = registry.documents.get(tenant, document)
    about = {"document": document, "title": found.title, "source": found.source}
    return {**about, "sha256": found.digest, "state": found.state.value}


def _approvals(registry: Registry, tenant: str, version: int) -> list[Json]:
    held = [one for one in registry.approvals.page(tenant) if one.version == version]
    return [
        {"actor": opinion.actor, "approves": opinion.approves, "reason": opinion.reason}
        for one in held
        for opinion in one.opinions
    ]


def _versions(registry: Registry, tenant: str) -> list[AdapterVersion]:
    return list(_every(partial(registry.versions.page, tenant)))


def _activations(registry: Registry, tenant: str, version: int) -> list[Json]:
    return [
        {"activation": one.activation, "kind": one.kind, "actor": one.actor, "at": one.created_at.isoformat()}
        for one in _every(partial(registry.versions.activations, tenant))
        if one.version == version
    ]


def _every(list_page: Callable[..., Page[T]]) -> Iterator[T]:
    """Yield the items of every page."""
    token = ""
    while True:
        page = list_page(page_size=PAGE, page_token=token)
        yield from page.items
        token = page.next_page_token
        if not token:
            return
