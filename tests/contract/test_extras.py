"""Without the extras the client and the command line work, and a command that needs an extra says which."""

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import packages_distributions

import pytest

from sealserve.cli.extras import EXTRAS
from tests.contract.tree import ROOT, imports, modules

REFUSE = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
BLOCKED = {sorted(EXTRAS)!r}
sys.meta_path.insert(0, Refuse())
"""


def without_extras(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", REFUSE + code], cwd=ROOT, capture_output=True, text=True, check=False)


HELPS = (("--help",), ("ask", "--help"), ("up", "--help"), ("bench", "--help"))
OF_CLIENTS = (("ask", "acme", "Why?"), ("tenant", "list"), ("cycle", "list", "acme"), ("feedback", "list", "acme"))
OF_SERVERS = {("learn",): "server", ("demo",): "server", ("up",): "server", ("policy", "test"): "server"}
NOWHERE = ("--address", "127.0.0.1:1")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command line ended."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def ran() -> dict[tuple[str, ...], Ran]:
    """Every command line below, each run by itself in one interpreter without the extras."""
    lines = [*HELPS, *((*NOWHERE, *line) for line in OF_CLIENTS), *OF_SERVERS]
    code = f"""
import json
from typer.testing import CliRunner
from sealserve.cli.app import app
ended = [CliRunner().invoke(app, list(line)) for line in {lines!r}]
print(json.dumps([(one.exit_code, one.stdout, one.stderr) for one in ended]))
"""
    done = without_extras(code)
    assert done.returncode == 0, done.stderr
    return {line: Ran(*one) for line, one in zip(lines, json.loads(done.stdout), strict=True)}


def test_client_is_imported_without_the_extras() -> None:
    result = without_extras("import sealserve.client; sealserve.client.Client('127.0.0.1:1').close()")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("arguments", HELPS)
def test_help_works_without_the_extras(ran: dict[tuple[str, ...], Ran], arguments: tuple[str, ...]) -> None:
    result = ran[arguments]
    assert (result.code, result.stderr) == (0, "")
    assert "Usage:" in result.stdout


@pytest.mark.parametrize("arguments", OF_CLIENTS)
def test_client_commands_get_as_far_as_the_server_without_the_extras(
    ran: dict[tuple[str, ...], Ran], arguments: tuple[str, ...]
) -> None:
    result = ran[(*NOWHERE, *arguments)]
    assert result.code == 4, result.stderr
    assert "127.0.0.1:1" in result.stderr


@pytest.mark.parametrize(("arguments", "extra"), OF_SERVERS.items())
def test_command_that_lacks_an_extra_says_how_to_install_it(
    ran: dict[tuple[str, ...], Ran], arguments: tuple[str, ...], extra: str
) -> None:
    result = ran[arguments]
    assert result.code == 2, result.stderr
    assert f"pip install 'sealserve[{extra}" in result.stderr


def test_every_module_of_an_extra_is_known() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = {_name(line) for line in project["dependencies"]}
    extras = {_name(line): extra for extra, lines in project["optional-dependencies"].items() for line in lines}
    distributions = packages_distributions()
    imported = {name.split(".")[0] for module in modules() if not module.is_test for name, _ in imports(module)}
    for name in imported & set(distributions) - {"sealserve"}:
        owners = {_name(owner) for owner in distributions[name]}
        if not owners & core and owners & set(extras):
            assert name in EXTRAS


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement)[0].lower().replace("_", "-")
