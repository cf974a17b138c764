"""Rewards that ask a judge whether the greedy answer is right: the base model, or one behind an endpoint."""

import asyncio
from collections.abc import Sequence
from math import exp

import httpx

from sealserve import prompts
from sealserve.errors import CouldNotMeasure
from sealserve.grading.answers import normalised
from sealserve.learning.engine_client import NO, YES, EngineClient
from sealserve.learning.evaluation.rewards.base import Kind, ScoredItem, greedy_all
from sealserve.learning.openai_client import CONNECTIONS, OpenAIClient
from sealserve.records.inference import Sampling

VERDICT_TOKENS = 8


class SelfJudge:
    """The base model's belief that the answer is right: p(yes) against p(no), between 0 and 1."""

    name = str(Kind.SELF_JUDGE)

    async def scores(self, client: EngineClient, adapter: str | None, items: Sequence[ScoredItem]) -> tuple[float, ...]:
        """As `Reward.scores`."""
        answers = await greedy_all(client, adapter, items)
        return tuple(
            await asyncio.gather(
                *(self._judge(client, item, answer) for item, answer in zip(items, answers, strict=True))
            )
        )

    async def _judge(self, client: EngineClient, item: ScoredItem, answer: str) -> float:
        prompt = prompts.judge(item.question, item.answer, answer, dialect=client.dialect)
        log_odds = await client.log_odds_of_yes(prompt)
        return 1 / (1 + exp(min(max(-log_odds, -50.0), 50.0)))


class LlmJudge:
    """A judge behind an OpenAI-compatible endpoint that answers yes or no; retried for a bounded time."""

    def __init__(self, *, url: str, model: str, key: str, timeout_seconds: float, patience_seconds: float) -> None:
        self.name = f"{Kind.LLM_JUDGE}:{url}:{model}"
        self._url, self._model, self._key = url, model, key
        self._timeout_seconds, self._patience_seconds = timeout_seconds, patience_seconds

    async def scores(self, client: EngineClient, adapter: str | None, items: Sequence[ScoredItem]) -> tuple[float, ...]:
        """As `Reward.scores`. Raises: CouldNotMeasure (the judge is unreachable, refuses, or gives no verdict)."""
        answers = await greedy_all(client, adapter, items)
        async with OpenAIClient(self._client(), model=self._model, patience_seconds=self._patience_seconds) as judge:
            judged = await asyncio.gather(
                *(self._judge(judge, item, answer) for item, answer in zip(items, answers, strict=True))
            )
        return tuple(judged)

    async def _judge(self, judge: OpenAIClient, item: ScoredItem, answer: str) -> float:
        prompt = prompts.judge(item.question, item.answer, answer, dialect=judge.dialect)
        try:
            reply = await judge.ask(prompt, sampling=Sampling(max_tokens=VERDICT_TOKENS, seed=0))
        except CouldNotMeasure as error:
            raise CouldNotMeasure(
                "the judge at learn.reward.judge_url did not answer or refused; check learn.reward.judge_url, "
                "learn.reward.judge_model and learn.reward.judge_key_variable, or set learn.reward.kind to self_judge"
            ) from error
        word = normalised(reply.text).partition(" ")[0]
        if word not in (YES, NO):
            raise CouldNotMeasure(
                "the judge at learn.reward.judge_url says neither yes nor no; choose another learn.reward.judge_model"
            )
        return float(word == YES)

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=self._timeout_seconds,
            limits=httpx.Limits(max_connections=CONNECTIONS),
            trust_env=False,
        )
