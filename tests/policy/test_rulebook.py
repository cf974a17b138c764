"""Policy as code: the shipped rules and their golden cases, and what no bundle may be."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sealserve.errors import BadConfig
from sealserve.packaged_policies import policy_directory
from sealserve.policy.bundle import load_bundle
from sealserve.policy.evaluate import decide
from sealserve.policy.events import EXAMPLES, Event
from sealserve.policy.golden_cases import Case, check, read_cases
from sealserve.policy.rulebook import Rulebook, proven_bundle
from sealserve.records.policy_decisions import RuleEffect

CASES = read_cases(policy_directory())
SHIPPED = load_bundle(policy_directory())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in ("rules", "tests/rules"):
        shutil.copytree(policy_directory() / name, tmp_path / name)
    return tmp_path


def write(directory: Path, text: str, *, file: str = "rules/more.yaml") -> Path:
    (directory / file).parent.mkdir(exist_ok=True)
    (directory / file).write_text(text, encoding="utf-8")
    return directory


def rule(text: str, *, event: str = "adapter.promote", name: str = "more.rule", form: str = "deny_if") -> str:
    return f"{event}:\n  rules:\n    - {{id: {name}, {form}: '{text}', reason: because}}\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden_case_of_the_shipped_rules(case: Case) -> None:
    assert next(one for one in check(SHIPPED, [case]) if one.name == case.name).is_right


def test_every_event_of_the_shipped_rules_lets_something_pass() -> None:
    assert all(one.is_right for one in check(SHIPPED, CASES))
    assert {rule.event for rule in SHIPPED.rules} == set(Event)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (rule("verdict.decision =="), "no CEL condition"),
        (rule('verdict.decisions == "promote"'), "verdict.decisions, which no input"),
        (rule("scores.all(s, s.lbc > 0.0)"), "no answer on an example"),
        (rule("nobody.knows"), "no CEL condition"),
        (rule("vars.missing > 1"), "vars.missing, which no input"),
        (rule("trigger"), "no answer on an example"),
        (
            rule(
                "[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, "
                "[1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, a + b + c + d + e > 0)))))"
            ),
            "no answer on an example",
        ),
        (rule('actor == ""', name="promote.verdict"), "stands there twice"),
        (rule("version.is_imported", form="hold_unless"), "contradicts promote.imported"),
        (rule("true", event="adapter.promotion"), "is no event"),
        (rule("true", form="permit_if"), "one of deny_if"),
        ("adapter.promote: [1]", "nothing else"),
        ("- 1", "a YAML mapping"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_bad_bundle_is_refused_whole_and_says_why(directory: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadConfig, match=complaint):
        proven_bundle(write(directory, text))


def test_rules_that_let_nothing_pass_never_come_into_force(directory: Path) -> None:
    with pytest.raises(BadConfig, match="golden cases fail"):
        proven_bundle(write(directory, rule('trigger != "nobody"')))


def test_no_rules_or_no_cases_are_refused(tmp_path: Path, directory: Path) -> None:
    shutil.rmtree(directory / "tests")
    with pytest.raises(BadConfig, match="no golden cases"):
        proven_bundle(directory)
    shutil.rmtree(directory / "rules")
    with pytest.raises(BadConfig, match="no rules"):
        proven_bundle(directory)


@pytest.mark.parametrize("event", list(Event))
def test_an_input_that_lacks_anything_is_denied(event: Event) -> None:
    bundle = SHIPPED
    for name, value in EXAMPLES[event].items():
        lacking = {key: inner for key, inner in EXAMPLES[event].items() if key != name}
        assert decide(bundle, event, lacking).effect is RuleEffect.DENY, name
        for field in value if isinstance(value, dict) else ():
            less = {**EXAMPLES[event], name: {key: inner for key, inner in value.items() if key != field}}
            assert decide(bundle, event, less).effect is RuleEffect.DENY, f"{name}.{field}"


def test_what_no_input_has_is_an_error_and_denies() -> None:
    bundle = SHIPPED
    given = {**EXAMPLES[Event.ADAPTER_PROMOTE], "scores": [{"name": "canary"}]}
    decided = decide(bundle, Event.ADAPTER_PROMOTE, given)
    [denied] = [one for one in decided.results if one.error]
    assert (decided.effect, denied.rule) == (RuleEffect.DENY, "promote.measured")
    assert "is_measured" in denied.error


def test_an_overlay_changes_numbers_and_adds_rules_for_its_tenant_alone(directory: Path) -> None:
    text = "adapter.promote:\n  vars: {approvals: 2}\n  rules:\n    - {id: acme.day, warn_if: 'true', reason: acme}\n"
    bundle = load_bundle(write(directory, text, file="rules/tenants/acme.yaml"))
    given = EXAMPLES[Event.ADAPTER_PROMOTE]
    assert decide(bundle.of("acme"), Event.ADAPTER_PROMOTE, given).effect is RuleEffect.HOLD
    assert decide(bundle.of("globex"), Event.ADAPTER_PROMOTE, given).effect is RuleEffect.ALLOW
    for approvals, effect in ((["ann", "bea", "cid"], RuleEffect.HOLD), (["bea", "dan"], RuleEffect.WARN)):
        asked = {**given, "approvals": approvals}  # ann and cid are authors
        assert decide(bundle.of("acme"), Event.ADAPTER_PROMOTE, asked).effect is effect
    with pytest.raises(BadConfig, match="no rule knows the variable aprovals"):
        load_bundle(write(directory, "adapter.promote: {vars: {aprovals: 2}}", file="rules/tenants/acme.yaml"))


def test_a_changed_bundle_comes_into_force_only_with_its_golden_cases(directory: Path) -> None:
    book = Rulebook(directory, clock=lambda: datetime.now(UTC))
    before = book.bundle().digest
    write(directory, rule('trigger != "nobody"'))
    assert book.bundle().digest == before
    write(directory, rule('actor == "eve"'))
    assert book.bundle().digest != before
    given = {**EXAMPLES[Event.ADAPTER_PROMOTE], "actor": "eve"}
    ruling = book.rule(Event.ADAPTER_PROMOTE, given, tenant="acme", subject="c1")
    assert (ruling.effect, ruling.reasons) == (RuleEffect.DENY, ("more.rule: because",))
    assert ruling.bundle == book.bundle().digest
