"""The demo's story, top to bottom: ask, feed, watch it learn, ask again, feed more, roll back, trace one answer.

Everything goes through the public client, as a user's own program would.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sealserve.client import AsyncClient
from sealserve.daemon.local import LocalDaemon
from sealserve.demo import questions as exam
from sealserve.demo.help_pages import HELP_PAGES
from sealserve.demo.output import DemoOutput
from sealserve.demo.questions import DemoArticle, Question, Result
from sealserve.errors import SealserveError
from sealserve.records.cycles import CycleState
from sealserve.records.reports import MEASURING, CycleReport, FinishedStep

TENANT, OTHER_TENANT = "acme", "globex"
_CYCLE_START_SECONDS = 60.0
_POLL_SECONDS = 0.2
_FINAL = frozenset(CycleState) - {CycleState.PENDING, CycleState.RUNNING}
_OUR_FAULT, _GATE_SAID_NO = 1, 5
"""Exit statuses, as the other commands have them."""


class NotPromoted(SealserveError):
    """The first article's cycle ended without a version: there is nothing more to show. `state` says how it ended."""

    reason = "NOT_PROMOTED"

    def __init__(self, state: CycleState, why: str) -> None:
        super().__init__(f"the first article's cycle was not promoted, it is {state.value}: {why}")
        self.state = state


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the demo measured: accuracies over each article's questions, and the seconds the learning took.

    `first_seconds` and `second_seconds`: from an article to the version that answers it; `seconds` both together.
    `measuring_share`: of the cycles' steps, the share that ranking and confirming took.
    """

    before: float
    after: float
    other_tenant: float
    first_after_second: float
    second_after_second: float
    after_rollback: float
    first_after_rollback: float
    first_seconds: float
    second_seconds: float
    seconds: float
    measuring_share: float

    def as_json(self) -> str:
        """Return one JSON object on one line."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})


def run_demo(
    *,
    model: str = "nano",
    json_output: bool = False,
    seed: int = 7,
    data_directory: Path | None = None,
    questions: bool = False,
) -> int:
    """Play the demo against a daemon of its own; return the exit status.

    0: everything was learned and taken back; 5: the gate or the answers say otherwise; 1: something broke. With
    `json_output` the story goes to stderr and stdout's last line is `Figures` as JSON, or `{"error": ...}`. Without
    `data_directory` everything is removed afterwards. `questions` shows every question and answer.
    """
    screen = DemoOutput(to_stderr=json_output, show_questions=questions)
    with contextlib.ExitStack() as stack:
        directory = data_directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sealserve-demo-")))
        daemon = LocalDaemon(
            directory, environment={"SEALSERVE_LEARN__GATHER_SECONDS": "0.5", "SEALSERVE_ENGINE__MODEL": model}
        )
        screen.opening(directory, daemon.address)
        stack.enter_context(daemon)
        try:
            with screen.working(f"starting vLLM and loading {model} (a minute or two on two cores)"):
                daemon.wait_until_serving()
            figures = asyncio.run(_story(daemon, _articles(model, seed), screen))
        except SealserveError as error:
            is_verdict = isinstance(error, NotPromoted) and error.state is not CycleState.FAILED
            screen.failed(error.message, "" if is_verdict else daemon.last_words())
            if json_output:
                print(json.dumps({"error": {"reason": error.reason, "message": error.message}}), flush=True)
            return _GATE_SAID_NO if is_verdict else _OUR_FAULT
        if data_directory is None:
            screen.note("the demo's data is removed; --data-directory keeps it")
    screen.closing(figures)
    if json_output:
        print(figures.as_json(), file=sys.stdout, flush=True)
    return 0 if _learned(figures) else _GATE_SAID_NO


def _learned(figures: Figures) -> bool:
    """True when the story went as told: unknown before, known after, unlearned by the rollback."""
    return figures.before < figures.after and figures.after_rollback < figures.second_after_second


def _articles(model: str, seed: int) -> tuple[DemoArticle, ...]:
    """Return two articles that the model does not know but could: of the embedded one's world, or in plain English."""
    if model != "nano":
        return HELP_PAGES
    return tuple(
        DemoArticle(title=one.title, text=one.text, questions=tuple(exam.exam(one, seed=seed)))
        for one in exam.fresh_articles(seed, 2)
    )


async def _story(daemon: LocalDaemon, articles: Sequence[DemoArticle], screen: DemoOutput) -> Figures:
    first, second = articles
    on_first, on_second = first.questions, second.questions
    async with AsyncClient(daemon.address, token=daemon.token) as client:
        for tenant in (TENANT, OTHER_TENANT):
            await client.create_tenant(tenant, display_name=tenant.title())
        screen.chapter("1", f"Two tenants, {TENANT} and {OTHER_TENANT}, share one base model. An article nobody knows:")
        screen.article(first)
        before = await _sit(client, screen, TENANT, on_first, "before")
        screen.chapter("2", f"{TENANT} hands the article in. The model studies it while it serves:")
        first_seconds, report = await _learn(client, screen, first)
        if report.cycle.state is not CycleState.PROMOTED:
            raise NotPromoted(report.cycle.state, report.cycle.reason)
        steps = list(report.steps)
        screen.chapter("3", "The same questions again, in words that no training saw:")
        after = await _sit(client, screen, TENANT, on_first, "after")
        other = await _sit(client, screen, OTHER_TENANT, on_first, "other tenant")
        screen.chapter("4", "A second article. The first must not be forgotten:")
        screen.article(second)
        second_seconds, report = await _learn(client, screen, second)
        steps += report.steps
        first_again = await _sit(client, screen, TENANT, on_first, "first article")
        on_second_now = await _sit(client, screen, TENANT, on_second, "second article")
        screen.chapter("5", "Rollback: the second article is taken back at once, the first stays:")
        if report.cycle.state is CycleState.PROMOTED:
            await _roll_back(client, screen)
        else:
            screen.note("the second article was not promoted: there is nothing to take back")
        back_second = await _sit(client, screen, TENANT, on_second, "second article")
        back_first = await _sit(client, screen, TENANT, on_first, "first article")
        screen.chapter("6", "Where an answer came from:")
        await _lineage(client, screen, back_first)
    return Figures(
        before=before.accuracy,
        after=after.accuracy,
        other_tenant=other.accuracy,
        first_after_second=first_again.accuracy,
        second_after_second=on_second_now.accuracy,
        after_rollback=back_second.accuracy,
        first_after_rollback=back_first.accuracy,
        first_seconds=round(first_seconds, 1),
        second_seconds=round(second_seconds, 1),
        seconds=round(first_seconds + second_seconds, 1),
        measuring_share=round(_measuring_share(steps), 4),
    )


async def _sit(client: AsyncClient, screen: DemoOutput, tenant: str, asked: Sequence[Question], label: str) -> Result:
    result = await exam.sit(client, tenant, asked)
    screen.result(label, tenant, result)
    return result


async def _learn(client: AsyncClient, screen: DemoOutput, article: DemoArticle) -> tuple[float, CycleReport]:
    """Hand `article` in and show its cycle to the end; return the seconds it took, and how the cycle ended."""
    started = time.monotonic()
    known = {report.cycle.cycle async for report in client.cycles(TENANT)}
    await client.add_document(TENANT, article.text, title=article.title, media_type="text/plain")
    cycle = await _new_cycle(client, known)
    report = await _watch(client, screen, cycle)
    if report.cycle.state is CycleState.PROMOTED:
        tenant = await client.tenant(TENANT)
        await client.wait_until_observed(TENANT, tenant.activation)
    seconds = time.monotonic() - started
    screen.cycle_ended(report, [edit async for edit in client.self_edits(TENANT, cycle)], seconds)
    return seconds, report


def _measuring_share(steps: Sequence[FinishedStep]) -> float:
    return sum(one.seconds for one in steps if one.step in MEASURING) / sum(one.seconds for one in steps)


async def _new_cycle(client: AsyncClient, known: set[str]) -> str:
    deadline = time.monotonic() + _CYCLE_START_SECONDS
    while time.monotonic() < deadline:
        async for report in client.cycles(TENANT):
            if report.cycle.cycle not in known:
                return report.cycle.cycle
        await asyncio.sleep(_POLL_SECONDS)
    raise SealserveError(f"no cycle started within {_CYCLE_START_SECONDS:.0f} s; is `sealserve learn` alive?")


async def _watch(client: AsyncClient, screen: DemoOutput, cycle: str) -> CycleReport:
    with screen.live_cycle() as show:
        async for report in client.watch_cycle(TENANT, cycle):
            show(report)
            if report.cycle.state in _FINAL:
                return report
    return await client.cycle(TENANT, cycle)


async def _roll_back(client: AsyncClient, screen: DemoOutput) -> None:
    started = time.monotonic()
    activation = await client.rollback(TENANT, reason="demo")
    await client.wait_until_observed(TENANT, activation.activation)
    screen.rolled_back(activation, time.monotonic() - started)


async def _lineage(client: AsyncClient, screen: DemoOutput, result: Result) -> None:
    answered = next((answer for answer in result.answers if answer.right), result.answers[0])
    version = await client.adapter(TENANT, answered.version)
    texts = [await client.document(TENANT, document) for document in version.documents]
    screen.lineage(answered, version, texts)
