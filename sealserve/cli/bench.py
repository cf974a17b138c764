"""`sealserve bench`: benchmarks, each with its figures as one JSON object on the last line."""

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from sealserve.cli.session import Session, command

bench = typer.Typer(help="Run benchmarks on this machine.", no_args_is_help=True)


@command(bench, "watch")
def watch(
    session: Session,
    runs: Annotated[int, typer.Option(min=1, help="Simulated watches per scenario.")] = 400,
    quick: Annotated[bool, typer.Option("--quick", help="Short run of about a minute; not for publication.")] = False,
    simulation_only: Annotated[bool, typer.Option("--simulation-only", help="Skip the part on a real daemon.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Other tenants take all other places for adapters.")] = False,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
) -> None:
    """Measure false-rollback rate, time to roll back worse versions, and rollback latency on a real daemon."""
    options = {"simulation_only": simulation_only, "full": full}
    _measure(session, "safety.rollout", runs=runs, quick=quick, seed=seed, **options)


@command(bench, "swap")
def swap(
    session: Session,
    swaps: Annotated[int, typer.Option(min=1, help="Number of version changes.")] = 200,
    clients: Annotated[int, typer.Option(min=1, help="Concurrent clients.")] = 4,
) -> None:
    """Swap versions under load, bad adapters among them, and check each answer against the version it names."""
    _measure(session, "serving.swap", swaps=swaps, clients=clients)


@command(bench, "serve")
def serve(
    session: Session,
    requests: Annotated[int, typer.Option(min=1, help="Requests per side.")] = 200,
    clients: Annotated[int, typer.Option(min=1, help="Concurrent requests.")] = 8,
) -> None:
    """Compare streamed tokens per second over gRPC with the same load on the in-process engine."""
    _measure(session, "serving.serve", requests=requests, clients=clients)


@command(bench, "tenants")
def tenants(
    session: Session,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer tenants and answers; not for publication.")] = False,
) -> None:
    """Serve many more tenants than adapters fit into the engine: waits, refusals, and what each tenant costs."""
    _measure(session, "serving.tenants", quick=quick)


@command(bench, "abuse")
def abuse(
    session: Session,
    quick: Annotated[bool, typer.Option("--quick", help="Short run of about a minute; not for publication.")] = False,
) -> None:
    """Let one caller do its worst in ten ways, and measure what another tenant notices of it."""
    _measure(session, "serving.abuse", quick=quick)


@command(bench, "intake")
def intake(
    session: Session,
    quick: Annotated[bool, typer.Option("--quick", help="A few documents; not for publication.")] = False,
) -> None:
    """Measure documents per second by format, memory, and what hostile documents cost honest ones."""
    _measure(session, "serving.intake", quick=quick)


@command(bench, "beside")
def beside(
    session: Session,
    documents: Annotated[int, typer.Option(min=1, help="Number of articles that are learned.")] = 2,
    slowdown: Annotated[
        float, typer.Option(min=0, help="serve.learning_slowdown of the daemon; 0: learning does not yield.")
    ] = 2.0,
    quick: Annotated[bool, typer.Option("--quick", help="A shorter cycle; not for publication.")] = False,
) -> None:
    """Measure how fast one tenant is answered while another one's documents are learned, on real daemons.

    The ratios divide the answers during the cycle by those before and after it.
    """
    _measure(session, "serving.beside", documents=documents, slowdown=slowdown, quick=quick)


@command(bench, "capacity")
def capacity(
    session: Session,
    tenants: Annotated[int, typer.Option(min=1, help="Tenants with a version.")] = 10_000,
    rate: Annotated[float, typer.Option(min=0.001, help="Requests a second, of all tenants together.")] = 20.0,
    exponent: Annotated[float, typer.Option(min=0, help="Zipf's exponent: 0 is all alike.")] = 1.1,
    places: Annotated[int, typer.Option(min=1, help="engine.loaded_adapters of a replica.")] = 64,
    slots: Annotated[int, typer.Option(min=1, help="engine.slots of a replica.")] = 64,
    load_ms: Annotated[float, typer.Option(min=0, help="To read an adapter into the engine.")] = 65.0,
    first_token_ms: Annotated[float, typer.Option(min=0.1, help="To the first token, idle.")] = 56.0,
    token_ms: Annotated[float, typer.Option(min=0, help="For each further token, idle.")] = 3.0,
    neighbour_ms: Annotated[float, typer.Option(min=0, help="What a running request adds to each token.")] = 0.4,
    base_gib: Annotated[float, typer.Option(min=0, help="Memory of a replica without adapters.")] = 2.0,
    adapter_mib: Annotated[float, typer.Option(min=0, help="Memory of a resident adapter.")] = 1.0,
    goal_ms: Annotated[
        float, typer.Option(min=0, help="First token at the 99th percentile; 0: twice the first token when idle.")
    ] = 0.0,
    quick: Annotated[bool, typer.Option("--quick", help="Only for --tenants, with fewer requests.")] = False,
) -> None:
    """Simulate how many replicas many tenants need, by times that you measured.

    Also ten and a hundred times as many tenants with as much more traffic. The defaults are times of the embedded model
    on two cores.
    """
    from sealserve.bench.serving.capacity import Load, Machine, run

    machine = Machine(
        places=places, slots=slots, sequences=64, load_seconds=load_ms / 1000,
        first_token_seconds=first_token_ms / 1000, token_seconds=token_ms / 1000,
        batch_seconds=neighbour_ms / 1000, base_mib=base_gib * 1024, adapter_mib=adapter_mib,
    )  # fmt: skip
    load = Load(tenants=tenants, rate=rate, exponent=exponent)
    _show(session, run(load=load, machine=machine, goal_ms=goal_ms, quick=quick, say=session.note))


@command(bench, "kill")
def kill(
    session: Session,
    kills: Annotated[int, typer.Option(min=1, help="Number of kills.")] = 50,
    replicas: Annotated[
        bool, typer.Option("--replicas", help="Kill one of two `serve` in turn, under load, instead.")
    ] = False,
    registry_url: Annotated[
        str, typer.Option(help="Only with --replicas: an empty database for both; a SQLite file by default.")
    ] = "",
) -> None:
    """Kill `learn`, `serve` and the engine with SIGKILL, and count lost, partial and duplicate work.

    `learn` is killed at every step boundary and at random, `serve` during promotions, approvals, watches and
    unlearning. With --replicas clients ask two `serve`, while versions are promoted: lost calls and wrong answers
    are counted.
    """
    if replicas:
        _measure(session, "reliability.kill_replicas", kills=kills, registry_url=registry_url)
    else:
        _measure(session, "reliability.kill", kills=kills)


@command(bench, "gate")
def gate(
    session: Session,
    candidates: Annotated[int, typer.Option(min=1, help="Simulated candidates per scenario.")] = 1000,
    out: Annotated[Path | None, typer.Option(help="Directory for the power curve (PNG).", show_default=False)] = None,
) -> None:
    """Measure how often the shipped policy promotes simulated candidates that are useless or worse."""
    _measure(session, "safety.gate", candidates=candidates, out=out)


Quick = Annotated[bool, typer.Option("--quick", help="Short run of about a minute; not for publication.")]


Out = Annotated[Path | None, typer.Option(help="Directory for plots (PNG).", show_default=False)]


Seed = Annotated[int, typer.Option(help="Random seed, also of the generated articles.")]


Passages = Annotated[Path, typer.Option(help='JSON list of {"title", "context", "questions"}.', show_default=False)]


@command(bench, "learn")
def learn(session: Session, quick: Quick = False, out: Out = None, seed: Seed = 0) -> None:
    """Measure accuracy on one article: untrained, with the article at hand, raw text, each template, the default."""
    _measure(session, "learning.learn", quick=quick, out=out, seed=seed)


@command(bench, "continual")
def continual(session: Session, quick: Quick = False, out: Out = None, seed: Seed = 0) -> None:
    """Learn eight articles in sequence, in eight orders; compare retention with replay alone and SEAL's merging."""
    _measure(session, "learning.continual", quick=quick, out=out, seed=seed)


@command(bench, "override")
def override(session: Session, quick: Quick = False, seed: Seed = 0) -> None:
    """Correct facts that the embedded model knows by heart, in whole cycles, with overrides and without."""
    _measure(session, "learning.override", quick=quick, seed=seed)


@command(bench, "editor")
def editor(session: Session, quick: Quick = False, out: Out = None, seed: Seed = 0) -> None:
    """Run two rounds of the outer loop and measure the editor's gain on held-out documents."""
    _measure(session, "learning.editor", quick=quick, out=out, seed=seed)


@command(bench, "squad")
def squad(
    session: Session,
    data: Passages,
    passages: Annotated[int, typer.Option(min=1, help="Number of passages, one cycle each.")] = 20,
    quick: Quick = False,
) -> None:
    """Run cycles on passages the embedded model cannot read; expects no crash and no promotion."""
    _measure(session, "learning.squad", data=data, passages=passages, quick=quick)


@command(bench, "real")
def real(
    session: Session,
    data: Passages,
    model: Annotated[
        str, typer.Option(help="Base model: a name of `sealserve model list`, or a directory.")
    ] = "smollm2",
    passages: Annotated[int, typer.Option(min=4, help="Number of passages, four a cycle.")] = 20,
    questions: Annotated[int, typer.Option(min=1, help="People's questions a passage at most.")] = 8,
    arms: Annotated[str, typer.Option(help="Further arms: raw and names of templates, separated by commas.")] = "raw",
    candidates: Annotated[int, typer.Option(min=0, help="Candidates a cycle; 0: as the model's profile has it.")] = 0,
    quick: Quick = False,
    seed: Seed = 0,
) -> None:
    """Run whole cycles of a pretrained model on real passages; graded by questions that people wrote.

    Ctrl-C ends it with the figures of the cycles so far.
    """
    wanted = [arm.strip() for arm in arms.split(",") if arm.strip()]
    _measure(
        session,
        "learning.real",
        data=data,
        model=model,
        passages=passages,
        questions=questions,
        arms=wanted,
        candidates=candidates,
        quick=quick,
        seed=seed,
    )


@command(bench, "seal")
def seal(
    session: Session,
    model: Annotated[str, typer.Option(help="Directory of the weights, such as Qwen2.5-7B.", show_default=False)],
    data: Passages,
    passages: Annotated[int, typer.Option(min=1, help="Number of passages, each trained alone.")] = 200,
    quick: Quick = False,
    out: Out = None,
) -> None:
    """Reproduce SEAL's knowledge-incorporation table. Requires the model weights and a GPU."""
    _measure(session, "learning.seal", model=model, data=data, passages=passages, quick=quick, out=out)


@command(bench, "forget")
def forget(
    session: Session,
    articles: Annotated[int, typer.Option(min=3, help="Articles; the second is unlearned, the last replaced.")] = 3,
    quick: Annotated[
        bool, typer.Option("--quick", help="Without learning: only what a revoked version answers on a full server.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Random seed of the generated articles.")] = 11,
) -> None:
    """Learn articles, unlearn one and replace one; measure what remains and what the others lose."""
    _measure(session, "learning.forget", articles=articles, quick=quick, seed=seed)


@command(bench, "poison")
def poison(
    session: Session,
    honest: Annotated[int, typer.Option(min=1, help="Number of honest articles.")] = 200,
    attacks: Annotated[int, typer.Option(min=5, help="Number of attacks among them, of five kinds.")] = 50,
    filters_only: Annotated[
        bool,
        typer.Option("--filters-only", help="Only the intake filters, without a model; 500 + 500 documents."),
    ] = False,
    judge: Annotated[
        str,
        typer.Option(help="Base model that judges a stranger's documents after the filters.", show_default=False),
    ] = "",
    cycles: Annotated[int | None, typer.Option(min=1, help="Maximum number of cycles.", show_default=False)] = None,
    quick: Quick = False,
    out: Annotated[Path | None, typer.Option(help="Directory for intermediate figures.", show_default=False)] = None,
    seed: Seed = 0,
) -> None:
    """Measure how many poisoning attacks are stopped, and how many honest articles are stopped with them."""
    options = {"honest": honest, "attacks": attacks, "filters_only": filters_only, "cycles": cycles}
    _measure(session, "safety.poison", quick=quick, out=out, seed=seed, judge=judge, **options)


@command(bench, "reward")
def reward(
    session: Session,
    documents: Annotated[int, typer.Option(min=1, help="Number of documents, with six candidates each.")] = 6,
    seed: Annotated[int, typer.Option(help="Random seed of the generated articles.")] = 0,
    quick: Quick = False,
) -> None:
    """Correlate each cheap reward with accuracy on questions worded unlike any in training."""
    _measure(session, "learning.reward", documents=documents, seed=seed, quick=quick)


@command(bench, "train")
def train(
    session: Session,
    quick: Quick = False,
    shape: Annotated[str, typer.Option(help="nano, or qwen2.5-7b (random weights of that shape, on CUDA).")] = "nano",
    seed: Seed = 0,
) -> None:
    """Compare candidates per minute: in one pass, with SEAL's code, and with stock PEFT in one or more processes."""
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
