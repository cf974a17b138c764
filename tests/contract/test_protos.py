"""The wire contract: what is checked in is what proto/ generates, and every element of it says what it is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import status_pb2

from sealserve.client import calls
from sealserve.rpc.authorisation.permissions import METHODS
from tests.contract.tree import ROOT

PROTOS = sorted((ROOT / "proto/sealserve/v1").glob("*.proto"))
ELEMENT = re.compile(r"(message|enum|service|oneof|rpc|optional|repeated|map<|[\w.]+ \w+ = \d+|[A-Z][A-Z0-9_]* = \d+)")
NOT_ELEMENTS = ("syntax", "package", "import", "option", "//", "}")


def test_generated_code_is_what_the_protos_give(tmp_path: Path) -> None:
    subprocess.run([ROOT / "ops/protos", tmp_path], check=True, capture_output=True, cwd=ROOT)
    fresh = {path.name: path.read_text() for path in (tmp_path / "sealserve/v1").glob("*_pb2*")}
    kept = {path.name: path.read_text() for path in (ROOT / "sealserve/v1").glob("*_pb2*")}
    assert sorted(fresh) == sorted(kept)
    stale = [name for name, text in fresh.items() if kept[name] != text]
    assert not stale, f"stale: {stale}; run ops/protos"


def test_protos_need_no_files_from_elsewhere(tmp_path: Path) -> None:
    """protoc brings google/protobuf itself, as every generator does."""
    run = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{ROOT / 'proto'}",
        f"--descriptor_set_out={tmp_path / 'all.pb'}",
    ]
    subprocess.run(
        [*run, "--include_imports", *map(str, PROTOS), "google/rpc/error_details.proto"], check=True, cwd=ROOT
    )
    found = FileDescriptorSet.FromString((tmp_path / "all.pb").read_bytes())
    services = [service.name for file in found.file for service in file.service]
    assert sorted(services) == sorted({service for service, _ in _declared()})


@pytest.mark.parametrize("name", ["status.proto", "error_details.proto"])
def test_protos_of_others_are_as_they_publish_them(name: str) -> None:
    published = Path(str(status_pb2.__file__)).parent / name
    assert (ROOT / "proto/google/rpc" / name).read_text() == published.read_text()


@pytest.mark.parametrize("path", PROTOS, ids=lambda path: path.name)
def test_every_element_is_commented(path: Path) -> None:
    lines = [line.strip() for line in path.read_text().splitlines()]
    elements = [number for number, line in enumerate(lines) if _is_element(line)]
    silent = [lines[number] for number in elements if not lines[number - 1].startswith("//")]
    assert elements
    assert not silent


@pytest.mark.parametrize("path", PROTOS, ids=lambda path: path.name)
def test_enums_have_a_zero_and_their_own_prefix(path: Path) -> None:
    for name, body in re.findall(r"^enum (\w+) \{(.*?)^\}", path.read_text(), re.DOTALL | re.MULTILINE):
        prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
        values = re.findall(r"^\s*(\w+) = (\d+);", body, re.MULTILINE)
        assert values[0] == (f"{prefix}_UNSPECIFIED", "0")
        assert all(value.startswith(f"{prefix}_") for value, _ in values)


def test_every_method_of_the_protos_says_who_may_call_it() -> None:
    assert set(METHODS) == {f"{service}/{method}" for service, method in _declared()}


def test_every_tenant_method_of_the_protos_has_a_client_call() -> None:
    texts = [path.read_text() for path in Path(calls.__file__).parent.glob("*.py")]
    built = set(re.findall(r'"(\w+Service/\w+)"', "".join(texts))) | {"DocumentService/StreamDocuments"}
    assert built == {f"{service}/{method}" for service, method in _declared() if service != "EngineService"}


def _declared() -> list[tuple[str, str]]:
    return [
        (service, method)
        for path in PROTOS
        for service, body in re.findall(r"^service (\w+) \{(.*?)^\}", path.read_text(), re.DOTALL | re.MULTILINE)
        for method in re.findall(r"rpc (\w+)\(", body)
    ]


def _is_element(line: str) -> bool:
    return not line.startswith(NOT_ELEMENTS) and bool(ELEMENT.match(line))
