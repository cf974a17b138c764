"""The constraint files pin what pyproject.toml asks for, by version and nothing else."""

import re
import tomllib
from importlib.metadata import packages_distributions

import pytest

from tests.contract.tree import ROOT, imports, modules

THROUGH_PACKAGES = {"huggingface-hub", "pydantic-core"}
"""Imported only where vLLM, transformers or pydantic are, which bring them in the version that they need."""

THROUGH_SQLALCHEMY = {"psycopg"}
"""Imported by SQLAlchemy where registry.url names PostgreSQL."""

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
RUNTIME = ("server", "postgres", "web", "documents", "sources", "s3", "train")


@pytest.mark.parametrize("build", ["cpu", "cuda"])
def test_every_requirement_is_pinned(build: str) -> None:
    extras = {name: lines for name, lines in EXTRAS.items() if name not in ({"cpu", "cuda"} - {build})}
    wanted = {_name(line) for lines in (PROJECT["dependencies"], *extras.values()) for line in lines}
    assert wanted - set(_pins(build)) == set()


@pytest.mark.parametrize("build", ["cpu", "cuda"])
def test_pins_name_no_path_host_hash_or_build_tag(build: str) -> None:
    lines = (ROOT / f"ops/constraints-{build}.txt").read_text(encoding="utf-8").splitlines()
    odd = [line for line in lines if not re.fullmatch(r"#.*|[a-z0-9-]+==[0-9][0-9a-z.!]*", line)]
    assert odd == []


def test_both_builds_run_the_same_versions_of_what_sealserve_calls() -> None:
    shared = {"torch"} | {
        _name(line) for lines in (PROJECT["dependencies"], *(EXTRAS[name] for name in RUNTIME)) for line in lines
    }
    cpu, cuda = _pins("cpu"), _pins("cuda")
    assert {name: (cpu[name], cuda[name]) for name in shared if cpu[name] != cuda[name]} == {}


def test_every_dependency_says_why_it_is_there() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    blocks = re.findall(rf"(?ms)^(?:dependencies|{'|'.join(RUNTIME)}) = \[\n(.*?)^\]", text)
    assert len(blocks) == 1 + len(RUNTIME)
    silent = [line for block in blocks for line in block.splitlines() if not re.search(r'",\s+# \w', line)]
    assert silent == []


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    distributions = packages_distributions()
    names = {name.split(".")[0] for module in modules() if not module.is_test for name, _ in imports(module)}
    owners = {name: {_name(owner) for owner in distributions[name]} for name in names & set(distributions)}
    declared = {
        _name(line)
        for lines in (PROJECT["dependencies"], *(EXTRAS[name] for name in RUNTIME if name != "train"))
        for line in lines
    }
    optional = {_name(line) for lines in EXTRAS.values() for line in lines}
    known = declared | optional | THROUGH_PACKAGES | {"sealserve"}
    assert {name: found for name, found in owners.items() if not found & known} == {}
    assert declared - set().union(*owners.values()) == THROUGH_SQLALCHEMY


def _names(*extras: str) -> set[str]:
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    return {_name(line) for line in lines}


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement)[0].lower().replace("_", "-")


def _pins(build: str) -> dict[str, str]:
    lines = (ROOT / f"ops/constraints-{build}.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)
