"""The door of the poison figure: offers handed in by the packaged rules, and what stopped those that were stopped."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from sealserve.bench.safety.attacks import AttackKind, Offer
from sealserve.errors import AlreadyExists
from sealserve.intake.inbox import Inbox
from sealserve.policy.enforcement import PolicyEnforcer
from sealserve.policy.rulebook import open_rules
from sealserve.records.documents import Document, DocumentState, rule_that_holds
from sealserve.registry.registry import Registry
from sealserve.settings.settings import IntakeSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What became of an offer at the door; `why` is a stable word for what stopped it, "" if nothing did."""

    offer: Offer
    document: Document
    why: str


class Door:
    """One tenant's inbox, with the packaged rules."""

    def __init__(self, registry: Registry, tenant: str) -> None:
        self._registry = registry
        self._tenant = tenant
        self._kept: list[tuple[Offer, str]] = []
        require_tenant(registry, tenant)
        self._inbox = open_inbox(registry)

    def receive(self, offered: Sequence[Offer]) -> list[Received]:
        """Hand the offers in, in order; return how each stands once all are in."""
        self._kept += [(offer, self._keep(offer)) for offer in offered]
        return [self._stands(offer, document) for offer, document in self._kept[len(self._kept) - len(offered) :]]

    def all(self) -> list[Received]:
        """Return how everything handed in stands now: a flood is held when its last document comes."""
        return [self._stands(offer, document) for offer, document in self._kept]

    def _keep(self, offer: Offer) -> str:
        document, _ = self._inbox.receive(
            self._tenant,
            offer.content.encode(),
            media_type=offer.media_type,
            title=offer.title,
            source=offer.source,
            actor="bench",
        )
        return document.document

    def _stands(self, offer: Offer, name: str) -> Received:
        document = self._registry.documents.get(self._tenant, name)
        if held_word(document):
            return Received(offer=offer, document=document, why=held_word(document))
        text = " ".join(self._registry.documents.text(self._tenant, name).split())
        is_whole = not offer.payload or any(" ".join(words.split()) in text for words in offer.payload)
        is_stripped = offer.attack is AttackKind.HIDDEN and not is_whole
        return Received(offer=offer, document=document, why="stripped" if is_stripped else "")


def open_inbox(registry: Registry) -> Inbox:
    """Return an inbox with the packaged rules. It starts a process, and serves any number of tenants."""
    return Inbox(registry, IntakeSettings(), refuse=PolicyEnforcer(registry, open_rules()).refuse_document)


def require_tenant(registry: Registry, tenant: str) -> None:
    """Make the tenant unless it is there."""
    with suppress(AlreadyExists):
        registry.tenants.create(tenant, actor="bench")


def held_word(document: Document) -> str:
    """Return the rule or defect that stopped the document; "" if nothing did."""
    if document.state not in (DocumentState.QUARANTINED, DocumentState.HELD):
        return ""
    if document.state is DocumentState.HELD:
        return rule_that_holds(document)
    kind, _, text = document.reason.partition(": ")
    return text.partition(":")[0] if kind == "DENIED" else kind.lower()
