"""The retention set: everyday requests with the base model's own answers, trained on beside new documents."""

import asyncio
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import structlog

from sealserve.atomic_files import replace_file
from sealserve.canaries.probes import Probes
from sealserve.learning.engine_client import EngineClient
from sealserve.prompts import UNKNOWN_ANSWER, Dialect
from sealserve.records.inference import Sampling
from sealserve.records.step_outputs import ReferenceAnswer
from sealserve.telemetry.names import LogEvent

ANSWER_TOKENS = 48


class RetentionSets:
    """The retention set of each base model that was asked; kept in files where there is a `directory` for them."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._known: dict[str, tuple[ReferenceAnswer, ...]] = {}
        self._log = structlog.get_logger("sealserve.learn")

    async def of(self, client: EngineClient, probes: Probes) -> tuple[ReferenceAnswer, ...]:
        """Return the set of the base model that is served now; asks it what it was not asked before."""
        base = await client.base_digest()
        if base not in self._known:
            asked = _digest_of(probes)
            found = await asyncio.to_thread(self._read, base, asked)
            if found is None:
                found = await _ask_base(client, probes)
                await asyncio.to_thread(self._write, base, asked, found)
            self._known[base] = found
        return self._known[base]

    def _path(self, base: str) -> Path | None:
        return self._directory / f"{base}.retention.json" if self._directory is not None else None

    def _read(self, base: str, asked: str) -> tuple[ReferenceAnswer, ...] | None:
        """Return what is kept; None if nothing is, or what other requests gave, or nothing that can be read."""
        path = self._path(base)
        try:
            kept = json.loads(path.read_bytes()) if path is not None else {}
            return tuple(ReferenceAnswer(**one) for one in kept["answers"]) if kept.get("asked") == asked else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def _write(self, base: str, asked: str, found: tuple[ReferenceAnswer, ...]) -> None:
        """Keep the set; where that is impossible, the base is asked again after the next start."""
        path = self._path(base)
        if path is None:
            return
        kept = {"asked": asked, "answers": [asdict(one) for one in found]}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, (json.dumps(kept, indent=1) + "\n").encode())
        except OSError as error:
            self._log.warning(LogEvent.RETENTION_SET_NOT_STORED, path=str(path), error=error.strerror)


async def _ask_base(client: EngineClient, probes: Probes) -> tuple[ReferenceAnswer, ...]:
    """Return requests with the base's answers, and unanswerable questions with "I don't know".

    Any instruct model abstains in its own words, which training along others' would not keep: it answers both kinds.
    """
    sampling = Sampling(max_tokens=ANSWER_TOKENS)
    is_general = client.dialect is Dialect.GENERAL
    asked = (*probes.rehearsed, *probes.rehearsed_unknown) if is_general else probes.rehearsed
    answers = await asyncio.gather(*(client.ask(question, sampling=sampling) for question in asked))
    known = [
        ReferenceAnswer(prompt=question, completion=answer.text)
        for question, answer in zip(asked, answers, strict=True)
        if answer.text.strip()
    ]
    if is_general:
        return tuple(known)
    return (
        *known,
        *(ReferenceAnswer(prompt=question, completion=UNKNOWN_ANSWER) for question in probes.rehearsed_unknown),
    )


def _digest_of(probes: Probes) -> str:
    """Return a digest of what is asked, and how."""
    asked = json.dumps([ANSWER_TOKENS, probes.rehearsed, probes.rehearsed_unknown])
    return hashlib.sha256(asked.encode()).hexdigest()
