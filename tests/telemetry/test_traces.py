"""Traces as a real OTLP receiver sees them."""

import time

import pytest
from opentelemetry import trace

from sealserve.errors import BadAdapter
from sealserve.records.cycles import STEPS
from sealserve.settings.telemetry import TelemetrySettings
from sealserve.telemetry import Telemetry, names, start_telemetry, trace_headers, traceparent
from sealserve.telemetry.names import Attribute, Span
from sealserve.telemetry.start import SHUTDOWN_SECONDS
from tests.telemetry.receiver import receiving, values


def _start(endpoint: str, service: str = "serve") -> Telemetry:
    return start_telemetry(TelemetrySettings(otlp_endpoint=endpoint), service=service)


def test_a_cycle_arrives_as_one_trace_with_a_span_for_each_step() -> None:
    with receiving() as receiver:
        telemetry = _start(receiver.endpoint, "learn")
        with telemetry.span(Span.CYCLE, {Attribute.TENANT: "acme", Attribute.CYCLE: "c1"}):
            for step in STEPS:
                with telemetry.span(Span.STEP, {Attribute.STEP: step.value}):
                    pass
        telemetry.shutdown()
    cycle = receiver.span("cycle")
    steps = [span for span in receiver.spans if span.name == "cycle.step"]
    assert [values(span.attributes)["sealserve.step"] for span in steps] == [step.value for step in STEPS]
    assert {span.trace_id for span in steps} == {cycle.trace_id}
    assert {span.parent_span_id for span in steps} == {cycle.span_id}
    assert values(cycle.attributes) == {"sealserve.tenant": "acme", "sealserve.cycle": "c1"}
    assert receiver.services == {"sealserve-learn"}


def test_a_request_links_to_the_cycle_that_made_its_adapter() -> None:
    with receiving() as receiver:
        learn, serve = _start(receiver.endpoint, "learn"), _start(receiver.endpoint, "serve")
        with learn.span(Span.CYCLE):
            lineage = {"traceparent": traceparent()}
        with serve.span(names.request_span(names.OPERATION_CHAT, "nano")) as span:
            serve.link(span, lineage["traceparent"])
        with serve.span(Span.ACTIVATE, links=[lineage["traceparent"]]):
            pass
        learn.shutdown()
        serve.shutdown()
    cycle = receiver.span("cycle")
    for name in ("chat nano", "adapter.activate"):
        (link,) = receiver.span(name).links
        assert (link.trace_id, link.span_id) == (cycle.trace_id, cycle.span_id)
        assert receiver.span(name).trace_id != cycle.trace_id


def test_a_parent_from_another_process_continues_its_trace() -> None:
    with receiving() as receiver:
        telemetry = _start(receiver.endpoint)
        with telemetry.span(Span.CYCLE):
            sent = dict(trace_headers())
        with telemetry.span(Span.LOAD, parent=sent["traceparent"]):
            pass
        telemetry.shutdown()
    assert receiver.span("adapter.load").parent_span_id == receiver.span("cycle").span_id


def test_a_failed_span_carries_the_reason_and_not_the_message() -> None:
    with receiving() as receiver:
        telemetry = _start(receiver.endpoint)
        with pytest.raises(BadAdapter), telemetry.span(Span.LOAD):
            raise BadAdapter("the secret words of a document", defect="not_finite")
        with pytest.raises(ZeroDivisionError), telemetry.span(Span.TRAIN):
            _ = 1 / 0
        telemetry.shutdown()
    failed = receiver.span("adapter.load")
    assert values(failed.attributes) == {"error.type": "BAD_ADAPTER"}
    assert failed.status.code == failed.status.STATUS_CODE_ERROR
    assert "secret" not in str(failed)
    assert values(receiver.span("candidate.train").attributes) == {"error.type": "ZeroDivisionError"}


@pytest.mark.parametrize("text", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_link_that_cannot_be_read_is_left_out(text: str) -> None:
    with receiving() as receiver:
        telemetry = _start(receiver.endpoint)
        with telemetry.span(Span.ACTIVATE, links=[text], parent=text) as span:
            telemetry.link(span, text)
        telemetry.shutdown()
    assert list(receiver.span("adapter.activate").links) == []


def test_spans_cost_nothing_and_name_nothing_when_telemetry_is_off() -> None:
    telemetry = Telemetry.off()
    with telemetry.span(Span.CYCLE, {Attribute.CYCLE: "c1"}) as span:
        assert not span.is_recording()
        assert traceparent() == ""
        assert trace_headers() == ()
    telemetry.shutdown()


def test_spans_have_ids_for_logs_and_lineage_without_an_endpoint() -> None:
    telemetry = start_telemetry(TelemetrySettings(), service="learn")
    with telemetry.span(Span.CYCLE) as span:
        assert traceparent().split("-")[1] == format(span.get_span_context().trace_id, "032x")
    telemetry.shutdown()


def test_a_provider_set_by_somebody_else_is_left_alone() -> None:
    first = start_telemetry(TelemetrySettings(), service="serve")
    before = trace.get_tracer_provider()
    second = start_telemetry(TelemetrySettings(), service="serve")
    assert trace.get_tracer_provider() is before
    assert second.tracer_provider is not before
    first.shutdown()
    second.shutdown()


def test_a_receiver_that_is_away_delays_shutdown_by_seconds_only() -> None:
    with receiving() as receiver:
        endpoint = receiver.endpoint
    telemetry = _start(endpoint)
    with telemetry.span(Span.CYCLE):
        pass
    began = time.monotonic()
    telemetry.shutdown()
    assert time.monotonic() - began < SHUTDOWN_SECONDS + 5
