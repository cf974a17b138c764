"""Log lines: one JSON object each, with trace ids, without anybody's text."""

import json
import logging

import pytest
import structlog

from sealserve.settings.telemetry import TelemetrySettings
from sealserve.telemetry import configure_logs, start_telemetry
from sealserve.telemetry.logs import REDACTED, REDACTED_KEYS


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_is_one_json_object_with_the_spans_ids(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry = start_telemetry(TelemetrySettings(), service="serve")
    with telemetry.span("cycle") as span:
        structlog.get_logger("sealserve.test").info("cycle started", tenant="acme", cycle="c1")
    telemetry.shutdown()
    (line,) = _lines(capsys)
    assert line["trace_id"] == format(span.get_span_context().trace_id, "032x")
    assert line["span_id"] == format(span.get_span_context().span_id, "016x")
    assert (line["event"], line["tenant"], line["level"]) == ("cycle started", "acme", "info")
    assert line["logger"] == "sealserve.test"


def test_a_line_outside_any_span_has_no_ids(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    structlog.get_logger().info("up")
    (line,) = _lines(capsys)
    assert "trace_id" not in line


@pytest.mark.parametrize("key", sorted(REDACTED_KEYS))
def test_what_somebody_wrote_is_blanked_at_any_depth(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    structlog.get_logger().info("x", **{key: "my secret", "inner": {key: ["my secret"]}, "rows": [{key: "my secret"}]})
    (line,) = _lines(capsys)
    assert "my secret" not in json.dumps(line)
    assert (line[key], line["inner"]) == (REDACTED, {key: REDACTED})


def test_other_libraries_log_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    logging.getLogger("other.library").warning("took %d ms", 7, extra={"prompt": "my secret"})
    (line,) = _lines(capsys)
    assert (line["event"], line["logger"], line["level"]) == ("took 7 ms", "other.library", "warning")
    assert line["prompt"] == REDACTED


def test_callers_that_hang_up_are_no_error_of_grpcs(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    log = logging.getLogger("grpc._cython.cygrpc")
    log.error("ExecuteBatchError raised in core by servicer method [%s]", "/x")
    log.error("something else")
    (line,) = _lines(capsys)
    assert line["event"] == "something else"


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(log_level="warning")
    structlog.get_logger().info("quiet")
    logging.getLogger("other").info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in _lines(capsys)] == ["loud"]


def test_an_exception_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        structlog.get_logger().exception("failed")
    (line,) = _lines(capsys)
    assert "ZeroDivisionError" in str(line["exception"])


def test_console_format_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(log_format="console")
    structlog.get_logger().info("cycle started", tenant="acme", text="my secret")
    shown = capsys.readouterr().err
    assert "cycle started" in shown
    assert "tenant=acme" in shown
    assert "my secret" not in shown
