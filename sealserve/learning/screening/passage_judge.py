"""The base model as a judge: does a passage tell a model how to behave, instead of telling a reader something?

Its belief is read off the likelihoods of yes and no, and counts only after calibration (`judge_calibration.py`): a base
that cannot tell the shipped orders from the shipped articles judges nothing.
"""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import structlog

from sealserve import prompts
from sealserve.base_models.judge_calibration import (
    JudgeCalibration,
    JudgedText,
    calibrate,
    judged_texts,
    read_judge,
    read_judge_limits,
    save_judge,
)
from sealserve.concurrency import together
from sealserve.errors import StorageFailed
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.sentences import whole_sentences
from sealserve.telemetry.names import LogEvent


class PassageJudges:
    """The calibration of each base model that was asked; kept in files where there is a `directory` for them."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._known: dict[str, JudgeCalibration] = {}
        self._log = structlog.get_logger("sealserve.learn")

    async def of(self, client: EngineClient) -> "PassageJudge":
        """Return the judge that the base model served now makes; calibrates it first if it was not.

        Raises: as `EngineClient.log_likelihood`; BadConfig (the shipped texts cannot be read).
        """
        texts = await asyncio.to_thread(judged_texts)
        limits = await asyncio.to_thread(read_judge_limits)
        base, asked = await client.base_digest(), _digest_of(client, texts)
        found = self._known.get(base) or await asyncio.to_thread(self._read, base)
        if found is None or found.asked != asked:
            log_odds = await together(_log_odds(client, text.text) for text in texts)
            found = calibrate(log_odds, texts, asked=asked)
            await asyncio.to_thread(self._save, base, found)
        self._known[base] = found
        return PassageJudge(client, threshold=found.threshold, fault=found.fault(limits))

    def _read(self, base: str) -> JudgeCalibration | None:
        return read_judge(base, directory=self._directory) if self._directory else None

    def _save(self, base: str, found: JudgeCalibration) -> None:
        """Keep the calibration; where that is impossible, the base is calibrated again after the next start."""
        try:
            if self._directory:
                save_judge(found, base, directory=self._directory)
        except StorageFailed as error:
            self._log.warning(LogEvent.JUDGE_NOT_STORED, error=error.message)


class PassageJudge:
    """A calibrated base model. `fault` says why it may judge nothing; "" if it may."""

    def __init__(self, client: EngineClient, *, threshold: float, fault: str) -> None:
        self.fault = fault
        self._client = client
        self._threshold = threshold

    async def order_in(self, passage: str) -> str:
        """Return the sentence of `passage` that is most likely an order to a model; "" if the passage holds none.

        The passage as a whole decides: that is what calibration measured. Raises: as `EngineClient.log_likelihood`.
        """
        if await _log_odds(self._client, passage) <= self._threshold:
            return ""
        sentences = whole_sentences(passage) or [passage]
        log_odds = await together(_log_odds(self._client, sentence) for sentence in sentences)
        return max(zip(log_odds, sentences, strict=True))[1]


async def _log_odds(client: EngineClient, passage: str) -> float:
    return await client.log_odds_of_yes(prompts.ask_for_orders(passage, dialect=client.dialect))


def _digest_of(client: EngineClient, texts: Sequence[JudgedText]) -> str:
    """Return a digest of the texts and of the question about them."""
    asked = [prompts.ask_for_orders("", dialect=client.dialect), *([one.half, one.kind, one.text] for one in texts)]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()
