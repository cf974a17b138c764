"""Who writes self-edits: the tenant's trained editor, its active model, the base, or a teacher behind an endpoint.

All are asked in the same way. Knows nothing of what is asked.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from sealserve.engine.engine import AdapterFiles
from sealserve.learning.engine_client import Reply, Voice
from sealserve.learning.openai_client import Teacher
from sealserve.records.inference import Sampling
from sealserve.settings.learn import LearnSettings


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
async def editor_of(settings: LearnSettings, voice: Voice, *, adapter: AdapterFiles | None) -> AsyncIterator[Editor]:
    """Give the editor that the settings name; `adapter` is that of a trained editor or of the tenant, None: the base.

    Raises: BadAdapter, BadConfig (no key for the endpoint).
    """
    if settings.editor == "endpoint":
        async with Teacher.of(settings) as teacher:
            yield teacher
    else:
        async with voice.loaded(None if settings.editor == "base" else adapter) as name:
            yield EngineEditor(voice, adapter=name)
