"""The data of the pages, fetched from the server with the viewer's token."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sealserve.client import AsyncClient
from sealserve.records.approvals import Approval, ApprovalState
from sealserve.records.cycles import SelfEdit
from sealserve.records.documents import Document, DocumentState
from sealserve.records.reports import CycleReport
from sealserve.records.self_edit_diff import Trials, changes

OPEN = (ApprovalState.WAITING, ApprovalState.LATE)
DECIDED_SHOWN = 10
DOCUMENTS_SHOWN = 50
"""Held documents of one tenant that are listed at most: a flood may hold thousands."""

MAX_TEXT_CHARACTERS = 20_000
"""Limit for a document on the page; `sealserve doc show --text` prints all of it."""

_AT_ONCE = 8

T = TypeVar("T")


class Connect(Protocol):
    """Opens a client of the server with a given token."""

    def __call__(self, secret: str) -> AbstractAsyncContextManager[AsyncClient]:
        """Return a client that sends `secret`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """The versions and documents that await a decision, newest first, and the latest decisions on versions.

    `is_cut`: a tenant has more held documents than DOCUMENTS_SHOWN.
    """

    waiting: tuple[Approval, ...]
    documents: tuple[Document, ...]
    is_cut: bool
    decided: tuple[Approval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A document; `text` is "" if it is no longer stored."""

    document: Document
    text: str
    is_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A held version with everything needed to decide. `etag` is the tenant's, and binds the decision to this state."""

    approval: Approval
    etag: str
    report: CycleReport
    papers: tuple[Paper, ...]
    trials: Trials


async def inbox_of(client: AsyncClient) -> Inbox:
    """Return the held versions and documents of every tenant that the client's token may see."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def held_documents(tenant: str) -> list[Document]:
        async with limit:
            return await _first(client.documents(tenant, state=DocumentState.HELD), DOCUMENTS_SHOWN + 1)

    async def held(tenant: str) -> list[Approval]:
        async with limit:
            return [one async for one in client.approvals(tenant)]

    tenants = [one.tenant async for one in client.tenants()]
    every = [one for found in await asyncio.gather(*map(held, tenants)) for one in found]
    waiting = sorted((one for one in every if one.state in OPEN), key=lambda one: one.held_at, reverse=True)
    listed = await asyncio.gather(*map(held_documents, tenants))
    documents = [document for found in listed for document in found[:DOCUMENTS_SHOWN]]
    decided = sorted((one for one in every if one.opinions and one.state not in OPEN), key=_decided, reverse=True)
    return Inbox(
        waiting=tuple(waiting),
        documents=tuple(sorted(documents, key=lambda one: one.created_at, reverse=True)),
        is_cut=any(len(found) > DOCUMENTS_SHOWN for found in listed),
        decided=tuple(decided[:DECIDED_SHOWN]),
    )


async def held_version(client: AsyncClient, tenant: str, version: int) -> Held:
    """Return a held version. Raises: NotFound, also for a version that was never held."""
    approval = await client.approval(tenant, version)
    etag = (await client.tenant(tenant)).etag
    report = await client.cycle(tenant, approval.cycle)
    papers = [await paper_of(client, tenant, one) for one in report.documents]
    return Held(approval=approval, etag=etag, report=report, papers=tuple(papers), trials=await _trials(client, report))


async def paper_of(client: AsyncClient, tenant: str, name: str) -> Paper:
    """Return a document with its text. Raises: NotFound."""
    document = await client.document(tenant, name)
    is_gone = document.state is DocumentState.FORGOTTEN
    text = "" if is_gone else await client.document_text(tenant, name)
    return Paper(document=document, text=text[:MAX_TEXT_CHARACTERS], is_cut=len(text) > MAX_TEXT_CHARACTERS)


async def _trials(client: AsyncClient, report: CycleReport) -> Trials:
    tenant, studies = report.cycle.tenant, report.earlier_studies
    written = await _all(client.self_edits(tenant, report.cycle.cycle))
    earlier: list[SelfEdit] = []
    for cycle in dict.fromkeys(study.cycle for study in studies):
        earlier += await _all(client.self_edits(tenant, cycle))
    return Trials(edits=tuple(written), changes=changes(studies, written, earlier))


async def _first(items: AsyncIterator[T], most: int) -> list[T]:
    found: list[T] = []
    async for item in items:
        found.append(item)
        if len(found) == most:
            break
    return found


async def _all(items: AsyncIterator[T]) -> Sequence[T]:
    return [item async for item in items]


def _decided(approval: Approval) -> float:
    return approval.opinions[-1].given_at.timestamp()
