"""What every engine does, asked of the fake, of the fake behind a real server, and of vLLM alike."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio

from sealserve.engine.base_model import BaseShape
from sealserve.engine.engine import AdapterFiles, Delta, Engine, GenerateRequest, ScoreRequest
from sealserve.engine.remote import RemoteEngine
from sealserve.errors import BadAdapter, InvalidArgument, NotFound, Unavailable
from sealserve.grading.json_schemas import is_accepted
from sealserve.records.inference import ChatTurn, EngineState, FinishReason, Sampling
from tests.engine.tiny_model import make_adapter
from tests.fakes import FakeEngine
from tests.rpc.remote import remote_to

HELLO = (ChatTurn(role="user", content="Where is the harbour office?"),)
LONG_SHARED = (ChatTurn(role="user", content="The same long opening. " * 12),)
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "verdict": {"enum": ["open", "closed"]},
            "lengths": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 9}, "maxItems": 3},
        },
        "required": ["verdict", "lengths"],
        "additionalProperties": False,
    }
)


pytestmark = pytest.mark.asyncio(loop_scope="session")
REAL = [pytest.mark.vllm, pytest.mark.timeout(600)]


@pytest_asyncio.fixture(loop_scope="session")
async def fake_engine(tiny_shape: BaseShape) -> FakeEngine:
    fake = FakeEngine(base=tiny_shape, max_rank=8)
    await fake.start()
    return fake


@pytest_asyncio.fixture(loop_scope="session")
async def remote_engine(tiny_shape: BaseShape) -> AsyncIterator[RemoteEngine]:
    async with remote_to(FakeEngine(base=tiny_shape, max_rank=8)) as remote:
        yield remote


@pytest.fixture(params=["fake_engine", "remote_engine", pytest.param("vllm_engine", marks=REAL)])
def engine(request: pytest.FixtureRequest) -> Engine:
    engine: Engine = request.getfixturevalue(request.param)
    return engine


async def answer(engine: Engine, request: GenerateRequest) -> list[Delta]:
    return [delta async for delta in engine.generate(request)]


def ask(
    adapter: str | None = None, *, turns: tuple[ChatTurn, ...] = HELLO, sampling: Sampling | None = None, salt: str = ""
) -> GenerateRequest:
    return GenerateRequest(
        request_id="r", turns=turns, adapter=adapter, cache_salt=salt, sampling=sampling or Sampling(max_tokens=6)
    )


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


async def test_only_the_last_delta_finishes_and_carries_the_usage(engine: Engine) -> None:
    deltas = await answer(engine, ask())
    assert [delta.finish for delta in deltas[:-1]] == [None] * (len(deltas) - 1)
    assert deltas[-1].finish in (FinishReason.STOP, FinishReason.LENGTH)
    assert 1 <= deltas[-1].completion_tokens <= 6
    assert deltas[-1].prompt_tokens == await engine.count_tokens(HELLO)


async def test_greedy_answers_repeat(engine: Engine) -> None:
    assert text_of(await answer(engine, ask())) == text_of(await answer(engine, ask()))


async def test_seeded_answers_repeat_and_other_seeds_differ(engine: Engine) -> None:
    def sampled(seed: int) -> GenerateRequest:
        return ask(sampling=Sampling(max_tokens=20, temperature=1.0, seed=seed))

    first = text_of(await answer(engine, sampled(1)))
    assert first == text_of(await answer(engine, sampled(1)))
    assert first != text_of(await answer(engine, sampled(2)))


async def test_adapters_answer_differently_from_the_base_and_from_each_other(
    engine: Engine, tiny_base: Path, tmp_path: Path
) -> None:
    for seed, name in ((11, "one@v1"), (12, "two@v1")):
        await engine.load(AdapterFiles(name=name, path=make_adapter(tmp_path / name, tiny_base, seed=seed)))
    answers = [text_of(await answer(engine, ask(name))) for name in (None, "one@v1", "two@v1")]
    assert len(set(answers)) == 3


async def test_loading_twice_is_the_same_as_once(engine: Engine, tiny_base: Path, tmp_path: Path) -> None:
    files = AdapterFiles(name="twice@v1", path=make_adapter(tmp_path / "a", tiny_base, seed=21))
    await engine.load(files)
    before = text_of(await answer(engine, ask("twice@v1")))
    await engine.load(files)
    assert text_of(await answer(engine, ask("twice@v1"))) == before


async def test_name_is_never_reused_for_other_files(engine: Engine, tiny_base: Path, tmp_path: Path) -> None:
    await engine.load(AdapterFiles(name="reused@v1", path=make_adapter(tmp_path / "a", tiny_base, seed=31)))
    before = text_of(await answer(engine, ask("reused@v1")))
    with pytest.raises(BadAdapter) as refused:
        await engine.load(AdapterFiles(name="reused@v1", path=make_adapter(tmp_path / "b", tiny_base, seed=32)))
    assert refused.value.defect == "name_reused"
    assert text_of(await answer(engine, ask("reused@v1"))) == before


async def test_unloaded_adapter_is_gone_until_loaded_again(engine: Engine, tiny_base: Path, tmp_path: Path) -> None:
    files = AdapterFiles(name="gone@v1", path=make_adapter(tmp_path / "a", tiny_base, seed=41))
    await engine.load(files)
    before = text_of(await answer(engine, ask("gone@v1")))
    assert await engine.unload("gone@v1") is True
    assert await engine.unload("gone@v1") is False
    with pytest.raises(NotFound):
        await answer(engine, ask("gone@v1"))
    await engine.load(files)
    assert text_of(await answer(engine, ask("gone@v1"))) == before


async def test_bad_adapter_is_refused_and_nothing_changes(engine: Engine, tiny_base: Path, tmp_path: Path) -> None:
    before, loaded = text_of(await answer(engine, ask())), (await engine.info()).loaded
    with pytest.raises(BadAdapter) as refused:
        await engine.load(AdapterFiles(name="bad@v1", path=make_adapter(tmp_path, tiny_base, config={"r": 2})))
    assert refused.value.defect == "lying_rank"
    assert (await engine.info()).loaded == loaded
    assert text_of(await answer(engine, ask())) == before


async def test_name_of_a_refused_adapter_is_still_free(engine: Engine, tiny_base: Path, tmp_path: Path) -> None:
    bad = make_adapter(tmp_path / "bad", tiny_base, config={"r": 2})
    with pytest.raises(BadAdapter):
        await engine.load(AdapterFiles(name="second-try@v1", path=bad))
    good = make_adapter(tmp_path / "good", tiny_base)
    await engine.load(AdapterFiles(name="second-try@v1", path=good))
    assert "second-try@v1" in (await engine.info()).loaded


async def test_adapters_that_come_and_go_at_the_same_time_answer_as_they_do_alone(
    engine: Engine, tiny_base: Path, tmp_path: Path
) -> None:
    files = [
        AdapterFiles(name=f"crowd{i}@v1", path=make_adapter(tmp_path / str(i), tiny_base, seed=80 + i))
        for i in range(4)
    ]
    alone = []
    for one in files:
        await engine.load(one)
        alone.append(text_of(await answer(engine, ask(one.name))))
        assert await engine.unload(one.name)
    assert len(set(alone)) == len(files)
    await asyncio.gather(*(engine.load(one) for one in files[:2]))
    came_and_went = await asyncio.gather(
        engine.unload(files[0].name), *(engine.load(one) for one in files[2:]), engine.load(files[2])
    )
    assert came_and_went[0] is True
    assert files[0].name not in (await engine.info()).loaded
    together = await asyncio.gather(*(answer(engine, ask(one.name)) for one in files[1:]))
    assert [text_of(deltas) for deltas in together] == alone[1:]
    assert await asyncio.gather(*(engine.unload(one.name) for one in files[1:])) == [True] * 3


async def test_one_bad_adapter_among_several_is_refused_alone(engine: Engine, tiny_base: Path, tmp_path: Path) -> None:
    loaded = {*(await engine.info()).loaded}
    files = [
        AdapterFiles(
            name=f"mixed{i}@v1", path=make_adapter(tmp_path / str(i), tiny_base, config={"r": 2} if i == 1 else None)
        )
        for i in range(3)
    ]
    outcomes = await asyncio.gather(*(engine.load(one) for one in files), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), BadAdapter, type(None)]
    assert {*(await engine.info()).loaded} == loaded | {"mixed0@v1", "mixed2@v1"}
    for name in ("mixed0@v1", "mixed2@v1"):
        assert await engine.unload(name)


async def test_unknown_adapter_is_not_found(engine: Engine) -> None:
    with pytest.raises(NotFound):
        await answer(engine, ask("nobody@v9"))
    with pytest.raises(NotFound):
        await engine.score(ScoreRequest(request_id="s", turns=HELLO, completion="x", adapter="nobody@v9"))


async def test_score_is_negative_finite_and_repeats(engine: Engine) -> None:
    request = ScoreRequest(request_id="s", turns=HELLO, completion="By the pier.")
    likelihood = await engine.score(request)
    assert likelihood.log_likelihood < 0
    assert likelihood.tokens >= 2
    again = await engine.score(request)
    assert again.log_likelihood == pytest.approx(likelihood.log_likelihood, rel=1e-3)


async def test_score_depends_on_the_adapter(engine: Engine, tiny_base: Path, tmp_path: Path) -> None:
    await engine.load(AdapterFiles(name="score@v1", path=make_adapter(tmp_path / "a", tiny_base, seed=51)))
    scores = [
        await engine.score(ScoreRequest(request_id="s", turns=HELLO, completion="By the pier.", adapter=adapter))
        for adapter in (None, "score@v1")
    ]
    assert scores[0].log_likelihood != pytest.approx(scores[1].log_likelihood, rel=1e-3)


async def test_conversation_beyond_the_context_is_refused_by_name(engine: Engine) -> None:
    too_long = (ChatTurn(role="user", content="x" * 600),)
    with pytest.raises(InvalidArgument) as refused:
        await answer(engine, ask(turns=too_long))
    assert refused.value.field == "messages"
    assert refused.value.reason == "PROMPT_TOO_LONG"


async def test_answer_stops_where_the_context_ends(engine: Engine) -> None:
    nearly_full = (ChatTurn(role="user", content="x" * 470),)
    deltas = await answer(engine, ask(turns=nearly_full, sampling=Sampling(max_tokens=10_000)))
    assert deltas[-1].prompt_tokens + deltas[-1].completion_tokens <= 512


@pytest.mark.parametrize(
    ("turns", "field"),
    [((), "messages"), ((ChatTurn(role="robot", content="hi"),), "messages.role")],
)
async def test_malformed_conversation_is_refused(engine: Engine, turns: tuple[ChatTurn, ...], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await answer(engine, ask(turns=turns))
    assert refused.value.field == field


async def test_bad_sampling_is_refused_by_name(engine: Engine) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await answer(engine, ask(sampling=Sampling(temperature=-1.0)))
    assert refused.value.field == "temperature"


@pytest.mark.parametrize("adapter", [None, "held@v1"])
async def test_answer_is_one_of_the_choices(
    engine: Engine, adapter: str | None, tiny_base: Path, tmp_path: Path
) -> None:
    if adapter and adapter not in (await engine.info()).loaded:
        await engine.load(AdapterFiles(name=adapter, path=make_adapter(tmp_path, tiny_base, seed=71)))
    deltas = await answer(engine, ask(adapter, sampling=Sampling(max_tokens=20, choice=("yes", "no, never"))))
    assert text_of(deltas) in ("yes", "no, never")
    assert deltas[-1].finish is FinishReason.STOP


async def test_sampled_answer_matches_the_pattern_from_end_to_end(engine: Engine) -> None:
    for seed in range(3):
        sampling = Sampling(max_tokens=40, temperature=1.5, seed=seed, regex=r"[A-D]-[0-9]{4}(x|yz)?")
        assert re.fullmatch(sampling.regex, text_of(await answer(engine, ask(sampling=sampling))))


async def test_answer_is_json_that_the_schema_accepts(engine: Engine) -> None:
    deltas = await answer(engine, ask(sampling=Sampling(max_tokens=120, json_schema=SCHEMA)))
    assert is_accepted(text_of(deltas), SCHEMA)
    assert list(json.loads(text_of(deltas))) == ["verdict", "lengths"]  # in the schema's own order
    assert deltas[-1].finish is FinishReason.STOP


async def test_constrained_answer_that_is_cut_says_so_and_is_the_beginning_of_one(engine: Engine) -> None:
    whole = "a rather long winded way of saying yes"
    deltas = await answer(engine, ask(sampling=Sampling(max_tokens=3, choice=(whole,))))
    assert whole.startswith(text_of(deltas))
    assert deltas[-1].finish is FinishReason.LENGTH


async def test_constrained_and_free_requests_run_side_by_side(engine: Engine) -> None:
    free = text_of(await answer(engine, ask()))
    held = Sampling(max_tokens=20, choice=("yes", "no"))
    answers = await asyncio.gather(answer(engine, ask()), answer(engine, ask(sampling=held)), answer(engine, ask()))
    assert [text_of(deltas) for deltas in (answers[0], answers[2])] == [free, free]
    assert text_of(answers[1]) in held.choice


@pytest.mark.parametrize(
    ("sampling", "field"),
    [
        (Sampling(choice=("yes",), regex="yes"), "regex"),
        (Sampling(regex="(?=a)"), "regex"),
        (Sampling(json_schema="[]"), "json_schema"),
    ],
)
async def test_constraint_that_cannot_be_held_is_refused_and_the_engine_goes_on(
    engine: Engine, sampling: Sampling, field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await answer(engine, ask(sampling=sampling))
    assert refused.value.field == field
    assert text_of(await answer(engine, ask())) != ""


async def test_salt_keeps_tenants_from_sharing_cached_prefixes(engine: Engine) -> None:
    async def cached(salt: str) -> int:
        return (await answer(engine, ask(turns=LONG_SHARED, salt=salt)))[-1].cached_tokens

    assert await cached("tenant-a") == 0
    assert await cached("tenant-a") > 0
    assert await cached("tenant-b") == 0


async def test_closing_the_iterator_frees_the_sequence_and_the_engine_goes_on(engine: Engine) -> None:
    async with aclosing(engine.generate(ask(sampling=Sampling(max_tokens=400)))) as stream:  # type: ignore[type-var]
        first = await anext(stream)
    assert first.finish is None
    assert text_of(await answer(engine, ask())) != ""


async def test_requests_under_many_adapters_run_side_by_side(engine: Engine, tiny_base: Path, tmp_path: Path) -> None:
    names = [f"side{i}@v1" for i in range(4)]
    for seed, name in enumerate(names, start=61):
        await engine.load(AdapterFiles(name=name, path=make_adapter(tmp_path / name, tiny_base, seed=seed)))
    alone = [text_of(await answer(engine, ask(name))) for name in names]
    together = await asyncio.gather(*(answer(engine, ask(name)) for name in names))
    assert [text_of(deltas) for deltas in together] == alone


async def test_info_names_what_runs(engine: Engine, tiny_shape: BaseShape) -> None:
    info = await engine.info()
    assert info.state is EngineState.SERVING
    assert info.base_digest == tiny_shape.digest
    assert (info.max_context_tokens, info.max_rank, info.slots) == (512, 8, 2)


async def test_engine_that_was_never_started_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await answer(FakeEngine(), ask())
