"""Standard benchmarks: task files that are data alone, answered by an engine through lm-eval without a network."""

import json
import socket
from pathlib import Path

import pytest
import yaml

from sealserve.canonical import Json
from sealserve.errors import BadConfig
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.evaluation.lm_eval import read_tasks, run_tasks
from sealserve.packaged_policies import policy_directory
from tests.fakes import Answerer, FakeEngine

SHIPPED = policy_directory() / "canaries" / "tasks"
TASK: Json = {
    "task": "t",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": "t.jsonl"}},
    "output_type": "multiple_choice",
}


def test_the_shipped_tasks_are_read_with_their_rows() -> None:
    tasks = {task.name: task for task in read_tasks(SHIPPED)}
    assert set(tasks) == {"general-knowledge", "sums"}
    assert all(len(task.splits["test"]) == 12 for task in tasks.values())
    assert all(len(row["choices"]) == 4 for row in tasks["general-knowledge"].splits["test"])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"task": 5}, "name under task"),
        ({"output_type": "loglikelihood_rolling"}, "output_type"),
        ({"include": "other.yaml"}, "include"),
        ({"dataset_path": "cais/mmlu"}, "dataset_path is json"),
        ({"dataset_kwargs": {"data_files": {"test": "https://192.0.2.1/t.jsonl"}}}, "cannot be read"),
        ({"dataset_kwargs": {"data_files": {"test": "../t.jsonl"}}}, "beside its task file"),
        ({"dataset_kwargs": {"data_files": {"test": "/etc/passwd"}}}, "beside its task file"),
        ({"dataset_kwargs": {"data_files": {"test": "empty.jsonl"}}}, "at least one"),
        ({"dataset_kwargs": {"data_files": {"test": "wrong.jsonl"}}}, "cannot be read as JSONL"),
    ],
)
def test_a_task_that_is_more_than_local_data_is_refused(tmp_path: Path, change: Json, fault: str) -> None:
    (tmp_path / "t.jsonl").write_text('{"question": "q"}\n')
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "wrong.jsonl").write_text("{")
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(TASK | change))
    with pytest.raises(BadConfig, match=fault):
        read_tasks(tmp_path)


def test_code_in_a_task_file_is_refused_and_an_empty_folder_too(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="no task files"):
        read_tasks(tmp_path)
    (tmp_path / "t.yaml").write_text("task: t\nprocess_docs: !function code.run\n")
    with pytest.raises(BadConfig, match="not plain YAML"):
        read_tasks(tmp_path)


async def test_the_shipped_tasks_run_against_an_engine_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lm_eval", reason="the extra `evals` is not installed")
    engine = FakeEngine(answerer=_sums())
    await engine.start()
    engine.likelihoods |= _letters()

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    client = EngineClient(engine, tenant="acme", cycle="bench", concurrency=4)
    scores = await run_tasks(client, None, read_tasks(SHIPPED))
    found = {(one.task, one.metric): (one.n, one.value) for one in scores}
    assert found == {("general-knowledge", "acc"): (12, 0.75), ("sums", "exact_match,last-number"): (12, 0.5)}
    assert {one.task: (await _first(client, one.task)) for one in scores} == {"general-knowledge": 3, "sums": 3}


async def _first(client: EngineClient, task: str) -> int:
    """How many rows are asked when three are wanted."""
    chosen = [one for one in read_tasks(SHIPPED) if one.name == task]
    return (await run_tasks(client, None, chosen, limit=3))[0].n


def _rows(name: str) -> list[Json]:
    return [json.loads(line) for line in (SHIPPED / f"{name}.jsonl").read_text().splitlines()]


def _sums() -> Answerer:
    """Writes the right sum out to every second question, and then goes on asking itself."""
    answers = {row["question"]: row["answer"] if i % 2 else "0" for i, row in enumerate(_rows("sums"))}

    def answer(adapter: str | None, prompt: str) -> str:
        return f"Let me see: 1 and 1. So it is {answers[prompt.splitlines()[0]]}. Question: what is 7 plus 7? 14"

    return answer


def _letters() -> dict[tuple[str | None, str, str], float]:
    """The right letter is likeliest in three of four questions."""
    found: dict[tuple[str | None, str, str], float] = {}
    for i, row in enumerate(_rows("general-knowledge")):
        lines = "\n".join(f"{letter}. {choice}" for letter, choice in zip("ABCD", row["choices"], strict=True))
        prompt = f"{row['question']}\n{lines}\nAnswer with the letter."
        likeliest = row["answer"] if i % 4 else (row["answer"] + 1) % 4
        found |= {(None, prompt, letter): -1.0 if j == likeliest else -3.0 for j, letter in enumerate("ABCD")}
    return found
