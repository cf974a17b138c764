"""Metrics as a real OTLP receiver sees them."""

import prometheus_client
import pytest

from sealserve.errors import StorageFailed
from sealserve.records.cycles import Step
from sealserve.records.documents import DocumentState
from sealserve.records.scores import Decision
from sealserve.settings.telemetry import TelemetrySettings
from sealserve.telemetry import Telemetry, names, start_telemetry
from tests.telemetry.receiver import Receiver, receiving, values


def _record_one_of_each(telemetry: Telemetry) -> None:
    metrics = telemetry.metrics
    metrics.request_finished(1.0, model="nano", input_tokens=12, output_tokens=5, first_token_seconds=0.2)
    metrics.watch_queue(lambda: 3)
    metrics.document_received(DocumentState.QUARANTINED, reason="BINARY")
    metrics.watch_documents(lambda: {DocumentState.ADMITTED: 7, DocumentState.LEARNED: 2})
    metrics.cycle_finished(42.0, verdict=Decision.PROMOTE)
    metrics.step_finished(Step.TRAIN, 20.0)
    metrics.self_edits(4, kept=False, reason="NOT_GROUNDED")
    metrics.swapped(tenant="acme", kind="promote", flip_seconds=0.00002, observed_seconds=0.3)
    metrics.swapped(tenant="acme", kind="rollback", flip_seconds=0.00002, observed_seconds=None)
    metrics.adapter_refused("not_finite")
    metrics.adapters_loaded(2)
    metrics.versions_not_loaded(1)
    metrics.adapter_waited(0.2, first_token_seconds=0.3)
    metrics.winner_probed(trigger_gap=0.3, spectrum_z=1.0)
    metrics.findings({"email": 2, "card": 0})
    metrics.source_synced({"received": 2, "failed": 0}, outcome="done")
    metrics.engine_rebuilt("died")
    metrics.canary_measured(0.9, tenant="acme", suite="tone")
    metrics.canary_regressed(tenant="acme", suite="tone", against="base")
    metrics.watched("acme", {"quality": 2.5})
    metrics.paired("worse")
    metrics.watch_rolled_back("acme", "quality")


@pytest.fixture(scope="module")
def received() -> Receiver:
    with receiving() as receiver:
        telemetry = start_telemetry(TelemetrySettings(otlp_endpoint=receiver.endpoint), service="serve")
        _record_one_of_each(telemetry)
        telemetry.metrics.request_finished(2.0, model="nano", error="ENGINE_FAILED", first_token_seconds=0.1)
        telemetry.shutdown()
    return receiver


def test_every_listed_metric_arrives_with_its_unit_and_words(received: Receiver) -> None:
    assert set(received.metrics) == {metric.name for metric in names.METRICS}
    for metric in names.METRICS:
        assert (received.metrics[metric.name].unit, received.metrics[metric.name].description) == (
            metric.unit, metric.says,
        )  # fmt: skip


def test_request_duration_tells_failed_calls_from_good_ones(received: Receiver) -> None:
    points = received.metrics["gen_ai.server.request.duration"].histogram.data_points
    by_error = {values(point.attributes).get("error.type", ""): point for point in points}
    assert by_error[""].sum == 1.0
    assert by_error["ENGINE_FAILED"].sum == 2.0
    assert tuple(by_error[""].explicit_bounds) == names.REQUEST_DURATION.buckets
    assert values(by_error[""].attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "sealserve",
        "gen_ai.request.model": "nano",
    }


def test_a_failed_call_counts_no_tokens_and_no_first_token(received: Receiver) -> None:
    (first,) = received.metrics["gen_ai.server.time_to_first_token"].histogram.data_points
    (later,) = received.metrics["gen_ai.server.time_per_output_token"].histogram.data_points
    tokens = received.metrics["gen_ai.client.token.usage"].histogram.data_points
    assert (first.count, first.sum) == (1, 0.2)
    assert later.sum == pytest.approx(0.8 / 4)
    assert {values(point.attributes)["gen_ai.token.type"]: point.sum for point in tokens} == {"input": 12, "output": 5}


def test_what_is_watched_is_read_at_export(received: Receiver) -> None:
    states = received.metrics["sealserve.documents"].gauge.data_points
    assert {values(point.attributes)["sealserve.document.state"]: point.as_int for point in states} == {
        "admitted": 7,
        "learned": 2,
    }
    assert received.metrics["sealserve.queue.depth"].gauge.data_points[0].as_int == 3


def test_documents_that_cannot_be_counted_are_left_out_and_the_rest_is_exported() -> None:
    def away() -> dict[DocumentState, int]:
        raise StorageFailed("the database is away")

    with receiving() as receiver:
        telemetry = start_telemetry(TelemetrySettings(otlp_endpoint=receiver.endpoint), service="serve")
        telemetry.metrics.watch_documents(away)
        telemetry.metrics.adapters_loaded(2)
        telemetry.shutdown()
    assert set(receiver.metrics) == {"sealserve.adapters.loaded"}


def test_a_rollback_is_counted_as_an_activation_too(received: Receiver) -> None:
    moves = received.metrics["sealserve.activations"].sum.data_points
    assert {values(point.attributes)["sealserve.kind"]: point.as_int for point in moves} == {
        "promote": 1,
        "rollback": 1,
    }
    assert received.metrics["sealserve.rollbacks"].sum.data_points[0].as_int == 1


def test_no_histogram_carries_a_tenant(received: Receiver) -> None:
    for metric in received.metrics.values():
        for point in metric.histogram.data_points:
            assert "sealserve.tenant" not in values(point.attributes)


def test_metrics_can_be_recorded_when_telemetry_is_off() -> None:
    telemetry = Telemetry.off()
    _record_one_of_each(telemetry)
    telemetry.shutdown()
    assert telemetry.meter_provider is not None


def test_no_name_is_listed_twice() -> None:
    listed = [metric.name for metric in names.METRICS]
    assert len(listed) == len(set(listed))
    assert len(set(names.Attribute)) == len({attribute.value for attribute in names.Attribute})


def test_tenants_beyond_the_bound_are_counted_together() -> None:
    with receiving() as receiver:
        settings = TelemetrySettings(otlp_endpoint=receiver.endpoint, labelled_tenants=2)
        telemetry = start_telemetry(settings, service="serve")
        for n in (1, 2, 3, 4, 1, 4):
            telemetry.metrics.swapped(tenant=f"t{n}", kind="rollback", flip_seconds=0.1, observed_seconds=None)
            telemetry.metrics.canary_measured(0.5, tenant=f"t{n}", suite="tone")
        telemetry.shutdown()
    rollbacks = receiver.metrics["sealserve.rollbacks"].sum.data_points
    assert {values(point.attributes)["sealserve.tenant"]: point.as_int for point in rollbacks} == {
        "t1": 2, "t2": 1, "_OTHER": 3,
    }  # fmt: skip
    shares = receiver.metrics["sealserve.canary.share"].gauge.data_points
    assert {values(point.attributes)["sealserve.tenant"] for point in shares} == {"t1", "t2"}


def test_metrics_can_be_scraped_and_none_that_others_registered() -> None:
    prometheus_client.Counter("somebody_elses", "Of another library.")
    telemetry = start_telemetry(TelemetrySettings(), service="serve", is_scraped=True)
    telemetry.metrics.request_finished(0.5, model="nano", input_tokens=3, output_tokens=2)
    text = telemetry.scrape().decode()
    telemetry.shutdown()
    assert "gen_ai_server_request_duration_seconds_bucket" in text
    assert "somebody_elses" not in text
    assert Telemetry.off().scrape() == b""
