"""What only the real engine can get wrong: adapters that fail inside it, its table, its neighbours' answers."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from sealserve.engine import vllm_engine as module
from sealserve.engine.engine import AdapterFiles, GenerateRequest
from sealserve.engine.vllm_engine import VllmEngine
from sealserve.errors import BadAdapter, BadConfig, InvalidArgument, NotFound, Unavailable
from sealserve.records.inference import ChatTurn, Sampling
from tests.conftest import TINY_ENGINE
from tests.engine.tiny_model import Tensors, make_adapter

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="session")]
HELLO = (ChatTurn(role="user", content="Where is the harbour office?"),)
LAST = "base_model.model.model.layers.1.mlp.down_proj.lora_A.weight"


async def answer(engine: VllmEngine, adapter: str | None = None, *, sampling: Sampling | None = None) -> str:
    request = GenerateRequest(
        request_id="r", turns=HELLO, adapter=adapter, sampling=sampling or Sampling(max_tokens=12)
    )
    return "".join([delta.text async for delta in engine.generate(request)])


def _too_wide(tensors: Tensors) -> None:
    tensors[LAST] = np.concatenate([tensors[LAST], tensors[LAST]], axis=1)


async def test_adapter_that_fails_inside_the_engine_leaves_nothing_behind(
    vllm_engine: VllmEngine, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "check_adapter", lambda *arguments, **options: None)
    before = await answer(vllm_engine)
    files = AdapterFiles(name="half@v1", path=make_adapter(tmp_path, tiny_base, change=_too_wide))
    assert vllm_engine._model is not None
    loaded = await vllm_engine._model.llm.list_loras()
    for _ in range(2):
        with pytest.raises(BadAdapter) as refused:
            await vllm_engine.load(files)
        assert refused.value.defect == "refused_by_engine"
    assert await vllm_engine._model.llm.list_loras() == loaded
    with pytest.raises(NotFound):
        await answer(vllm_engine, "half@v1")
    assert await answer(vllm_engine) == before


async def test_adapter_that_fails_inside_the_engine_beside_others_leaves_only_them_behind(
    vllm_engine: VllmEngine, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "check_adapter", lambda *arguments, **options: None)
    good = [
        AdapterFiles(name=f"good{i}@v1", path=make_adapter(tmp_path / f"good{i}", tiny_base, seed=300 + i))
        for i in range(2)
    ]
    bad = AdapterFiles(name="bad-half@v1", path=make_adapter(tmp_path / "bad", tiny_base, change=_too_wide))
    assert vllm_engine._model is not None
    loaded = len(await vllm_engine._model.llm.list_loras())
    outcomes = await asyncio.gather(*(vllm_engine.load(one) for one in (good[0], bad, good[1])), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), BadAdapter, type(None)]
    assert len(await vllm_engine._model.llm.list_loras()) == loaded + 2
    assert await answer(vllm_engine, good[0].name) != await answer(vllm_engine, good[1].name)
    for one in good:
        assert await vllm_engine.unload(one.name)
    assert len(await vllm_engine._model.llm.list_loras()) == loaded


@pytest.mark.parametrize(
    ("sampling", "field"),
    [
        (Sampling(json_schema='{"not": {"type": "string"}}'), "json_schema"),
        (Sampling(json_schema='{"type": "array", "uniqueItems": true}'), "json_schema"),
        (Sampling(json_schema='{"enum": []}'), "json_schema"),
        (Sampling(json_schema='{"type": "string", "pattern": "\\\\bword"}'), "json_schema"),
    ],
)
async def test_constraint_that_only_the_engine_can_refuse_is_the_callers_fault_and_the_engine_goes_on(
    vllm_engine: VllmEngine, sampling: Sampling, field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await answer(vllm_engine, sampling=sampling)
    assert refused.value.field == field
    assert await answer(vllm_engine) != ""


async def test_pattern_that_outgrows_its_automaton_ends_its_own_answer_and_no_other(vllm_engine: VllmEngine) -> None:
    free = await answer(vllm_engine)
    greedy = Sampling(max_tokens=300, temperature=2.0, seed=1, regex="(.{0,90}b){1,10}")
    answers = await asyncio.gather(*(answer(vllm_engine, sampling=greedy) for _ in range(3)), answer(vllm_engine))
    assert answers[-1] == free
    assert await answer(vllm_engine, sampling=Sampling(choice=("yes", "no"))) in ("yes", "no")


async def test_full_table_is_unavailable_and_nothing_is_pushed_out(
    vllm_engine: VllmEngine, tiny_base: Path, tmp_path: Path
) -> None:
    names = []
    already = len((await vllm_engine.info()).loaded)
    for number in range(TINY_ENGINE.adapter_places - already):
        names.append(f"full@v{number}")
        path = make_adapter(tmp_path / names[-1], tiny_base, seed=100 + number)
        await vllm_engine.load(AdapterFiles(name=names[-1], path=path))
    with pytest.raises(Unavailable) as refused:
        await vllm_engine.load(AdapterFiles(name="beyond@v1", path=make_adapter(tmp_path / "beyond", tiny_base)))
    assert refused.value.reason == "ADAPTERS_FULL"
    assert {*names} <= {*(await vllm_engine.info()).loaded}
    assert await answer(vllm_engine, names[0]) != await answer(vllm_engine, names[1])
    for name in names:
        assert await vllm_engine.unload(name)


async def test_base_answers_the_same_beside_adapters_in_every_slot(
    vllm_engine: VllmEngine, tiny_base: Path, tmp_path: Path
) -> None:
    names = [f"slot@v{number}" for number in range(TINY_ENGINE.adapter_slots)]
    for number, name in enumerate(names):
        path = make_adapter(tmp_path / name, tiny_base, seed=200 + number)
        await vllm_engine.load(AdapterFiles(name=name, path=path))
    alone = [await answer(vllm_engine, name) for name in (*names, None)]
    assert len({*alone}) == len(alone)
    together = await asyncio.gather(*(answer(vllm_engine, name) for name in (*names, None, *names, None)))
    assert together == [*alone, *alone]
    for name in names:
        assert await vllm_engine.unload(name)


async def test_context_beyond_the_models_own_is_a_configuration_error(tiny_base: Path) -> None:
    settings = TINY_ENGINE.model_copy(update={"max_context_tokens": 100_000})
    with pytest.raises(BadConfig, match="max_context_tokens"):
        await VllmEngine(settings, base=tiny_base).start()


@pytest.mark.parametrize(
    ("sampling", "field"),
    [
        (Sampling(stop_token_ids=(10**6,), min_tokens=4), "stop_token_ids"),
        (Sampling(logit_bias=((10**6, 1.0),)), "logit_bias"),
        (Sampling(grammar="start: no_such_rule"), "grammar"),
        (Sampling(grammar='start: "('), "grammar"),
    ],
)
async def test_value_that_only_the_engine_knows_to_be_wrong_is_refused_by_name_and_the_engine_goes_on(
    vllm_engine: VllmEngine, sampling: Sampling, field: str
) -> None:
    before = await answer(vllm_engine)
    with pytest.raises(InvalidArgument) as refused:
        await answer(vllm_engine, sampling=sampling)
    assert refused.value.field == field
    assert await answer(vllm_engine) == before


async def test_several_answers_come_with_their_tokens_likelihoods(vllm_engine: VllmEngine) -> None:
    sampling = Sampling(max_tokens=6, n=3, temperature=1.5, seed=1, logprobs=2, min_tokens=6)
    deltas = [
        delta async for delta in vllm_engine.generate(GenerateRequest(request_id="n", turns=HELLO, sampling=sampling))
    ]
    for index in range(3):
        own = [delta for delta in deltas if delta.index == index]
        tokens = [token for delta in own for token in delta.logprobs]
        assert len(tokens) == 6
        assert all(len(token.top) == 2 and token.logprob <= token.top[0][1] + 1e-6 for token in tokens)
        assert [delta.finish is not None for delta in own] == [False] * (len(own) - 1) + [True]
    assert max(delta.completion_tokens for delta in deltas) == 18
    assert len({"".join(delta.text for delta in deltas if delta.index == index) for index in range(3)}) > 1


async def test_answers_obey_bias_grammar_penalties_and_bare_prompts(vllm_engine: VllmEngine) -> None:
    plain = Sampling(max_tokens=4, logprobs=0)
    request = GenerateRequest(request_id="p", turns=HELLO, sampling=plain)
    assert all(
        token.top == () for delta in [d async for d in vllm_engine.generate(request)] for token in delta.logprobs
    )
    assert await answer(vllm_engine, sampling=Sampling(grammar='start: "yes" | "no"')) in ("yes", "no")
    odd = Sampling(max_tokens=4, top_k=5, min_p=0.01, temperature=1.0, seed=3, presence_penalty=1.0,
                   frequency_penalty=1.0, repetition_penalty=1.2, min_tokens=2)  # fmt: skip
    assert await answer(vllm_engine, sampling=odd) == await answer(vllm_engine, sampling=odd)
    assert vllm_engine._model is not None
    token = vllm_engine._model.chat._tokenizer.encode("a", add_special_tokens=False)[0]
    biased = await answer(vllm_engine, sampling=Sampling(max_tokens=3, min_tokens=3, logit_bias=((token, 100.0),)))
    assert biased == vllm_engine._model.chat._tokenizer.decode([token] * 3)
    bare = (ChatTurn(role="prompt", content="Where is"),)
    found = [d async for d in vllm_engine.generate(GenerateRequest(request_id="b", turns=bare, sampling=plain))]
    assert 0 < found[-1].prompt_tokens < 12
