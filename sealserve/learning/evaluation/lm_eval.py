"""Standard benchmarks: lm-eval's tasks over local files, answered by the served model. Needs the extra `evals`.

A task file is data: one that names code, another host or a file outside its folder is refused. Nothing is downloaded.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from sealserve.canonical import Json
from sealserve.concurrency import in_thread
from sealserve.engine.engine import AdapterFiles
from sealserve.errors import BadConfig, Unavailable
from sealserve.learning.context import LearnContext
from sealserve.learning.engine_client import EngineClient, candidate_name
from sealserve.learning.evaluation.lm_eval_tasks import BenchmarkScore, BenchmarkTask
from sealserve.records.inference import EngineState
from sealserve.records.versions import BASE_VERSION

OUTPUT_TYPES = ("multiple_choice", "generate_until")
"""Of lm-eval's, those that can be answered in turns of a chat; others ask for whether a text would be generated."""


CYCLE = "bench"
"""Stands in engine names where a cycle's id would."""


REFUSED_KEYS = ("include", "custom_dataset", "dataset_name", "unsafe_code", "use_prompt", "group")


MAX_FILE_BYTES = 64 * 1024 * 1024


def read_tasks(directory: Path) -> tuple[BenchmarkTask, ...]:
    """Return the tasks of every *.yaml in `directory`, with their rows.

    Raises: BadConfig, naming the file (none, not plain YAML, two of one name, no local JSONL, another output_type).
    """
    files = sorted(directory.glob("*.yaml"))
    if not files:
        raise BadConfig(f"{directory}: no task files (*.yaml) there")
    tasks = [_task(file) for file in files]
    names = [task.name for task in tasks]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadConfig(f"{directory}: two tasks are named {min(twice)!r}")
    return tuple(tasks)


def require_evals() -> None:
    """Return if lm-eval is installed. Raises: BadConfig, saying how to install it."""
    if find_spec("lm_eval") is None:
        raise BadConfig("lm-eval is not installed: pip install 'sealserve[evals]'")


async def run_tasks(
    client: EngineClient, files: AdapterFiles | None, tasks: Sequence[BenchmarkTask], *, limit: int | None = None
) -> tuple[BenchmarkScore, ...]:
    """Return every metric of every task, asked of `files` (None: the base), greedy, in a chat's turns.

    `limit` takes the first so many rows of each. Raises: BadConfig (lm-eval missing, or it cannot use a task), and as
    `EngineClient.ask`.
    """
    require_evals()
    from sealserve.learning.evaluation.lm_eval_model import evaluate

    async with client.loaded(files) as adapter:
        loop = asyncio.get_running_loop()
        return await asyncio.to_thread(evaluate, tasks, client=client, adapter=adapter, loop=loop, limit=limit)


async def run_on_version(
    context: LearnContext, tenant: str, version: int, *, tasks: Sequence[BenchmarkTask], limit: int | None = None
) -> tuple[int, tuple[BenchmarkScore, ...]]:
    """Return which version answered, and how: `version` of `tenant` (0: the active one), the base if tenant is "".

    Raises: as `run_tasks`; NotFound, CorruptArtifact; Unavailable while no engine is served.
    """
    if (await context.engine.info()).state is EngineState.STOPPED:
        raise Unavailable("no engine can be reached; start one with: sealserve up", retry_seconds=5)
    client = EngineClient(context.engine, tenant=tenant, cycle=CYCLE, concurrency=context.settings.learn.concurrency)
    if not tenant:
        return version, await run_tasks(client, None, tasks, limit=limit)
    async with in_thread(_open_files(context, tenant, version)) as (chosen, files):
        return chosen, await run_tasks(client, files, tasks, limit=limit)


@contextmanager
def _open_files(context: LearnContext, tenant: str, version: int) -> Iterator[tuple[int, AdapterFiles | None]]:
    """Give which version is meant, and its files inside the block; None is the base model."""
    chosen = version or context.registry.tenants.get(tenant).desired_version
    if chosen == BASE_VERSION:
        yield chosen, None
        return
    artifact = context.registry.versions.get(tenant, chosen).artifact
    with context.registry.artifacts.materialise(artifact) as path:
        yield chosen, AdapterFiles(name=candidate_name(CYCLE, f"{tenant}-{chosen}", artifact=artifact), path=path)


def _task(file: Path) -> BenchmarkTask:
    try:
        tree = yaml.safe_load(file.read_bytes())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadConfig(f"{file}: not plain YAML (code such as !function is not taken): {error}") from error
    if not isinstance(tree, dict) or not isinstance(tree.get("task"), str):
        raise BadConfig(f"{file}: not a task; it has a name under task")
    if foreign := [key for key in REFUSED_KEYS if key in tree]:
        raise BadConfig(f"{file}: {foreign[0]} is not taken")
    if tree.get("output_type") not in OUTPUT_TYPES:
        raise BadConfig(f"{file}: output_type is {' or '.join(OUTPUT_TYPES)}")
    data = tree.pop("dataset_kwargs", None)
    if tree.pop("dataset_path", None) != "json" or not isinstance(data, dict) or set(data) != {"data_files"}:
        raise BadConfig(f"{file}: dataset_path is json, with dataset_kwargs.data_files: a local file for each split")
    named = data["data_files"]
    if not isinstance(named, dict) or not all(isinstance(one, str) for one in named.values()):
        raise BadConfig(f"{file}: dataset_kwargs.data_files names one local file for each split")
    splits = {str(split): _rows(file.parent, name) for split, name in named.items()}
    return BenchmarkTask(name=tree["task"], settings=tree, splits=splits)


def _rows(directory: Path, name: str) -> list[Json]:
    path = (directory / name).resolve()
    if not path.is_relative_to(directory.resolve()):
        raise BadConfig(f"{path}: data lies beside its task file, not elsewhere")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadConfig(f"{path}: larger than {MAX_FILE_BYTES} bytes")
        rows: list[Any] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError, RecursionError) as error:
        raise BadConfig(f"{path}: cannot be read as JSONL") from error
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise BadConfig(f"{path}: one JSON object a line, and at least one")
    return rows
