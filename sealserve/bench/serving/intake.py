"""The intake figure: documents and megabytes a second by format, memory, and what a hostile document costs the others.

Documents go through the inbox as `sealserve serve` wires it: a child of the sandbox for each, the packaged rules, the
registry.
"""

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from sealserve.bench.serving.intake_samples import FORMATS, article, hostile
from sealserve.daemon.workbench import machine
from sealserve.intake.inbox import Inbox
from sealserve.intake.media_types import Unreadable, claimed
from sealserve.intake.parse import missing_parser
from sealserve.intake.sandbox import Sandbox
from sealserve.policy.enforcement import PolicyEnforcer
from sealserve.policy.rulebook import open_rules
from sealserve.registry.registry import Registry
from sealserve.settings.settings import IntakeSettings

DOCUMENTS, QUICK_DOCUMENTS = 60, 4  # of each format
BESIDE, QUICK_BESIDE = 60, 4
CORES = 2  # documents are read side by side on so many
_LOOK_SECONDS = 0.02
_WRITERS = {"docx": "docx", "pptx": "pptx", "xlsx": "openpyxl"}

Content = tuple[str, bytes]
"""A media type and bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatFigures:
    """How fast documents of one format come in, two at a time, and what became of them."""

    documents_per_second: float
    megabytes_per_second: float  # of 10^6 bytes, as sent
    kilobytes: float  # of a document, on average
    states: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeFigures:
    """`others_ratio` is the time of honest documents, one after the other, while hostile ones come, over that alone."""

    others_ratio: float
    hostile: dict[str, int]  # what became of the hostile documents, by defect or state
    child_peak_mib: float  # the largest resident memory of a process that reads a document
    parent_growth_mib: float  # of the inbox's own process, over its start
    formats: dict[str, FormatFigures]
    skipped: tuple[str, ...]  # formats that are not read here
    cores: int
    machine: str
    date: str
    seconds: float


def run(*, quick: bool = False, say: Callable[[str], None] = print) -> IntakeFigures:
    """Return the figures; `quick` takes a few documents of each format.

    Raises: Unavailable (no process can be started to read documents).
    """
    started = time.monotonic()
    known = [name for name in FORMATS if _is_read(name)]
    with tempfile.TemporaryDirectory(prefix="sealserve-bench-") as name, _open_site(Path(name)) as site:
        site.hand_in("warm", [_content("txt", 0)])
        before = _rss_mib("self")
        formats = {}
        with _watched() as peak:
            for place, one in enumerate(known):
                formats[one] = found = _measure(site, one, documents=QUICK_DOCUMENTS if quick else DOCUMENTS)
                say(f"{one}, {place + 1} of {len(known)}: {found.documents_per_second:g} a second, {found.states}")
            ratio, outcomes = _beside(site, documents=QUICK_BESIDE if quick else BESIDE)
        say(f"beside hostile documents: {ratio:g} x the time; those became {outcomes}")
        return IntakeFigures(
            others_ratio=ratio,
            hostile=outcomes,
            child_peak_mib=round(peak.mib, 1),
            parent_growth_mib=round(_rss_mib("self") - before, 1),
            formats=formats,
            skipped=tuple(name for name in FORMATS if name not in known),
            cores=CORES,
            machine=machine(),
            date=datetime.now(UTC).date().isoformat(),
            seconds=round(time.monotonic() - started, 1),
        )


def _is_read(name: str) -> bool:
    media_type = FORMATS[name].media_type
    is_known = not isinstance(claimed(media_type), Unreadable) and not missing_parser(media_type)
    return is_known and find_spec(_WRITERS.get(name, "json")) is not None


def _content(name: str, number: int) -> Content:
    return FORMATS[name].media_type, FORMATS[name].write(article(number))


class _Site:
    """An inbox with the packaged rules, over a registry of its own; a tenant for each kind of load."""

    def __init__(self, registry: Registry, sandbox: Sandbox) -> None:
        self._registry = registry
        refuse = PolicyEnforcer(registry, open_rules()).refuse_document
        self._inbox = Inbox(registry, IntakeSettings(), refuse=refuse, sandbox=sandbox)

    def add_tenant(self, tenant: str) -> None:
        """Create the tenant."""
        self._registry.tenants.create(tenant, actor="bench")

    def receive(self, tenant: str, content: Content, *, source: str) -> str:
        """Hand one document in; return its state, or the defect it is quarantined for."""
        media_type, body = content
        document, _ = self._inbox.receive(tenant, body, media_type=media_type, source=source, actor="bench")
        return document.reason.partition(":")[0] if document.reason else document.state.value

    def hand_in(self, tenant: str, contents: Sequence[Content], *, threads: int = 1) -> tuple[float, Counter[str]]:
        """Hand documents in for a new tenant; return the seconds that took, and what became of them."""
        self.add_tenant(tenant)
        started = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            states = pool.map(
                lambda pair: self.receive(tenant, pair[1], source=f"bench:{tenant}/{pair[0]}"), enumerate(contents)
            )
            return time.perf_counter() - started, Counter(states)


@contextmanager
def _open_site(directory: Path) -> Iterator[_Site]:
    registry = Registry.open(f"sqlite:///{directory}/registry.db", directory / "artifacts")
    sandbox = Sandbox()
    try:
        yield _Site(registry, sandbox)
    finally:
        sandbox.close()
        registry.close()


def _measure(site: _Site, name: str, *, documents: int) -> FormatFigures:
    contents = [_content(name, number) for number in range(documents)]
    started = time.perf_counter()
    _, states = site.hand_in(f"of-{name}", contents, threads=CORES)
    seconds = time.perf_counter() - started
    size = sum(len(body) for _, body in contents)
    return FormatFigures(
        documents_per_second=round(documents / seconds, 2),
        megabytes_per_second=round(size / seconds / 1e6, 3),
        kilobytes=round(size / documents / 1e3, 1),
        states=dict(states),
    )


def _beside(site: _Site, *, documents: int) -> tuple[float, dict[str, int]]:
    """Return the ratio of an honest tenant's times beside hostile documents to those alone, and the latter's ends."""
    honest = [_content("md", number) for number in range(documents)]
    alone, _ = site.hand_in("alone", honest)
    site.add_tenant("hostile")
    outcomes: Counter[str] = Counter()
    is_over = threading.Event()

    def attack() -> None:
        for number in count():
            if is_over.is_set():
                return
            outcomes[site.receive("hostile", hostile(number), source=f"bench:hostile/{number}")] += 1

    attacker = threading.Thread(target=attack)
    attacker.start()
    beside, _ = site.hand_in("beside", honest)
    is_over.set()
    attacker.join()
    return round(beside / alone, 2), dict(outcomes)


@dataclass(slots=True)
class _Peak:
    mib: float = field(default=0.0)


@contextmanager
def _watched() -> Iterator[_Peak]:
    """Watch the memory of this process's grandchildren, which read the documents, while the body runs."""
    peak, is_over = _Peak(), threading.Event()

    def watch() -> None:
        while not is_over.wait(_LOOK_SECONDS):
            readers = [pid for parent in _children("self") for pid in _children(parent)]
            peak.mib = max([peak.mib, *map(_rss_mib, readers)])

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        is_over.set()
        watcher.join()


def _children(pid: str) -> list[str]:
    found: list[str] = []
    with suppress(OSError):  # it has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += (task / "children").read_text(encoding="ascii").split()
    return found


def _rss_mib(pid: str) -> float:
    """Return the process's largest resident memory so far; of this process, its present one. 0 if it has ended."""
    wanted = "VmRSS:" if pid == "self" else "VmHWM:"
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(wanted):
                return int(line.split()[1]) / 1024
    return 0.0
