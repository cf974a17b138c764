"""A client of an OpenAI-compatible endpoint: one chat completion per call, with a bounded time of retries.

It serves as the editor or as the judge. An editor's answers are self-edits like any others: they are data and pass the
same filter. An endpoint that stays unreachable makes the measurement impossible; it never yields a bad score.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import httpx

from sealserve.errors import CouldNotMeasure
from sealserve.grading.patterns import matches_whole
from sealserve.learning.engine_client import Reply, reply_of
from sealserve.prompts import Dialect
from sealserve.records.inference import Sampling
from sealserve.settings.learn import TeacherSettings

MAX_BODY_BYTES = 2**20
"""An answer larger than this is no study note."""

UNKNOWN_FIELD = (400, 422, 501)
"""How endpoints refuse a `response_format` that they do not know."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
CONNECTIONS = 16


class Away(Exception):
    """The endpoint cannot answer now; asking again may help. Raised and caught here alone."""


class OpenAIClient:
    """An `Editor` over HTTP. Follows no redirect: documents go where the settings say and nowhere else."""

    def __init__(self, client: httpx.AsyncClient, *, model: str, patience_seconds: float) -> None:
        self._client = client
        self._model = model
        self._patience_seconds = patience_seconds
        self._takes_schemas = True  # until it has refused one and then answered without it
        self._gate = asyncio.Semaphore(CONNECTIONS)

    @classmethod
    def of(cls, settings: TeacherSettings) -> Self:
        """Return the teacher that the settings name. Raises: BadConfig (its key's variable is not set)."""
        key = settings.key()
        client = httpx.AsyncClient(
            base_url=settings.url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=settings.timeout_seconds,
            limits=httpx.Limits(max_connections=CONNECTIONS),
            trust_env=False,
        )
        return cls(client, model=settings.model, patience_seconds=settings.patience_seconds)

    @property
    def dialect(self) -> Dialect:
        """Whatever is behind the endpoint, it was not trained on the embedded model's words."""
        return Dialect.GENERAL

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def ask(self, prompt: str, *, sampling: Sampling, examples: Sequence[tuple[str, str]] = ()) -> Reply:
        """Return the teacher's answer; `examples` are turns with their answers that come before `prompt`.

        A JSON schema goes to the endpoint, which may not enforce it. No field for choices and patterns is known to all
        endpoints, so they are checked here: an answer that is none of them is returned as no text.
        Raises: CouldNotMeasure (away for too long, or it refuses the request).
        """
        shown = [
            {"role": role, "content": text}
            for example in examples
            for role, text in zip(("user", "assistant"), example, strict=True)
        ]
        body = {
            "model": self._model,
            "messages": [*shown, {"role": "user", "content": prompt}],
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        if not sampling.json_schema or not self._takes_schemas:
            return _held_to(sampling, await self._patiently(body))
        try:
            return await self._patiently(body | {"response_format": _response_format(sampling.json_schema)})
        except _Refused:
            reply = await self._patiently(body)
            self._takes_schemas = False
            return reply

    async def _patiently(self, body: dict[str, Any]) -> Reply:
        deadline = time.monotonic() + self._patience_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async with self._gate:
                    return await self._once(body)
            except Away as error:
                if time.monotonic() + pause > deadline:
                    raise CouldNotMeasure(
                        f"the editor at learn.teacher.url did not answer for {self._patience_seconds:g} s: {error}; "
                        "add the documents again when it does, or set learn.study.editor to base"
                    ) from error
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _once(self, body: dict[str, Any]) -> Reply:
        try:
            async with self._client.stream("POST", "chat/completions", json=body) as response:
                content = await _bounded(response)
        except httpx.HTTPError as error:
            raise Away(type(error).__name__) from error
        if "response_format" in body and response.status_code in UNKNOWN_FIELD:
            raise _Refused(response.status_code)
        if response.status_code in (408, 409, 429) or response.status_code >= 500:
            raise Away(f"status {response.status_code}")
        if response.status_code != 200:
            raise _Refused(response.status_code)
        return _reply(httpx.Response(200, content=content))


class _Refused(CouldNotMeasure):
    """The endpoint will not answer this request, however often it is asked."""

    def __init__(self, status: int) -> None:
        super().__init__(
            f"the editor at learn.teacher.url refuses with status {status}; "
            "check learn.teacher.url, learn.teacher.model and learn.teacher.key_variable"
        )


def _response_format(schema: str) -> dict[str, Any]:
    """Return OpenAI's field; not "strict", which refuses schemas with optional properties and with bounds."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": json.loads(schema)}}


def _held_to(sampling: Sampling, reply: Reply) -> Reply:
    """Return the choice that `reply` is, or begins with; `reply` itself if no choices or pattern are asked for."""
    text = reply.text.strip().strip("\"'`*").strip()
    if sampling.choice:
        said = text.casefold()
        fitting = [member for member in sampling.choice if _begins_with(said, member.casefold())]
        return replace(reply, text=max(fitting, key=len, default=""))
    if sampling.regex:
        return replace(reply, text=text if matches_whole(text, sampling.regex) else "")
    return reply


def _begins_with(text: str, beginning: str) -> bool:
    return text.startswith(beginning) and not text[len(beginning) : len(beginning) + 1].isalnum()


async def _bounded(response: httpx.Response) -> bytes:
    content = b""
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > MAX_BODY_BYTES:
            raise Away(f"an answer above {MAX_BODY_BYTES} bytes")
    return content


def _reply(response: httpx.Response) -> Reply:
    try:
        choice = response.json()["choices"][0]
        text, finish = choice["message"]["content"], choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise Away("an answer that is not a chat completion") from error
    is_cut = finish == "length"
    if text is None and is_cut:  # it was cut in thoughts that are sent apart
        return Reply(text="", is_cut=True)
    if not isinstance(text, str):
        raise Away("an answer without text")
    return reply_of(text, is_cut=is_cut)
