"""Who writes self-edits: the base model, the tenant's active one, or a teacher behind an OpenAI-compatible endpoint.

All are asked in the same way. Knows nothing of what is asked.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from sealserve.config import LearnSettings
from sealserve.engine.engine import AdapterFiles, Sampling
from sealserve.learning.teacher import Teacher
from sealserve.learning.voice import Reply, Voice


class Editor(Protocol):
    """Answers one user turn at a time."""

    async def ask(self, prompt: str, *, sampling: Sampling) -> Reply:
        """Return the answer. Raises: as `Voice.ask`; CouldNotMeasure when a teacher stays away or refuses."""


class EngineEditor:
    """The base model, or an adapter of it that is loaded."""

    def __init__(self, voice: Voice, *, adapter: str | None) -> None:
        self._voice = voice
        self._adapter = adapter

    async def ask(self, prompt: str, *, sampling: Sampling) -> Reply:
        """As `Editor.ask`."""
        return await self._voice.ask(prompt, sampling=sampling, adapter=self._adapter)


@asynccontextmanager
async def editor_of(settings: LearnSettings, voice: Voice, *, incumbent: AdapterFiles | None) -> AsyncIterator[Editor]:
    """Give the editor that the settings name; a tenant without an adapter is edited by the base.

    Raises: BadAdapter, BadConfig (no key for the endpoint).
    """
    if settings.editor == "endpoint":
        async with Teacher.of(settings) as teacher:
            yield teacher
    else:
        async with voice.loaded(incumbent if settings.editor == "tenant" else None) as adapter:
            yield EngineEditor(voice, adapter=adapter)
