"""Plots of the learning figures, as PNG files. Needs matplotlib, which comes with the extra `bench`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sealserve.bench.harness.intervals import Share
from sealserve.errors import BadConfig

MISSING = "plots need matplotlib: pip install 'sealserve[bench]', or leave --out away"


def require_plots(out: Path | None) -> None:
    """Do nothing when no plots are wanted or they can be drawn. Raises: BadConfig, saying what to install."""
    if out is not None:
        _pyplot()
        out.mkdir(parents=True, exist_ok=True)


def bars(path: Path, shares: Mapping[str, Share], *, title: str, goals: Mapping[str, float]) -> None:
    """Draw one bar a share with its interval, and a line at each goal. Raises: BadConfig."""
    plot = _pyplot()
    figure, axes = plot.subplots(figsize=(1.6 + 0.9 * len(shares), 4.2), layout="constrained")
    values = [share.value for share in shares.values()]
    below = [share.value - share.low for share in shares.values()]
    above = [share.high - share.value for share in shares.values()]
    axes.bar(list(shares), values, yerr=[below, above], capsize=4, color="#4c78a8")
    for name, goal in goals.items():
        axes.axhline(goal, linestyle="--", linewidth=1, color="#e45756")
        axes.text(len(shares) - 0.5, goal, f" {name}", va="bottom", ha="right", color="#e45756", fontsize=8)
    axes.set_ylim(0, 1)
    axes.set_ylabel("accuracy (95 % interval)")
    axes.tick_params(axis="x", rotation=35)
    axes.set_title(title)
    _save(plot, figure, path)


def heatmap(path: Path, rows: Sequence[Sequence[float | None]], *, title: str, x: str, y: str) -> None:
    """Draw a matrix of shares; None is left blank. Raises: BadConfig."""
    plot = _pyplot()
    size = len(rows)
    figure, axes = plot.subplots(figsize=(1.5 + 0.6 * size, 1.2 + 0.6 * size), layout="constrained")
    shown = [[float("nan") if cell is None else cell for cell in row] for row in rows]
    image = axes.imshow(shown, vmin=0, vmax=1, cmap="viridis")
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            if cell is not None:
                axes.text(
                    j, i, f"{cell:.2f}", ha="center", va="center", fontsize=7, color="white" if cell < 0.6 else "black"
                )
    axes.set_xticks(range(len(rows[0])))
    axes.set_yticks(range(size), [str(place + 1) for place in range(size)])
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title)
    figure.colorbar(image, ax=axes, shrink=0.8)
    _save(plot, figure, path)


def lines(path: Path, series: Mapping[str, Sequence[Share]], *, title: str, x: str, y: str) -> None:
    """Draw one line a series, place by place, with its intervals. Raises: BadConfig."""
    plot = _pyplot()
    figure, axes = plot.subplots(figsize=(6, 4), layout="constrained")
    for name, shares in series.items():
        places = list(range(len(shares)))
        axes.plot(places, [share.value for share in shares], marker="o", label=name)
        axes.fill_between(places, [share.low for share in shares], [share.high for share in shares], alpha=0.2)
    axes.set_xticks(range(max(map(len, series.values()))))
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title)
    axes.legend()
    _save(plot, figure, path)


def _save(plot: Any, figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=120, metadata={"Software": "sealserve"})
    plot.close(figure)


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise BadConfig(MISSING) from error
    matplotlib.use("agg")
    from matplotlib import pyplot

    return pyplot
