"""Optional packages: which extra installs a module, and what a command says when the module is missing."""

from collections.abc import Mapping
from importlib.util import find_spec

from sealserve.errors import BadConfig

_BY_EXTRA: Mapping[str, tuple[str, ...]] = {
    "server": (
        "alembic", "apscheduler", "cel_expr_python", "cryptography", "detect_secrets", "grpc_health", "grpc_reflection",
        "httpx", "jsonschema", "numpy", "opentelemetry", "prometheus_client",
        "safetensors", "scipy", "semantic_text_splitter", "sentencex", "sqlalchemy",
        "structlog", "tokenizers", "watchfiles", "yaml",
    ),
    "postgres": ("psycopg",),
    "web": ("jinja2", "starlette", "uvicorn"),
    "documents": (
        "cssselect2", "defusedxml", "docx", "lxml", "openpyxl", "pptx", "pypdfium2", "tinycss2", "webencodings",
    ),
    "sources": ("aiohttp", "botocore", "dulwich", "feedparser", "s3fs"),
    "s3": ("botocore", "fsspec", "s3fs"),
    "cpu": ("torch", "vllm"),  # with a GPU: cuda
    "train": ("peft", "transformers"),
    "ray": ("ray",),
    "bench": ("matplotlib",),
    "evals": ("datasets", "lm_eval"),
}  # fmt: skip

EXTRAS: Mapping[str, str] = {module: extra for extra, modules in _BY_EXTRA.items() for module in modules}
"""The extra that installs each optional module."""


def require(*extras: str) -> None:
    """Return if every module of `extras` is installed. Raises: BadConfig, saying how to install them."""
    missing = [extra for extra in extras if any(find_spec(module) is None for module in _BY_EXTRA[extra])]
    if missing:
        raise _not_installed(",".join(missing))


def missing_extra(error: ModuleNotFoundError) -> BadConfig:
    """Return how to install the module that `error` names. Raises: `error` itself, for a module of no extra."""
    extra = EXTRAS.get((error.name or "").split(".")[0])
    if extra is None:
        raise error
    return _not_installed(extra)


def _not_installed(extras: str) -> BadConfig:
    return BadConfig(f"this command needs packages that are not installed: pip install 'sealserve[{extras}]'")
