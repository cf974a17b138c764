"""What an operator's collector receives of a real cycle and of an answer from the version it made."""

from dataclasses import replace
from pathlib import Path

from sealserve.learning.scheduler import Learner
from sealserve.records.cycles import STEPS, CycleState
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.serving.activation.tenant_states import ActivatorSettings
from sealserve.serving.activator import Activator
from sealserve.serving.adapter_table import AdapterTable
from sealserve.serving.admission import Admission
from sealserve.serving.answers import AnswerParts, Answers
from sealserve.serving.salt import TenantSalts
from sealserve.settings.telemetry import TelemetrySettings
from sealserve.telemetry import Telemetry, start_telemetry
from tests.stories.school import TENANT, School
from tests.telemetry.receiver import Receiver, receiving, values

PRICE = "What is the price of Varnel Lamp?"


async def _answer_once(school: School, directory: Path, telemetry: Telemetry) -> None:
    table = AdapterTable()
    settings = ActivatorSettings(replica="r1", poll_seconds=0.01, rollback_window_seconds=60)
    activator = Activator(school.registry, school.student, table, settings, telemetry=telemetry)
    await activator.settle()
    parts = AnswerParts(
        engine=school.student, table=table, admission=Admission(max_running=1, max_queued_per_tenant=1),
        residency=activator.residency, salts=TenantSalts.open(directory / "salt.key"),
        find_tenant=school.registry.tenants.get,
    )  # fmt: skip
    answers = Answers(parts, default_deadline_seconds=10, telemetry=telemetry)
    turns = (ChatTurn(role="user", content=PRICE),)
    _ = [part async for part in answers.stream(TENANT, turns, Sampling())]


async def _story(school: School, directory: Path) -> Receiver:
    with receiving() as receiver:
        settings = TelemetrySettings(otlp_endpoint=receiver.endpoint)
        learn, serve = start_telemetry(settings, service="learn"), start_telemetry(settings, service="serve")
        school.learner = Learner(replace(school.context, telemetry=learn), worker="first")
        school.add("Varnel Lamp")
        assert (await school.learn()).state is CycleState.PROMOTED
        await _answer_once(school, directory, serve)
        learn.shutdown()
        serve.shutdown()
    return receiver


async def test_a_cycle_is_one_trace_and_the_answer_links_to_it(school: School, tmp_path: Path) -> None:
    seen = await _story(school, tmp_path)
    cycle = seen.span("cycle")
    steps = [span for span in seen.spans if span.name == "cycle.step"]
    assert [values(span.attributes)["sealserve.step"] for span in steps] == [step.value for step in STEPS]
    assert {span.trace_id for span in steps} == {cycle.trace_id}
    (answer,) = [span for span in seen.spans if span.name.startswith("chat ")]
    assert [link.trace_id for link in answer.links] == [cycle.trace_id]
    assert answer.trace_id != cycle.trace_id
    assert values(answer.attributes)["sealserve.version"] == 1
    assert seen.services == {"sealserve-learn", "sealserve-serve"}
    assert {"sealserve.cycle.duration", "sealserve.cycle.step.duration", "sealserve.self_edits"} <= set(seen.metrics)
    assert {"gen_ai.server.request.duration", "sealserve.activations"} <= set(seen.metrics)
    assert "Varnel" not in "".join(map(str, seen.spans))
