"""Each reward on its own: what it gives for right, nearly right and wrong answers, and when it gives nothing."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sealserve import prompts
from sealserve.engine.engine import GenerateRequest
from sealserve.errors import BadConfig, CouldNotMeasure
from sealserve.grading.answers import Matcher
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.evaluation.rewards.base import Kind, ScoredItem
from sealserve.learning.evaluation.rewards.registry import reward_by_name
from sealserve.learning.evaluation.rewards.self_consistency import SelfConsistency, entropy_share
from sealserve.settings.learn import RewardSettings
from sealserve.settings.settings import load_settings
from tests.fakes import FakeEngine

ITEMS = (
    ScoredItem(question="How long?", answer="24 months", reference_text="It is 24 months."),
    ScoredItem(question="Who?", answer="Orla Finch", reference_text="Orla Finch."),
    ScoredItem(question="What code?", answer="A1", reference_text="A1", matcher=Matcher.REGEX, pattern=r"\bA\d\b"),
)
ANSWERS = {"How long?": "24 months", "Who?": "It is Orla Finch.", "What code?": "The code is a7."}


async def scores(kind: Kind, engine: FakeEngine, settings: RewardSettings | None = None) -> tuple[float, ...]:
    await engine.start()
    client = EngineClient(engine, tenant="acme", cycle="c", concurrency=4)
    return await reward_by_name(kind, settings or RewardSettings()).scores(client, None, ITEMS)


def saying(answers: dict[str, str]) -> FakeEngine:
    return FakeEngine(answerer=lambda adapter, question: answers.get(question))


async def test_rules_grade_the_same_answers_each_in_its_own_way() -> None:
    assert await scores(Kind.EXACT, saying(ANSWERS)) == (1.0, 0.0, 0.0)
    assert await scores(Kind.CONTAINS, saying(ANSWERS)) == (1.0, 1.0, 1.0)
    assert await scores(Kind.REGEX, saying(ANSWERS)) == (1.0, 1.0, 1.0)
    assert await scores(Kind.F1, saying(ANSWERS)) == pytest.approx((1.0, 2 / 3, 0.0))


async def test_likelihood_is_that_of_a_token_of_the_answer_in_the_models_own_words_and_clipped() -> None:
    engine = FakeEngine()
    engine.likelihoods = {
        (None, item.question, item.reference_text): (-0.5 - 9 * place) * (len(item.reference_text.split()) + 1)
        for place, item in enumerate(ITEMS)
    }
    assert await scores(Kind.LIKELIHOOD, engine) == pytest.approx((-0.5, -5.0, -5.0))


async def test_the_base_as_judge_is_heard_by_how_sure_it_is() -> None:
    engine = saying(ANSWERS)
    for item in ITEMS:
        prompt = prompts.judge(item.question, item.answer, ANSWERS[item.question])
        sure = 4.0 if item.question != "Who?" else -4.0
        engine.likelihoods |= {(None, prompt, "yes"): sure - 5, (None, prompt, "no"): -5.0}
    first, second, _ = await scores(Kind.SELF_JUDGE, engine)
    assert first > 0.95
    assert second < 0.05


class Sampled(FakeEngine):
    """Says what `draws` has for a question, another one for each seed, in turn."""

    def __init__(self, draws: dict[str, list[str]]) -> None:
        super().__init__()
        self._draws = {question: list(answers) for question, answers in draws.items()}

    def _words(self, request: GenerateRequest) -> list[str]:
        return [self._draws[request.turns[-1].content].pop(0)]


async def test_agreement_is_the_share_that_says_the_same_and_not_knowing_agrees_with_nothing() -> None:
    engine = Sampled(
        {
            "How long?": ["24 months"] * 4,
            "Who?": ["Orla", "Orla", "Finch", "Ann"],
            "What code?": [prompts.UNKNOWN_ANSWER] * 4,
        }
    )
    assert await scores(Kind.SELF_CONSISTENCY, engine) == (1.0, 0.5, 0.0)


async def test_a_model_that_says_one_thing_to_everything_is_not_measured_by_agreement() -> None:
    with pytest.raises(CouldNotMeasure, match="collapsed"):
        await scores(Kind.SELF_CONSISTENCY, FakeEngine(answerer=lambda adapter, question: "It is blue."))


def test_entropy_is_none_for_one_answer_and_whole_for_as_many_as_questions() -> None:
    assert entropy_share(["a"] * 8, distinct=4) == 0.0
    assert entropy_share(["a", "b", "c", "d"], distinct=4) == pytest.approx(1.0)
    assert SelfConsistency(samples=4).name != SelfConsistency(samples=5).name


@contextmanager
def judge(replies: list[tuple[int, str]]) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """An endpoint on the loopback that answers with `replies` in turn, the last one for ever."""
    heard: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, text = replies.pop(0) if len(replies) > 1 else replies[0]
            body = json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def by_endpoint(url: str, patience_seconds: float = 30) -> RewardSettings:
    return RewardSettings(
        kind=Kind.LLM_JUDGE,
        judge_url=url,
        judge_model="judge",
        judge_patience_seconds=patience_seconds,
    )


async def test_a_judge_behind_an_endpoint_is_asked_again_when_it_is_busy() -> None:
    with judge([(503, ""), (200, "Yes."), (200, "no"), (200, "Yes, it is.")]) as (url, heard):
        said = await asyncio.wait_for(scores(Kind.LLM_JUDGE, saying(ANSWERS), by_endpoint(url)), 60)
    assert sorted(said) == [0.0, 1.0, 1.0]
    assert len(heard) == 4
    assert heard[0]["model"] == "judge"


@pytest.mark.parametrize(
    ("reply", "says"), [((401, ""), "refused"), ((200, "Perhaps"), "neither yes nor no"), ((503, ""), "did not answer")]
)
async def test_a_judge_that_does_not_judge_leaves_nothing_measured(reply: tuple[int, str], says: str) -> None:
    with judge([reply]) as (url, _):
        with pytest.raises(CouldNotMeasure, match=says):
            await scores(Kind.LLM_JUDGE, saying(ANSWERS), by_endpoint(url, patience_seconds=0.1))


def test_rewards_are_chosen_by_name_for_all_and_for_one_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALSERVE_LEARN__REWARD__TENANT_KINDS", '{"acme": "f1"}')
    learn = load_settings(overrides={"learn.reward.kind": "contains"}).learn
    assert (learn.reward.kind_of("acme"), learn.reward.kind_of("other")) == (Kind.F1, Kind.CONTAINS)
    for kind in Kind:
        named = learn.reward.model_copy(update={"judge_url": "http://x", "judge_model": "m"})
        assert reward_by_name(kind, named).name.startswith(kind)


@pytest.mark.parametrize(
    "wrong",
    [{"learn.reward.kind": "best"}, {"learn.reward.kind": "llm_judge"}, {"learn.training.seeds": 0}],
)
def test_a_reward_that_cannot_work_is_refused_at_load(wrong: dict[str, object]) -> None:
    with pytest.raises(BadConfig, match="learn"):
        load_settings(overrides=wrong)
