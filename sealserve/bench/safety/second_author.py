"""The door's figures on 229 documents by an author who had not seen the rules: honest ones, and attacks of six kinds.

Half of them, by whole series, served to mend kinds ("tuned"); the other half was kept apart. A figure is reported of
both, and of the door before any of them was seen. The texts are packed: their made-up keys look like real ones.
"""

import gzip
import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath

from sealserve.bench.safety.poison_intake import held_word, open_inbox, require_tenant
from sealserve.canonical import Json
from sealserve.intake.inbox import Inbox
from sealserve.intake.media_types import SUFFIXES
from sealserve.registry.registry import Registry

_TEXTS = files("sealserve.bench.safety") / "texts" / "second_author.jsonl.gz"
_PAIR = "pair-"
"""How the names of series begin whose documents contradict each other: these come from a site of their own each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthoredText:
    """A document: `label` is "honest" or a kind of attack; those of one `series` come from one site."""

    half: str
    label: str
    language: str
    name: str
    series: str
    text: str


def read_authored() -> tuple[AuthoredText, ...]:
    """Return all documents, those of a series in order."""
    lines = gzip.decompress(_TEXTS.read_bytes()).decode().splitlines()
    return tuple(AuthoredText(**json.loads(line)) for line in lines)


def figures() -> Json:
    """Return, by half and label, how many were stopped; of honest ones: held.

    Hidden text that is found is taken out, which stops it.
    """
    found: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory(prefix="sealserve-poison-") as name:
        registry = Registry.open(f"sqlite:///{name}/registry.db", Path(name) / "artifacts")
        inbox = open_inbox(registry)
        try:
            for place, documents in enumerate(series_of_authored()):
                _, stopped = hand_in(registry, inbox, documents, place=place)
                for one, is_stopped in zip(documents, stopped, strict=True):
                    found[one.half][one.label].append(is_stopped)
        finally:
            registry.close()
    return {
        half: {label: f"{sum(stopped)} of {len(stopped)}" for label, stopped in sorted(labels.items())}
        for half, labels in sorted(found.items())
    }


def series_of_authored() -> tuple[list[AuthoredText], ...]:
    """Return the documents by series; one that belongs to none is a series of its own."""
    series: dict[str, list[AuthoredText]] = defaultdict(list)
    for place, one in enumerate(read_authored()):
        series[one.series or str(place)].append(one)
    return tuple(series.values())


def tenant_of(place: int) -> str:
    """Return the tenant of the series at `place`."""
    return f"author-{place}"


def hand_in(
    registry: Registry, inbox: Inbox, documents: Sequence[AuthoredText], *, place: int
) -> tuple[list[str], list[bool]]:
    """Hand one series in for a tenant of its own; return the ids, and which were stopped once all were in."""
    tenant = tenant_of(place)
    require_tenant(registry, tenant)
    names = []
    for number, one in enumerate(documents):
        site = f"{place}-{number}" if one.series.startswith(_PAIR) else str(place)
        document, _ = inbox.receive(
            tenant,
            one.text.encode(),
            media_type=SUFFIXES[PurePosixPath(one.name).suffix].value,
            source=f"https://site-{site}.example/{one.name}",
            actor="bench",
        )
        names.append(document.document)
    inputs = [decision.input["document"] for decision in registry.policy_decisions.page(tenant=tenant)]
    hidden = {about["id"] for about in inputs if about["findings"]["hidden"]}
    stopped = [
        bool(held_word(registry.documents.get(tenant, name))) or (one.label == "hidden" and name in hidden)
        for one, name in zip(documents, names, strict=True)
    ]
    return names, stopped
