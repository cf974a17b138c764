"""Adapts the served model to lm-eval's model interface. The only module that imports lm_eval."""

import asyncio
import hashlib
import json
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import datasets
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from sealserve.canonical import Json
from sealserve.errors import BadConfig
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.evaluation.lm_eval_tasks import BenchmarkScore, BenchmarkTask
from sealserve.records.inference import Sampling

T = TypeVar("T")

MAX_TOKENS = 256
"""lm-eval's own default of max_gen_toks."""

BOOTSTRAP_ROUNDS = 1000
"""For metrics whose standard error has no closed form."""


class ServedLM(LM):  # type: ignore[misc]  # lm_eval has no types
    """Every context is one user turn, every continuation the assistant's; called from a thread beside `loop`."""

    def __init__(self, client: EngineClient, *, adapter: str | None, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._client, self._adapter, self._loop = client, adapter, loop

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Return (log p, False): whether the text would be generated is not asked by the tasks that are taken.

        A continuation begins the assistant's turn: the space that lm-eval puts before it belongs to running text.
        """

        async def score(context: str, continuation: str) -> tuple[float, bool]:
            said = continuation.lstrip(" ")
            return await self._client.log_likelihood(context, said, adapter=self._adapter), False

        return self._all(score(*request.args) for request in requests)

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """Return the greedy answers, each cut before its first stop text."""

        async def say(context: str, options: dict[str, Any]) -> str:
            until = options.get("until") or []
            stops = [until] if isinstance(until, str) else list(until)
            sampling = Sampling(max_tokens=int(options.get("max_gen_toks") or MAX_TOKENS))
            text = (await self._client.ask(context, sampling=sampling, adapter=self._adapter)).text
            return text[: min((text.index(stop) for stop in stops if stop in text), default=len(text))]

        return self._all(say(*request.args) for request in requests)

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """Raises: NotImplementedError; tasks that need it are refused when they are read."""
        raise NotImplementedError("perplexity of running text is not measured through a chat")

    def _all(self, calls: Any) -> list[Any]:
        async def together() -> list[Any]:
            return list(await asyncio.gather(*calls))

        return self._on_the_loop(together())

    def _on_the_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def evaluate(
    tasks: Sequence[BenchmarkTask],
    *,
    client: EngineClient,
    adapter: str | None,
    loop: asyncio.AbstractEventLoop,
    limit: int | None,
) -> tuple[BenchmarkScore, ...]:
    """Return every metric of every task. Blocking; `client` is used on `loop`. Raises: as `benchmarks.run_tasks`."""
    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # it warns of every local data set
    try:
        found = simple_evaluate(
            model=ServedLM(client, adapter=adapter, loop=loop),
            tasks=[_read_settings(task) for task in tasks],
            task_manager=TaskManager(include_defaults=False),
            limit=limit,
            bootstrap_iters=BOOTSTRAP_ROUNDS,
            log_samples=False,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadConfig(f"lm-eval cannot use these tasks: {type(error).__name__}: {error}") from error
    counts = found["n-samples"]
    return tuple(
        BenchmarkScore(
            task=task,
            n=int(counts[task]["effective"]),
            metric=metric.removesuffix(",none"),
            value=float(value),
            error=_number(row.get(metric.replace(",", "_stderr,"))),
        )
        for task, row in found["results"].items()
        for metric, value in row.items()
        if "," in metric and "_stderr," not in metric
    )


def _read_settings(task: BenchmarkTask) -> dict[str, Any]:
    splits = {name: _rows(rows) for name, rows in task.splits.items()}
    return {**task.settings, "custom_dataset": lambda **_: datasets.DatasetDict(splits)}


def _rows(rows: Sequence[Json]) -> datasets.Dataset:
    """A data set in memory under its own digest: without one, datasets would pickle it to find a fingerprint."""
    digest = hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
    return datasets.Dataset(datasets.table.InMemoryTable.from_pylist(list(rows)), fingerprint=digest)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
