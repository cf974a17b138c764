"""Editors that write self-edits: the tenant's trained editor, its active model, the base, or an external endpoint."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from sealserve.engine.engine import AdapterFiles
from sealserve.learning.engine_client import EngineClient, Reply
from sealserve.learning.openai_client import OpenAIClient
from sealserve.prompts import Dialect
from sealserve.records.inference import Sampling
from sealserve.settings.learn import LearnSettings


class Editor(Protocol):
    """Answers one user turn at a time."""

    @property
    def dialect(self) -> Dialect:
        """How it is asked."""

    async def ask(self, prompt: str, *, sampling: Sampling, examples: Sequence[tuple[str, str]] = ()) -> Reply:
        """Return the answer; `examples` are turns with their answers that come before `prompt`.

        Raises: as `EngineClient.ask`; CouldNotMeasure when a teacher stays away or refuses.
        """


class EngineEditor:
    """The base model, or an adapter of it that is loaded."""

    def __init__(self, client: EngineClient, *, adapter: str | None) -> None:
        self._voice = client
        self._adapter = adapter

    @property
    def dialect(self) -> Dialect:
        """As `Editor.dialect`."""
        return self._voice.dialect

    async def ask(self, prompt: str, *, sampling: Sampling, examples: Sequence[tuple[str, str]] = ()) -> Reply:
        """As `Editor.ask`."""
        return await self._voice.ask(prompt, sampling=sampling, adapter=self._adapter, examples=examples)


@asynccontextmanager
async def editor_of(
    settings: LearnSettings, client: EngineClient, *, adapter: AdapterFiles | None
) -> AsyncIterator[Editor]:
    """Give the editor that the settings name; `adapter` is that of a trained editor or of the tenant, None: the base.

    Raises: BadAdapter, BadConfig (no key for the endpoint).
    """
    if settings.study.editor == "endpoint":
        async with OpenAIClient.of(settings.teacher) as teacher:
            yield teacher
    else:
        async with client.loaded(None if settings.study.editor == "base" else adapter) as name:
            yield EngineEditor(client, adapter=name)
