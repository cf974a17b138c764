"""Removes what learning leaves on disk: files of cycles and rounds that have ended, and artifacts that nothing names.

A work directory holds text of documents, and an adapter holds what was learned from them, so unlearning a document
includes this clean-up. The files of a running cycle or round are left alone.
"""

import asyncio
import re
import shutil
from contextlib import suppress
from pathlib import Path

import structlog

from sealserve.errors import FailedPrecondition, NotFound, StorageFailed
from sealserve.learning.context import LearnContext
from sealserve.learning.editor.rounds import LEASE_SECONDS
from sealserve.learning.editor.store import settle
from sealserve.learning.leases import hold_named
from sealserve.records.cycles import CycleState
from sealserve.telemetry.names import LogEvent

_LOG = structlog.get_logger(__name__)
_CYCLE = re.compile(r"[0-9a-f]{20}")
_EDITOR = "editor-"
_BUSY = FailedPrecondition("a round is running", reason="ROUND_RUNNING")

UNNAMED_SECONDS = 24 * 3600.0
"""Longer than any training: adapters that nothing names for so long were not about to be named."""


async def tidy(context: LearnContext) -> None:
    """Remove work directories of cycles and rounds that do not run, and editors that learned what is forgotten now.

    Raises: StorageFailed (the registry cannot be read).
    """
    root = context.work_directory("any").parent
    for path in await asyncio.to_thread(_list_paths, root):
        if path.name.startswith(_EDITOR):
            await _remove_unless_played(context, path)
        elif _CYCLE.fullmatch(path.name):
            await asyncio.to_thread(_remove_unless_open, context, path)
    for tenant in await asyncio.to_thread(context.registry.editors.tenants):
        try:
            await asyncio.to_thread(settle, context, tenant)
        except StorageFailed as error:
            _LOG.warning(LogEvent.EDITOR_NOT_SETTLED, tenant=tenant, error=error.message)


def sweep(context: LearnContext) -> int:
    """Delete artifacts that nothing has named for a day, editors included; return how many. Old rows go, too.

    Raises: StorageFailed.
    """
    keep = context.settings.registry
    context.registry.sweep_rows(request_days=keep.request_days, decision_days=keep.decision_days)
    return context.registry.artifact_gc.sweep_unnamed(seconds=UNNAMED_SECONDS)


def _list_paths(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def _remove_unless_open(context: LearnContext, path: Path) -> None:
    with suppress(NotFound):  # of another registry's life
        if context.registry.cycles.by_id(path.name).state in (CycleState.PENDING, CycleState.RUNNING):
            return
    shutil.rmtree(path, ignore_errors=True)


async def _remove_unless_played(context: LearnContext, path: Path) -> None:
    name = f"editor:{path.name.removeprefix(_EDITOR)}"
    with suppress(FailedPrecondition):
        async with hold_named(context.registry, name, lease_seconds=LEASE_SECONDS, busy=_BUSY):
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
