"""A request is answered by one version to its end; a version may be named, over HTTP and over gRPC alike."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import pytest

from sealserve.bench.harness.serving_site import promote_artifact
from sealserve.errors import FailedPrecondition, NotFound
from sealserve.records.inference import Sampling
from sealserve.records.reports import Piece
from sealserve.v1 import common_pb2, inference_pb2, inference_pb2_grpc
from sealserve.wire.channels import bearer
from tests.gateway.harness import Gateway
from tests.rpc.harness import until

BODY: dict[str, Any] = {"model": "acme", "messages": [{"role": "user", "content": "Who?"}], "temperature": 0}


async def promoted(here: Gateway, directory: Path, tenant: str = "acme") -> int:
    """Publish and promote a version, and return its number once it answers."""
    version = here.parts.registry.tenants.get(tenant).desired_version + 1
    files = directory / f"{tenant}-{version}"
    files.mkdir()
    (files / "adapter_config.json").write_text("{}")
    (files / "adapter_model.safetensors").write_text(f"weights {version}")
    artifact = await asyncio.to_thread(here.parts.registry.artifacts.put_directory, files)
    site: Any = SimpleNamespace(registry=here.parts.registry, seals=here.parts.seals)
    await asyncio.to_thread(promote_artifact, site, tenant, artifact)
    here.parts.activator.wake()
    await until(lambda: bool((route := here.parts.table.route(tenant)) and route.version == version))
    return version


async def test_answer_names_its_version_and_a_version_can_be_asked_for(here: Gateway, tmp_path: Path) -> None:
    for _ in range(2):
        await promoted(here, tmp_path)
    async with here.http(here.token("acme")) as http, here.grpc() as client:
        told = {}
        for name in ("acme", "acme@v1", "acme@base"):
            answer = await http.post("/v1/chat/completions", json={**BODY, "model": name})
            told[name] = answer.headers["x-sealserve-model"]
            assert answer.json()["system_fingerprint"].startswith(told[name])
        listed = [model["id"] for model in (await http.get("/v1/models")).json()["data"]]
        models = await client.models("acme")
        first = await client.ask("acme", "Who?", version=1)
    assert told == {"acme": "acme@v2", "acme@v1": "acme@v1", "acme@base": "acme@base"}
    assert listed == ["acme", "acme@base", "acme@v2", "acme@v1"] == [model.id for model in models]
    assert [model.active for model in models] == [True, False, True, False]
    assert (first.version, first.answering.activation) == (1, 2)


async def test_version_that_was_taken_back_is_refused_and_one_that_never_was_is_not_found(
    here: Gateway, tmp_path: Path
) -> None:
    for _ in range(2):
        await promoted(here, tmp_path)
    here.parts.registry.versions.rollback("acme", expected_etag=None, actor="ann", reason="bad")
    async with here.http() as http, here.grpc() as client:
        taken_back = await http.post("/v1/chat/completions", json={**BODY, "model": "acme@v2"})
        unknown = await http.post("/v1/chat/completions", json={**BODY, "model": "acme@v9"})
        with pytest.raises(FailedPrecondition) as refused:
            await client.ask("acme", "Who?", version=2)
        with pytest.raises(NotFound):
            await client.ask("acme", "Who?", version=9)
    assert (taken_back.status_code, taken_back.json()["error"]["code"]) == (409, "version_revoked")
    assert unknown.status_code == 404
    assert refused.value.reason == "VERSION_REVOKED"


async def test_stream_that_began_before_a_promotion_ends_with_its_own_version(here: Gateway, tmp_path: Path) -> None:
    await promoted(here, tmp_path)
    async with here.http() as http:
        alone = await http.post("/v1/chat/completions", json=BODY)
        here.engine.gate.clear()
        asking = asyncio.create_task(http.post("/v1/chat/completions", json={**BODY, "stream": True}))
        await until(lambda: sum(request.turns[-1].content == "Who?" for request in here.engine.requests) == 2)
        here.engine.gate.set()
        await promoted(here, tmp_path)
        streamed = await asking
        after = await http.post("/v1/chat/completions", json=BODY)
    assert streamed.headers["x-sealserve-model"] == "acme@v1" == alone.headers["x-sealserve-model"]
    assert after.headers["x-sealserve-model"] == "acme@v2"


async def test_adapter_of_another_tenant_is_refused_over_grpc(here: Gateway) -> None:
    message = common_pb2.Message(role=common_pb2.ROLE_USER, content="Who?")
    request = inference_pb2.GenerateRequest(
        parent="tenants/acme", messages=[message], adapter="tenants/globex/adapters/v1"
    )
    async with grpc.aio.insecure_channel(here.grpc_address) as channel:
        with pytest.raises(grpc.RpcError) as refused:
            await inference_pb2_grpc.InferenceServiceStub(channel).Generate(request, metadata=bearer(here.admin))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_several_answers_and_log_probabilities_travel_over_grpc(here: Gateway) -> None:
    sampling = Sampling(n=3, temperature=1.0, seed=5, logprobs=1, max_tokens=4)
    async with here.grpc() as client:
        whole = await client.ask("acme", "Who?", sampling=sampling)
        pieces = [event async for event in client.stream("acme", "Who?", sampling=sampling)]
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    assert len({choice.text for choice in whole.choices}) == 3
    assert whole.text == whole.choices[0].text
    assert whole.usage.completion_tokens == 12
    for choice in whole.choices:
        own = [event for event in pieces if isinstance(event, Piece) and event.index == choice.index]
        assert "".join(piece.text for piece in own) == choice.text
        assert sum((piece.logprobs for piece in own), ()) == choice.logprobs
        assert own[-1].finish is choice.finish
    assert [len(token.top) for token in whole.choices[0].logprobs] == [1, 1, 1, 1]


async def test_answer_to_a_named_version_is_no_evidence_in_a_watch(
    here: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    await promoted(here, tmp_path)
    monkeypatch.setattr(here.parts.rollouts, "answered", lambda answered: heard.append(answered.request_id))
    async with here.grpc() as client:
        await client.ask("acme", "Who?", version=1, request_id="named")
        await client.ask("acme", "Who?", request_id="in turn")
    assert heard == ["in turn"]
