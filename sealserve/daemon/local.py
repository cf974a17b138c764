"""A private daemon for the demo and the benchmarks: a child process with its own directory and port.

Starts, awaits, stops and kills `sealserve up|serve|learn`.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from sealserve.daemon.healthcheck import is_serving
from sealserve.errors import Unavailable
from sealserve.local_tokens import ADMIN_FILE, own_secret

START_SECONDS = 600.0
STOP_SECONDS = 60.0
_POLL_SECONDS = 0.2


class LocalDaemon:
    """One `sealserve <command>` child with its own process group and log file; it ends when this process does."""

    module = "sealserve.daemon"

    def __init__(
        self,
        directory: Path,
        *,
        command: str = "up",
        address: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare. `environment` may hold settings (`SEALSERVE_ENGINE__MODEL`); `address` "" takes a free port."""
        self.directory = directory
        self.command = command
        self.address = address or free_address()
        self.log = directory / f"{command}.log"
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def token(self) -> str:
        """The administrator's secret, known to the daemon once it serves. Raises: BadConfig (the directory)."""
        return own_secret(self.directory / ADMIN_FILE)

    @property
    def pid(self) -> int:
        """The child's process id. Raises: Unavailable when it does not run."""
        if self._process is None:
            raise Unavailable(f"sealserve {self.command} has not been started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the child is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The child's exit status, None while it runs or before it started."""
        return None if self._process is None else self._process.poll()

    def start(self, *, environment: Mapping[str, str] | None = None) -> None:
        """Start the child (again); `environment` adds to that of the constructor, for this start only."""
        self.directory.mkdir(parents=True, exist_ok=True)
        own = {
            "SEALSERVE_DATA_DIRECTORY": str(self.directory),
            "SEALSERVE_SERVE__ADDRESS": self.address,
            "SEALSERVE_HTTP__ADDRESS": "off",  # several may run at once
            "SEALSERVE_WEB__ADDRESS": "off",
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module, self.command, str(os.getpid())],
                env={**os.environ, **own, **self._environment, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_serving(self, *, timeout_seconds: float = START_SECONDS) -> None:
        """Return once the server is ready. Raises: Unavailable (the child ended, or the time is up)."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            if not self.is_running:
                raise Unavailable(f"sealserve {self.command} ended with {self.exit_code}:\n{self.last_words()}")
            if is_serving(self.address):
                return
            time.sleep(_POLL_SECONDS)
        raise Unavailable(f"sealserve {self.command} did not serve within {timeout_seconds:.0f} s; see {self.log}")

    def wait(self, *, timeout_seconds: float) -> int:
        """Return the child's exit status once it has ended. Raises: Unavailable when time is up."""
        if self._process is None:
            raise Unavailable(f"sealserve {self.command} has not been started")
        try:
            return self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"sealserve {self.command} did not end within {timeout_seconds:.0f} s") from error

    def stop(self) -> None:
        """Ask the child to end, wait, and kill its whole group if it does not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill(whole_group=True)

    def kill(self, *, whole_group: bool = False) -> None:
        """kill -9: the child alone, or with everything it started."""
        if self._process is None or self._process.poll() is not None:
            return
        if whole_group:
            os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait()

    def last_words(self, lines: int = 15) -> str:
        """Return the end of the log."""
        try:
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


def free_address() -> str:
    """Return a loopback address with a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
