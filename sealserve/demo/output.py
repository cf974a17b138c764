"""How the demo looks: rich text on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sealserve.demo.questions import Answered, DemoArticle, Result
from sealserve.records.cycles import STEPS, SelfEdit
from sealserve.records.documents import Document
from sealserve.records.reports import CycleReport
from sealserve.records.scores import Measured, Unmeasured
from sealserve.records.versions import Activation, AdapterVersion

if TYPE_CHECKING:
    from sealserve.demo.scenario import Figures

_SHOWN_ANSWERS = 4
_SHOWN_EDITS = 3
_BAR = 30
_SCORES = ("confirm", "replay", "canary", "unknown")


class DemoOutput:
    """Everything the demo prints. With `to_stderr` stdout stays free for the figures."""

    def __init__(self, *, to_stderr: bool, show_questions: bool) -> None:
        self._console = Console(stderr=to_stderr, highlight=False)
        self._shown = 10_000 if show_questions else _SHOWN_ANSWERS

    def opening(self, directory: Path, address: str) -> None:
        """Say what is about to happen."""
        self._console.print(
            Panel(
                "A model learns an article it did not know, for one tenant, while it serves, and unlearns it.\n"
                "Real parts: vLLM with several LoRA adapters, LoRA training in a child process, gRPC, SQL.\n"
                f"daemon on {address}, data in {directory}",
                title="sealserve demo",
            )
        )

    def working(self, what: str) -> AbstractContextManager[Any]:
        """Show that something slow goes on."""
        if self._console.is_terminal:
            return self._console.status(what)
        self._console.print(what)
        return _nothing()

    def note(self, text: str) -> None:
        """Print one quiet line."""
        self._console.print(text, style="dim")

    def failed(self, message: str, log: str) -> None:
        """Say what went wrong, with the end of the daemon's log."""
        self._console.print(Text(f"the demo stopped: {message}", style="bold red"))
        self._console.print(Text(log, style="dim"))

    def chapter(self, number: str, text: str) -> None:
        """Begin a part of the story."""
        self._console.print()
        self._console.rule(number, align="left")
        self._console.print(text, style="bold")

    def article(self, article: DemoArticle) -> None:
        """Show a document."""
        self._console.print(Panel(Text(article.text), title=article.title))

    def result(self, label: str, tenant: str, result: Result) -> None:
        """Show how an exam went, with its first answers."""
        table = Table(box=None, padding=(0, 1), show_header=False)
        for answer in result.answers[: self._shown]:
            table.add_row(_mark(answer), Text(answer.question.text), Text(answer.text, style="italic"))
        self._console.print(table)
        name = f"v{result.version}" if result.version else "the base model"
        self._console.print(
            f"[bold]{label}[/bold]: {tenant}, answered by {name}: {_bar(result.accuracy)} "
            f"{result.accuracy:.2f} of {len(result.answers)} questions"
        )

    @contextmanager
    def live_cycle(self) -> Iterator[Callable[[CycleReport], None]]:
        """Show a cycle's steps as they end."""
        if self._console.is_terminal:
            with Live(console=self._console, refresh_per_second=4) as live:
                yield lambda report: live.update(_steps(report))
            return
        seen: set[str] = set()

        def show(report: CycleReport) -> None:
            for step in report.steps:
                if step.step not in seen:
                    seen.add(step.step)
                    self._console.print(f"  {step.step.value:8} {step.seconds:6.1f} s")

        yield show

    def cycle_ended(self, report: CycleReport, edits: list[SelfEdit], seconds: float) -> None:
        """Show what a cycle wrote, measured and decided."""
        kept = [edit for edit in edits if edit.admitted]
        self._console.print(f"self-edits: {len(edits)} written, {len(kept)} kept; some of them:")
        for edit in kept[:: max(1, len(kept) // _SHOWN_EDITS)][:_SHOWN_EDITS]:
            lines = edit.text.strip().splitlines()
            self._console.print(Text(f"  [{edit.template.value}] " + " / ".join(lines[:2]), style="italic dim"))
        self._console.print(_candidates(report))
        self._console.print(_scores(report))
        state = report.cycle.state.value
        style = "bold green" if state == "promoted" else "bold red"
        reasons = "; ".join(report.verdict.reasons) if report.verdict else report.cycle.reason
        self._console.print(Text(f"verdict: {state} ({reasons})", style=style))
        self._console.print(f"from the document to the answering version: {seconds:.1f} s")

    def rolled_back(self, activation: Activation, seconds: float) -> None:
        """Show a rollback."""
        self._console.print(
            f"v{activation.previous} → {_version(activation.version)}, answering everywhere after {seconds:.2f} s"
        )

    def lineage(self, answered: Answered, version: AdapterVersion, documents: list[Document]) -> None:
        """Show what stands behind one answer."""
        table = Table(box=None, padding=(0, 1), show_header=False)
        recipe = version.lineage.recipe or {}
        rows = {
            "question": answered.question.text,
            "answer": answered.text,
            "version": f"{_version(version.version)} of {version.tenant}, measured against {_version(version.parent)}",
            "weights": f"sha256 {version.artifact}",
            "cycle": version.cycle,
            "documents": ", ".join(f"{document.title} ({document.document})" for document in documents),
            "recipe": ", ".join(f"{key} {_plain(value)}" for key, value in recipe.items()),
        }
        for name, value in rows.items():
            table.add_row(Text(name, style="bold"), Text(value))
        self._console.print(table)

    def closing(self, figures: "Figures") -> None:
        """Show the figures as a picture."""
        self._console.print()
        table = Table(title="what the demo measured", title_justify="left", box=None)
        for one in fields(figures):
            value = getattr(figures, one.name)
            is_share = not one.name.endswith("seconds")
            table.add_row(one.name, _bar(value) if is_share else "", f"{value:.2f}" if is_share else f"{value:.0f} s")
        self._console.print(table)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _version(version: int) -> str:
    return f"v{version}" if version else "the base model"


def _plain(value: object) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


def _mark(answer: Answered) -> Text:
    return Text("✓", style="green") if answer.right else Text("✗", style="red")


def _bar(share: float) -> str:
    full = round(share * _BAR)
    return f"[green]{'█' * full}[/green][dim]{'░' * (_BAR - full)}[/dim]"


def _steps(report: CycleReport) -> Table:
    table = Table(box=None, padding=(0, 1), show_header=False)
    done = {step.step: step.seconds for step in report.steps}
    current = next((step for step in STEPS if step not in done), None)
    for step in STEPS:
        seconds = f"{done[step]:6.1f} s" if step in done else "  …" if step is current else ""
        table.add_row("●" if step in done else "○", step.value, seconds)
    return table


def _candidates(report: CycleReport) -> Table:
    table = Table("candidate", "seed", "learning rate", "final loss", "rank score", "seconds", box=None)
    for one in report.candidates:
        score = "" if one.rank_score is None else f"{one.rank_score:.3f}"
        name = f"{one.index}{'  winner' if one.winner else ''}"
        rate, seed = f"{one.recipe['learning_rate']:.4g}", f"{one.recipe['seed']:.0f}"
        table.add_row(name, seed, rate, f"{one.final_loss:.4f}", score, f"{one.seconds:.1f}")
    return table


def _scores(report: CycleReport) -> Table:
    table = Table("unseen items", "n", "incumbent", "candidate", "gain (interval)", box=None)
    for name in _SCORES:
        score = getattr(report.scores, name, None)
        if isinstance(score, Measured):
            interval = f"{score.gain:+.2f} ({score.gain_low:+.2f} … {score.gain_high:+.2f})"
            table.add_row(name, str(score.n), f"{score.incumbent:.2f}", f"{score.candidate:.2f}", interval)
        elif isinstance(score, Unmeasured):
            table.add_row(name, "", "", "", f"not measured: {score.why}")
        elif score is not None:
            table.add_row(name, "", "", "", score.because)
    return table
