"""Score sheets: all adapters at once, as many as fit, and nothing twice."""

import json
from pathlib import Path

from sealserve.engine.engine import AdapterFiles, GenerateRequest
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.evaluation.ranking import choose
from sealserve.learning.evaluation.rewards.base import Kind, ScoredItem
from sealserve.learning.evaluation.rewards.graded import GradedAnswers
from sealserve.learning.evaluation.scoring import Failed, ScoreCache, Suite, score_matrix
from sealserve.registry.evaluation.score_cache import CachedScores
from tests.fakes import FakeEngine


class Memory(CachedScores):
    """Keeps in memory what the registry keeps in its table."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], tuple[float, ...]] = {}

    def get(self, tenant: str, key: str) -> tuple[float, ...] | None:
        return self.kept.get((tenant, key))

    def keep(self, tenant: str, key: str, scores: object) -> None:
        assert isinstance(scores, tuple)
        self.kept[tenant, key] = scores


class Crowded(FakeEngine):
    """Notes how many adapters are loaded at once."""

    most = 0

    async def load(self, adapter: AdapterFiles) -> None:
        await super().load(adapter)
        self.most = max(self.most, len(self._loaded))


def adapter(directory: Path, name: str) -> AdapterFiles:
    (directory / name).mkdir()
    (directory / name / "adapter_config.json").write_text(json.dumps({}))
    return AdapterFiles(name=name, path=directory / name)


def suite(answer: str = "45 crowns") -> Suite:
    items = tuple(ScoredItem(question=f"q{place}?", answer=answer, reference_text=answer) for place in range(3))
    return Suite(reward=GradedAnswers(Kind.CONTAINS), items=items)


def kept(memory: Memory, *, base: str = "b", **artifacts: str) -> ScoreCache:
    return ScoreCache(store=memory, tenant="acme", base=base, artifacts=artifacts)


async def client(engine: FakeEngine) -> EngineClient:
    await engine.start()
    return EngineClient(engine, tenant="acme", cycle="c", concurrency=8)


async def test_adapters_are_asked_together_and_never_more_than_share_a_batch(tmp_path: Path) -> None:
    engine = Crowded(answerer=lambda name, question: "45 crowns" if name == "a1" else "no idea")
    engine.gate.set()
    files = [adapter(tmp_path, f"a{place}") for place in range(5)]
    sheets = await score_matrix(await client(engine), [None, *files], [suite()])
    assert [sheet[0] for sheet in sheets] == [(0.0,) * 3, (0.0,) * 3, (1.0,) * 3, *[(0.0,) * 3] * 3]
    assert engine.most == (await engine.info()).slots == 2
    assert (await engine.info()).loaded == ()


async def test_what_was_measured_is_not_measured_again_and_no_adapter_is_loaded_for_it(tmp_path: Path) -> None:
    engine, memory = FakeEngine(answerer=lambda name, question: "45 crowns"), Memory()
    files, speaker = adapter(tmp_path, "a"), await client(engine)
    first = await score_matrix(speaker, [None, files], [suite()], cache=kept(memory, a="digest"))
    asked = len(engine.requests)
    again = await score_matrix(speaker, [None, files], [suite()], cache=kept(memory, a="digest"))
    assert again == first
    assert len(engine.requests) == asked
    assert engine.load_calls == ["a"]


async def test_other_items_another_base_and_another_adapter_are_measured_anew(tmp_path: Path) -> None:
    engine, memory = FakeEngine(answerer=lambda name, question: "45 crowns"), Memory()
    files, speaker = adapter(tmp_path, "a"), await client(engine)
    for now, questions in (
        (kept(memory, a="one"), suite()),
        (kept(memory, a="two"), suite()),
        (kept(memory, a="one", base="other"), suite()),
        (kept(memory, a="one"), suite("46 crowns")),
        (kept(memory), suite()),  # of an unknown artifact nothing is kept
    ):
        before = len(engine.requests)
        await score_matrix(speaker, [files], [questions], cache=now)
        assert len(engine.requests) == before + 3
    assert len(memory.kept) == 4


async def test_a_suite_that_fails_is_not_kept_and_does_not_spoil_the_others(tmp_path: Path) -> None:
    engine, memory = FakeEngine(answerer=lambda name, question: "45 crowns"), Memory()
    long = Suite(
        reward=GradedAnswers(Kind.CONTAINS), items=(ScoredItem(question="x" * 600, answer="a", reference_text="a"),)
    )
    (sheet,) = await score_matrix(await client(engine), [None], [long, suite()], cache=kept(memory))
    assert isinstance(sheet[0], Failed)
    assert sheet[1] == (1.0,) * 3
    assert len(memory.kept) == 1
    assert isinstance(engine.requests[0], GenerateRequest)


def test_the_best_wins_only_when_it_stands_out_from_the_group() -> None:
    clear = {0: [0.1, 0.2, 0.1, 0.0] * 5, 1: [1.0, 1.1, 0.9, 1.2] * 5}
    winner, stands_out, note = choose(clear, confidence=0.95)
    assert (winner, stands_out) == (1, True)
    assert "stands out" in note
    noise = {0: [0.0, 1.0, 0.0, 1.0], 1: [1.0, 0.0, 1.0, 0.1], 2: [0.0, 0.0, 1.0, 1.0]}
    winner, stands_out, note = choose(noise, confidence=0.95)
    assert (winner, stands_out) == (0, False)
    assert "no candidate stands out" in note


def test_one_candidate_is_taken_and_none_is_none() -> None:
    assert choose({2: [0.1, 0.2]}, confidence=0.95)[:2] == (2, False)
    assert choose({}, confidence=0.95)[0] is None


async def test_the_base_is_measured_once_for_all_tenants() -> None:
    engine, base_scores = FakeEngine(), dict[str, tuple[float, ...]]()
    asked = await client(engine)
    for tenant in ("acme", "globex"):
        cache = ScoreCache(store=Memory(), tenant=tenant, base="b", artifacts={}, base_scores=base_scores)
        await score_matrix(asked, [None], [suite()], cache=cache)
    assert len(engine.requests) == len(suite().items)
