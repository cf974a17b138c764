"""What `ops/test` adds to the machine while the tests run: a test that needs it waits, and is skipped without it."""

import fcntl
import os
import shutil
from pathlib import Path

from sealserve.base_models.cache import find_model


def has_smollm2() -> bool:
    """Return whether the pretrained model is here, once nobody adds it any more."""
    _wait_for("smollm2")
    return find_model("smollm2") is not None


def find_chromium() -> str | None:
    """Return the browser's path, once nobody installs it any more."""
    _wait_for("chromium")
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def _wait_for(name: str) -> None:
    """Return when nobody holds the lock on the file that is named so in the directory that `ops/test` gives."""
    file = Path(os.environ.get("TESTS_WAIT_FOR", "")) / name
    if file.is_file():
        with file.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
