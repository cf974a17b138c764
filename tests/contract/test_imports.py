"""The few modules that may touch the heavy libraries. The layers are lint-imports' own, which ops/test runs."""

import fnmatch
import subprocess
import sys

import pytest

from tests.contract.tree import ROOT, imports, modules

# The training child and what it alone imports.
TRAINING = (
    "sealserve.learning.multi_lora.*",
    "sealserve.bench.learning.train_baselines",
)
OWNERS = {
    "vllm": ("sealserve.engine.vllm_*", "sealserve.bench.serving.openai_servers"),  # the bench runs vLLM's own server
    "torch": (*TRAINING, "sealserve.base_models.gguf", "sealserve.nano.*", "sealserve.engine.vllm_*"),
    "ray": ("sealserve.learning.training.executors.ray",),
    "peft": ("sealserve.bench.learning.train_baselines", "sealserve.nano.*"),
    # chat.py renders chat templates for measuring prompts; transformers needs no torch for that.
    "transformers": (
        "sealserve.learning.multi_lora.base_model",
        "sealserve.learning.multi_lora.attention",
        "sealserve.bench.learning.train_baselines",
        "sealserve.nano.*",
        "sealserve.engine.vllm_*",
        "sealserve.engine.chat",
        "sealserve.base_models.gguf",
    ),
}


@pytest.mark.parametrize("library", sorted(OWNERS))
def test_heavy_library_is_imported_by_its_owners_only(library: str) -> None:
    trespassers = [
        f"{module.path}:{line}"
        for module in modules()
        if not module.is_test and not any(fnmatch.fnmatch(module.name, owner) for owner in OWNERS[library])
        for name, line in imports(module)
        if name.split(".")[0] == library
    ]
    assert not trespassers, "\n".join(trespassers)


@pytest.mark.slow
def test_everything_but_engine_and_trainer_starts_without_the_heavy_libraries() -> None:
    code = (
        "import sys, sealserve.cli.app, sealserve.client, sealserve.daemon.supervisor, sealserve.demo\n"
        "import sealserve.bench.reliability.kill\n"
        f"sys.exit(' '.join(sorted(set({sorted(OWNERS)!r}) & set(sys.modules))))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stderr.strip() == ""
