"""Every log line names its event from the one list, and the runbook's alerts are on that list."""

import ast
import re
from collections.abc import Iterator
from functools import cache

from sealserve.telemetry.names import LogEvent
from tests.contract.tree import ROOT, Module, modules

LOGGER = re.compile(r"(?:self\.)?_(?:log|LOG)\.(?:debug|info|warning|error|critical|exception)")
NOUN_VERB_PAST = re.compile(r"[a-z_]+\.(?:not_)?(?:[a-z_]+ed|rebuilt|read|lost|rolled_back)")


def test_every_log_call_names_a_log_event() -> None:
    calls = _log_calls()
    assert len(calls) > len(LogEvent) // 2, "the calls are found"
    assert not [f"{module.path}:{call.lineno}" for module, call, event in calls if not _events(event)]


def test_every_log_event_is_logged() -> None:
    assert {name for _, _, event in _log_calls() for name in _events(event)} == set(LogEvent.__members__)


def test_log_events_are_noun_and_verb_in_the_past() -> None:
    assert not [event for event in LogEvent if not NOUN_VERB_PAST.fullmatch(event)]


def test_runbook_names_log_events_as_they_are() -> None:
    named = re.findall(r"`([a-z_]+\.[a-z_]+)`", (ROOT / "ops/runbook.md").read_text())
    events = [name for name in named if NOUN_VERB_PAST.fullmatch(name)]
    assert events
    assert set(events) <= {event.value for event in LogEvent}


@cache
def _log_calls() -> tuple[tuple[Module, ast.Call, ast.expr | None], ...]:
    """Return every call of a logger, with its first argument; `partial(_LOG.info, event)` is one."""
    return tuple(call for module in modules() if not module.is_test for call in _log_calls_in(module))


def _log_calls_in(module: Module) -> Iterator[tuple[Module, ast.Call, ast.expr | None]]:
    for node in module.nodes:
        if isinstance(node, ast.Call):
            parts = node.args if ast.unparse(node.func) == "partial" else [node.func, *node.args]
            if parts and LOGGER.fullmatch(ast.unparse(parts[0])):
                yield module, node, parts[1] if len(parts) > 1 else None


def _events(argument: ast.expr | None) -> list[str]:
    """Return the members that the argument may be; none if it may be anything else."""
    if isinstance(argument, ast.IfExp):
        first, second = _events(argument.body), _events(argument.orelse)
        return [*first, *second] if first and second else []
    is_member = isinstance(argument, ast.Attribute) and ast.unparse(argument.value) == "LogEvent"
    return [argument.attr] if is_member and isinstance(argument, ast.Attribute) else []
