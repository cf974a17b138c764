"""Where the shipped policy files are: packed into the package when installed, beside it in a checkout."""

from pathlib import Path

from sealserve.errors import BadConfig


def policy_directory() -> Path:
    """Return the folder of policies: packed into the package when installed, beside it in a checkout.

    Raises: BadConfig when there is neither.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "policies", package.parent / "policies"):
        if (folder / "default.yaml").is_file():
            return folder
    raise BadConfig(f"no policies/default.yaml in {package} or beside it: reinstall sealserve or set policy.thresholds")
