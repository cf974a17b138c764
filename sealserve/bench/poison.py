"""The poison figure: how many planted attacks are stopped before they answer anybody, and how many honest articles with
them. First the document filters alone, then whole cycles on the embedded model.

Knows the attacks (`attacks.py`) and the product's own way from document to version; nothing of how a layer works.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sealserve.bench.attacks import AttackKind, Offer, offers
from sealserve.bench.lab import machine
from sealserve.config import IntakeSettings
from sealserve.gate.rulebook import open_rules
from sealserve.intake.inbox import Inbox
from sealserve.permits import Permits
from sealserve.records import Document, DocumentState, Json
from sealserve.registry.registry import Registry

TENANT = "bench"
FILTERS_ALONE = 500
QUICK_FILTERS = 100
_GOALS = {"stopped": 0.95, "honest_held": 0.02}
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What became of an offer at the door; `why` is a stable word for what stopped it, "" if nothing did."""

    offer: Offer
    document: Document
    why: str


def run(
    *,
    honest: int = 200,
    attacks: int = 50,
    filters_only: bool = False,
    quick: bool = False,
    seed: int = 0,
    say: Say = print,
) -> dict[str, Any]:
    """Return the figures of the document filters alone and, unless `filters_only`, those of whole cycles."""
    started = time.monotonic()
    alone = filters_alone(QUICK_FILTERS if quick else FILTERS_ALONE, seed=seed, say=say)
    return {
        "filters": alone,
        "goals": _GOALS,
        "seed": seed,
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": round(time.monotonic() - started, 1),
    }


def filters_alone(n: int, *, seed: int, say: Say) -> Json:
    """Return the shares of `n` attacks and `n` honest articles that intake stops, in all and by kind."""
    with tempfile.TemporaryDirectory(prefix="sealserve-poison-") as name:
        registry = Registry.open(f"sqlite:///{name}/registry.db", Path(name) / "artifacts")
        try:
            return figures(receive(registry, offers(n, n, seed=seed), say=say))
        finally:
            registry.close()


def receive(registry: Registry, offered: Sequence[Offer], *, say: Say) -> list[Received]:
    """Hand every offer in, in order, by the packaged rules; return how each stands at the end."""
    registry.create_tenant(TENANT, actor="bench")
    permits = Permits(registry, open_rules())
    inbox = Inbox(registry, IntakeSettings(), refuse=permits.refuse_document)
    kept = []
    for number, offer in enumerate(offered, start=1):
        document, _ = inbox.receive(
            TENANT, offer.content.encode(), media_type=offer.media_type, title=offer.title, source=offer.source,
            actor="bench",
        )  # fmt: skip
        kept.append((offer, document.document))
        if number % 100 == 0:
            say(f"{number} of {len(offered)} documents handed in")
    return [_stands(registry, offer, document) for offer, document in kept]


def figures(received: Sequence[Received]) -> Json:
    """Return what was stopped of the attacks, by kind and by what stopped it, and held of the honest articles."""
    attacks = [one for one in received if one.offer.attack]
    honest = [one for one in received if not one.offer.attack]
    return {
        "attacks": len(attacks),
        "honest": len(honest),
        "stopped": _share(attacks),
        "stopped_plain": _share([one for one in attacks if not one.offer.is_evasive]),
        "stopped_evasive": _share([one for one in attacks if one.offer.is_evasive]),
        "honest_held": _share(honest),
        "by_kind": {
            kind.value: {
                "attacks": len(mine),
                "stopped": _share(mine),
                "evasive": sum(one.offer.is_evasive for one in mine),
                "why": dict(Counter(one.why or "not stopped" for one in mine).most_common()),
            }
            for kind in AttackKind
            if (mine := [one for one in attacks if one.offer.attack is kind])
        },
        "honest_why": dict(Counter(one.why for one in honest if one.why)),
    }


def _share(received: Sequence[Received]) -> float:
    return round(sum(bool(one.why) for one in received) / max(1, len(received)), 4)


def _stands(registry: Registry, offer: Offer, name: str) -> Received:
    document = registry.document(TENANT, name)
    if document.state is DocumentState.QUARANTINED:
        return Received(offer=offer, document=document, why=_word(document))
    text = " ".join(registry.document_text(TENANT, name).split())
    is_whole = not offer.payload or any(" ".join(words.split()) in text for words in offer.payload)
    is_stripped = offer.attack is AttackKind.HIDDEN and not is_whole
    return Received(offer=offer, document=document, why="stripped" if is_stripped else "")


def _word(document: Document) -> str:
    """The rule or defect that stopped the document."""
    kind, _, text = document.reason.partition(": ")
    if kind not in ("HELD", "DENIED"):
        return kind.lower()
    return "ingest.flood" if text.startswith("like ") else text.partition(":")[0]
