"""`sealserve bench` and `sealserve nano`: what is measured, each as one JSON object on the last line."""

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from sealserve.cli.session import Session, command

bench = typer.Typer(help="Measure this installation; each prints its figures as one object.", no_args_is_help=True)


@command(bench, "watch")
def watch(
    session: Session,
    runs: Annotated[int, typer.Option(min=1, help="Simulated watches of each kind.")] = 400,
    quick: Annotated[bool, typer.Option("--quick", help="A look in about a minute; not the figure.")] = False,
    simulation_only: Annotated[bool, typer.Option("--simulation-only", help="Start no daemon.")] = False,
    seed: Annotated[int, typer.Option(help="Every draw.")] = 0,
) -> None:
    """Watch new versions: how often a good one is taken back, how soon a worse one, and how fast on a real daemon."""
    _measure(session, "safety.rollout", runs=runs, quick=quick, simulation_only=simulation_only, seed=seed)


@command(bench, "swap")
def swap(
    session: Session,
    swaps: Annotated[int, typer.Option(min=1, help="Version changes.")] = 200,
    clients: Annotated[int, typer.Option(min=1, help="Clients that ask meanwhile.")] = 4,
) -> None:
    """Change versions under load; every answer is checked against the version it names. Bad adapters are offered."""
    _measure(session, "serving.swap", swaps=swaps, clients=clients)


@command(bench, "serve")
def serve(
    session: Session,
    requests: Annotated[int, typer.Option(min=1, help="Requests on each side.")] = 200,
    clients: Annotated[int, typer.Option(min=1, help="Requests in flight.")] = 8,
) -> None:
    """Compare streamed tokens a second over gRPC with the same load on the engine in process."""
    _measure(session, "serving.serve", requests=requests, clients=clients)


@command(bench, "kill")
def kill(
    session: Session, kills: Annotated[int, typer.Option(min=1, help="How often something is killed.")] = 50
) -> None:
    """kill -9 `learn` at every step edge and at random, `serve` at promotions, approvals, watches, forgetting, and its
    engine; count what is lost, half done or done twice."""
    _measure(session, "reliability.kill", kills=kills)


@command(bench, "gate")
def gate(
    session: Session,
    candidates: Annotated[int, typer.Option(min=1, help="Simulated candidates of each kind.")] = 1000,
    out: Annotated[Path | None, typer.Option(help="Folder for the power curve (PNG).", show_default=False)] = None,
) -> None:
    """Judge simulated candidates by the shipped policy: how often what is useless, or worse, is promoted."""
    _measure(session, "safety.gate", candidates=candidates, out=out)


Quick = Annotated[bool, typer.Option("--quick", help="A look in about a minute; not the figure.")]


Out = Annotated[Path | None, typer.Option(help="Folder for plots (PNG).", show_default=False)]


Seed = Annotated[int, typer.Option(help="Which fresh articles are made up, and every draw.")]


Passages = Annotated[Path, typer.Option(help='JSON list of {"title", "context", "questions"}.', show_default=False)]


@command(bench, "learn")
def learn(session: Session, quick: Quick = False, out: Out = None, seed: Seed = 0) -> None:
    """Measure what one article leaves closed-book: untrained, raw text, each template, the default recipe."""
    _measure(session, "learning.learn", quick=quick, out=out, seed=seed)


@command(bench, "continual")
def continual(session: Session, quick: Quick = False, out: Out = None, seed: Seed = 0) -> None:
    """Learn eight articles one after another, in eight orders: what is kept, beside SEAL's way (merge and go on)."""
    _measure(session, "learning.continual", quick=quick, out=out, seed=seed)


@command(bench, "editor")
def editor(session: Session, quick: Quick = False, out: Out = None, seed: Seed = 0) -> None:
    """Play two rounds of the outer loop; what the editor gains on documents it never saw."""
    _measure(session, "learning.editor", quick=quick, out=out, seed=seed)


@command(bench, "squad")
def squad(
    session: Session,
    data: Passages,
    passages: Annotated[int, typer.Option(min=1, help="Passages, a cycle each.")] = 20,
    quick: Quick = False,
) -> None:
    """Run whole cycles on passages the embedded model cannot read: nothing may crash, nothing be promoted."""
    _measure(session, "learning.squad", data=data, passages=passages, quick=quick)


@command(bench, "seal")
def seal(
    session: Session,
    model: Annotated[str, typer.Option(help="Directory of the weights, e.g. Qwen2.5-7B.", show_default=False)],
    data: Passages,
    passages: Annotated[int, typer.Option(min=1, help="Passages, each alone.")] = 200,
    quick: Quick = False,
    out: Out = None,
) -> None:
    """Reproduce SEAL's knowledge-incorporation table, for those who have the weights and a GPU."""
    _measure(session, "learning.seal", model=model, data=data, passages=passages, quick=quick, out=out)


@command(bench, "forget")
def forget(
    session: Session,
    articles: Annotated[int, typer.Option(min=3, help="Articles; the second is forgotten, the last replaced.")] = 3,
    seed: Annotated[int, typer.Option(help="Which articles are made up.")] = 11,
) -> None:
    """Teach articles, forget one and replace one: what is left of them, and what the others lose by it."""
    _measure(session, "learning.forget", articles=articles, seed=seed)


@command(bench, "poison")
def poison(
    session: Session,
    honest: Annotated[int, typer.Option(min=1, help="Honest articles that go through whole cycles.")] = 200,
    attacks: Annotated[int, typer.Option(min=5, help="Planted attacks among them, of five kinds.")] = 50,
    filters_only: Annotated[
        bool, typer.Option("--filters-only", help="No model: what intake stops, 500 + 500.")
    ] = False,
    cycles: Annotated[int | None, typer.Option(min=1, help="Stop after so many cycles.", show_default=False)] = None,
    quick: Quick = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the figures so far.", show_default=False)] = None,
    seed: Seed = 0,
) -> None:
    """Plant attacks among honest articles: how many are stopped before they answer, and how many articles with them."""
    options = {"honest": honest, "attacks": attacks, "filters_only": filters_only, "cycles": cycles}
    _measure(session, "safety.poison", quick=quick, out=out, seed=seed, **options)


@command(bench, "reward")
def reward(
    session: Session,
    documents: Annotated[int, typer.Option(min=1, help="Documents, with six candidates each.")] = 6,
    seed: Annotated[int, typer.Option(help="Which articles are made up.")] = 0,
    quick: Quick = False,
) -> None:
    """Correlate every cheap reward with accuracy on questions in words that no training saw."""
    _measure(session, "learning.reward", documents=documents, seed=seed, quick=quick)


@command(bench, "train")
def train(
    session: Session,
    quick: Quick = False,
    shape: Annotated[str, typer.Option(help="nano, or qwen2.5-7b: random weights of its shape, on CUDA.")] = "nano",
    seed: Seed = 0,
) -> None:
    """Train candidates in one pass, as SEAL's procedure does, and with stock PEFT: candidates a minute of each."""
    _measure(session, "learning.train", quick=quick, shape=shape, seed=seed)


def _measure(session: Session, figure: str, **options: Any) -> None:
    """Run `sealserve.bench.<figure>` and show what it returns. Logs of what runs in process go to stderr."""
    from sealserve.telemetry import configure_logs

    configure_logs(log_format="console", log_level="warning")
    _show(session, import_module(f"sealserve.bench.{figure}").run(say=session.note, **options))


def _show(session: Session, figures: Any) -> None:
    from sealserve.cli import output

    values: dict[str, Any] = output.plain(figures)
    shown = [(name, value) for name, value in values.items() if not isinstance(value, dict)]
    session.show(values, lambda: output.pairs(shown))
