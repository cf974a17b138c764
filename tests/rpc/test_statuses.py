"""What a caller is told when a call fails: code, details, and nothing that is not his to know."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import grpc.aio
import pytest
import structlog
from google.rpc import error_details_pb2 as details
from google.rpc.status_pb2 import Status

from sealserve import errors
from sealserve.client import AsyncClient, Client
from sealserve.engine.engine import Delta
from sealserve.records.inference import FinishReason
from sealserve.rpc.interceptors import LOG_SECONDS, Failures
from sealserve.serving.adapter_table import Route
from sealserve.telemetry import trace_headers
from sealserve.v1 import common_pb2, inference_pb2, inference_pb2_grpc
from sealserve.wire.statuses import DETAILS_KEY, code_of, from_status, to_status
from tests.rpc.harness import ADMIN_SECRET, BEARER, Served

Code = grpc.StatusCode

TABLE: list[tuple[errors.SealserveError, grpc.StatusCode, set[type]]] = [
    (errors.InvalidArgument("bad", field="top_p"), Code.INVALID_ARGUMENT, {details.BadRequest}),
    (errors.NotFound("tenants/x", kind="tenant"), Code.NOT_FOUND, {details.ResourceInfo}),
    (errors.AlreadyExists("tenants/x", kind="tenant"), Code.ALREADY_EXISTS, {details.ResourceInfo}),
    (errors.Unauthenticated("who?"), Code.UNAUTHENTICATED, set()),
    (errors.PermissionDenied("no"), Code.PERMISSION_DENIED, set()),
    (errors.FailedPrecondition("not ready"), Code.FAILED_PRECONDITION, {details.PreconditionFailure}),
    (errors.BadAdapter("nan", defect="not_finite"), Code.FAILED_PRECONDITION, {details.PreconditionFailure}),
    (errors.BadConfig("key"), Code.FAILED_PRECONDITION, {details.PreconditionFailure}),
    (
        errors.QuotaExceeded("full", retry_seconds=1.5),
        Code.RESOURCE_EXHAUSTED,
        {details.QuotaFailure, details.RetryInfo},
    ),
    (errors.Unavailable("rebuilding", retry_seconds=2.5), Code.UNAVAILABLE, {details.RetryInfo}),
    (errors.StorageFailed("full"), Code.UNAVAILABLE, {details.RetryInfo}),
    (errors.Conflict("etag"), Code.ABORTED, set()),
    (errors.LeaseLost("fence"), Code.ABORTED, set()),
    (errors.DeadlineExceeded("late"), Code.DEADLINE_EXCEEDED, set()),
    (errors.EngineFailed("oops"), Code.INTERNAL, set()),
    (errors.TrainingFailed("oom"), Code.INTERNAL, set()),
    (errors.CouldNotMeasure("no items"), Code.INTERNAL, set()),
    (errors.CorruptArtifact("digest"), Code.DATA_LOSS, set()),
]


def _ids(row: Any) -> str:
    return type(row).__name__ if isinstance(row, errors.SealserveError) else ""


@pytest.mark.parametrize(("error", "code", "kinds"), TABLE, ids=_ids)
def test_error_has_its_code_and_details(
    error: errors.SealserveError, code: grpc.StatusCode, kinds: set[type[Any]]
) -> None:
    status = to_status(error, request_id="r-1")
    assert code_of(error) is code
    assert status.code == code.value[0]
    found = {packed.TypeName().rpartition(".")[2] for packed in status.details}
    assert found == {"ErrorInfo", "RequestInfo"} | {kind.DESCRIPTOR.name for kind in kinds}
    info = details.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (error.reason, "sealserve")


@pytest.mark.parametrize(("error", "code", "kinds"), TABLE, ids=_ids)
def test_error_comes_back_as_its_class(error: errors.SealserveError, code: grpc.StatusCode, kinds: set[type]) -> None:
    back = from_status(to_status(error, request_id="r-1"))
    assert type(back) is type(error)
    assert back.reason == error.reason
    for name in ("field", "resource", "kind", "defect", "retry_seconds"):
        assert getattr(back, name, None) == pytest.approx(getattr(error, name, None)) or isinstance(
            error, errors.StorageFailed
        )


def test_reason_finer_than_its_class_survives_the_wire() -> None:
    error = errors.FailedPrecondition("nothing was active before", reason="NOTHING_TO_ROLL_BACK")
    back = from_status(to_status(error, request_id=""))
    assert isinstance(back, errors.FailedPrecondition)
    assert back.reason == "NOTHING_TO_ROLL_BACK"


def test_where_storage_lies_stays_with_the_operator() -> None:
    status = to_status(errors.StorageFailed("artifact store /srv/secret: its disk is full"), request_id="r")
    assert "/srv/secret" not in str(status)
    assert "try again" in status.message


def test_long_messages_fit_into_metadata() -> None:
    status = to_status(errors.InvalidArgument("ä" * 100_000, field="text"), request_id="r" * 128)
    assert status.ByteSize() < 8_192


@pytest.mark.parametrize(("error", "code", "kinds"), TABLE, ids=_ids)
async def test_failure_in_a_service_reaches_both_clients_as_its_class(
    here: Served, error: errors.SealserveError, code: grpc.StatusCode, kinds: set[type]
) -> None:
    here.answers.failure = error
    with pytest.raises(type(error)):
        await here.client.ask("acme", "Where?")
    with pytest.raises(type(error)):
        _ = [event async for event in here.client.stream("acme", "Where?")]
    with Client(here.address, token=ADMIN_SECRET) as client, pytest.raises(type(error)):
        await asyncio.to_thread(client.ask, "acme", "Where?")


@pytest.mark.parametrize("failure", [ValueError("secret text"), KeyError("secret text"), TimeoutError("secret text")])
async def test_unexpected_failure_tells_a_request_id_and_nothing_else(
    here: Served, failure: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    here.answers.failure = failure
    with pytest.raises(errors.OurError) as told:
        await here.client.ask("acme", "Where?", request_id="find-me")
    assert told.value.reason == "INTERNAL"
    assert "find-me" in told.value.message
    assert "secret" not in told.value.message
    logged = capsys.readouterr()
    assert "find-me" in logged.out + logged.err
    assert "secret" not in logged.out + logged.err


async def test_request_id_is_sent_back_and_made_where_it_is_missing(here: Served) -> None:
    message = common_pb2.Message(role=common_pb2.ROLE_USER, content="Where?")
    request = inference_pb2.GenerateRequest(parent="tenants/acme", messages=[message])
    async with grpc.aio.insecure_channel(here.address) as channel:
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        named = stub.Generate(request, metadata=(("x-request-id", "mine"), *BEARER))
        assert (await named).metadata.request_id == "mine"
        assert ("x-request-id", "mine") in list(await named.trailing_metadata())
        unnamed = await stub.Generate(request, metadata=BEARER)
    assert len(unnamed.metadata.request_id) == 32


async def test_request_id_that_is_too_long_is_refused_by_name(here: Served) -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        await here.client.ask("acme", "Where?", request_id="x" * 129)
    assert refused.value.field == "request_id"


async def test_details_are_where_other_languages_look_for_them(here: Served) -> None:
    here.answers.failure = errors.QuotaExceeded("full", retry_seconds=2)
    message = common_pb2.Message(role=common_pb2.ROLE_USER, content="Where?")
    request = inference_pb2.GenerateRequest(parent="tenants/acme", messages=[message])
    async with grpc.aio.insecure_channel(here.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await inference_pb2_grpc.InferenceServiceStub(channel).Generate(request, metadata=BEARER)
    trailing: dict[Any, Any] = dict(refused.value.trailing_metadata())
    status = Status.FromString(trailing[DETAILS_KEY])
    assert status.code == Code.RESOURCE_EXHAUSTED.value[0]
    assert status.message == refused.value.details()


async def test_server_that_is_not_there_is_unavailable_and_says_what_to_do() -> None:
    async with AsyncClient("127.0.0.1:1", timeout_seconds=5) as client:
        with pytest.raises(errors.Unavailable, match="sealserve serve"):
            await client.tenant("acme")


async def test_call_the_server_does_not_know_is_told_apart(here: Served) -> None:
    async with grpc.aio.insecure_channel(here.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _raw(channel, "/sealserve.v1.InferenceService/Dance")(b"")
    assert refused.value.code() is Code.UNIMPLEMENTED


async def test_callers_trace_goes_on_in_the_server(here: Served) -> None:
    seen: list[tuple[str, str]] = []

    async def stream(tenant: str, *_: object, **__: object) -> AsyncGenerator[Route | Delta, None]:
        seen.extend(trace_headers())
        yield Route(tenant=tenant, version=0, activation=0, engine_name=None)
        yield Delta(text="x", completion_tokens=1, prompt_tokens=1, cached_tokens=0, finish=FinishReason.STOP)

    here.answers.stream = stream  # type: ignore[method-assign]
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    message = common_pb2.Message(role=common_pb2.ROLE_USER, content="Where?")
    request = inference_pb2.GenerateRequest(parent="tenants/acme", messages=[message])
    async with grpc.aio.insecure_channel(here.address) as channel:
        await inference_pb2_grpc.InferenceServiceStub(channel).Generate(
            request, metadata=(("traceparent", parent), *BEARER)
        )
    assert ("traceparent", parent) in seen


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Received message larger than max (9 vs. 4)", errors.InvalidArgument),
        ("Concurrent RPC limit", errors.Unavailable),
    ],
)
def test_refusals_by_grpc_itself_are_told_apart(text: str, kind: type[errors.SealserveError]) -> None:
    assert isinstance(from_status(Status(code=Code.RESOURCE_EXHAUSTED.value[0], message=text)), kind)


def _raw(channel: grpc.aio.Channel, method: str) -> Any:
    return channel.unary_unary(method)


def test_failures_for_one_reason_are_logged_now_and_then_with_their_count() -> None:
    now = [0.0]
    failures = Failures(clock=lambda: now[0])
    with structlog.testing.capture_logs() as lines:
        for _ in range(100):
            failures.told(errors.Unavailable("rebuilding", reason="REBUILDING"), method="Generate", request_id="r")
        failures.told(errors.StorageFailed("full"), method="AddDocument", request_id="r")
        now[0] += LOG_SECONDS
        failures.told(errors.Unavailable("rebuilding", reason="REBUILDING"), method="Generate", request_id="r")
    assert [(line["error_type"], line["unlogged"]) for line in lines] == [
        ("REBUILDING", 0), ("STORAGE_FAILED", 0), ("REBUILDING", 99),
    ]  # fmt: skip
