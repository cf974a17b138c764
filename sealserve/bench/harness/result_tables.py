"""The tables of ops/bench/README.md, from the newest result of each figure:
`python -m sealserve.bench.harness.result_tables`.

A result is the JSON object that a bench printed, kept as ops/bench/results/<date>-<machine>-<figure>.json. Results that
were printed before a figure had an arm are shown without it.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from sealserve.bench.harness.intervals import MIN_RESAMPLED
from sealserve.canonical import Json
from sealserve.errors import BadConfig
from sealserve.prompts import BUILT_IN

BEGIN, END = "<!-- {name}: begin -->", "<!-- {name}: end -->"
_ARMS = ("none", "open_book", "raw", *BUILT_IN, "distillation", "default")
_SHOWN = {"open_book": "none, text at hand"}
_SIDES = {
    "one_pass": "one pass",
    "stock_peft": "stock PEFT, one process",
    "stock_peft_per_core": "stock PEFT, a process per core",
    "seal": "SEAL's code: padded to the context",
}


def rewritten(readme: str, results: Path) -> str:
    """Return the page with every figure's part renewed from its newest result; parts without one stay as they are.

    Raises: BadConfig (a part's end is missing, or a result is not JSON).
    """
    for name, table in TABLES.items():
        found = newest(results, name)
        begin, end = BEGIN.format(name=name), END.format(name=name)
        if found is None or begin not in readme:
            continue
        if end not in readme:
            raise BadConfig(f"the page has {begin} but no {end}")
        before, _, rest = readme.partition(begin)
        readme = f"{before}{begin}\n{_about(found)}\n\n{table(found)}\n{end}{rest.partition(end)[2]}"
    return readme


def newest(results: Path, figure: str) -> Json | None:
    """Return the newest kept result of `figure`, with its file's name and date; None when there is none.

    Raises: BadConfig (not JSON).
    """
    files = sorted(path for path in results.glob("*.json") if re.fullmatch(rf".*-{figure}", path.stem))
    if not files:
        return None
    try:
        found: Json = json.loads(files[-1].read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadConfig(f"{files[-1]}: not a result: {error}") from error
    return {"date": files[-1].name[:10], **found, "file": files[-1].name}


def _about(result: Json) -> str:
    parts = [result["date"]]
    parts += [result["machine"]] if isinstance(result.get("machine"), str) else []
    parts += [f"{name} {result[name]}" for name in ("model", "seed") if name in result]
    if isinstance(result.get("seconds"), float):
        parts.append(f"{result['seconds']:.0f} s in all")
    return f"{', '.join(parts)} ([result](results/{result['file']}))."


def _learn(result: Json) -> str:
    intervals = result["intervals"]
    rows = [
        (_SHOWN.get(name, name), _share(result[name]), _interval(intervals[name]), _goal(result, name))
        for name in _ARMS
        if name in result
    ]
    rows += [
        (name.replace("_", " "), f"{result[name]:+.3f}", _interval(intervals[name]), _goal(result, name))
        for name in ("reported_minus_retested", "seal_reported_minus_retested")
    ]
    return _table(("trained on", "accuracy", "95 % interval", "goal"), rows)


def _continual(result: Json) -> str:
    last = result["articles"] - 1
    arms = {"": "rebuilt on the union", "replay_": "the same, replay alone", "seal_": "SEAL: merge and go on"}
    arms = {prefix: title for prefix, title in arms.items() if f"{prefix}just_learned" in result}
    rows = [["orders of the articles", *(str(result[f"{prefix}orders"]) for prefix in arms), ""]]
    for name in (f"retained_lag{last}", "canary_loss", "just_learned", "known_at_the_end"):
        if name in result:
            cells = [
                f"{result[f'{prefix}{name}']:.3f} {_interval_over(result, name, prefix=prefix)}".strip()
                for prefix in arms
            ]
            rows.append([name, *cells, _goal(result, name)])
    rows.append(["gain kept, by articles since", *(_by_lag(result, prefix) for prefix in arms), ""])
    shown = _table(("", *arms.values(), "goal"), rows)
    return f"{shown}\n\n{_rates(result)}" if "seal_rates" in result else shown


def _by_lag(result: Json, prefix: str) -> str:
    pairs = zip(result[f"{prefix}lags"], result[f"{prefix}retained_by_lag"], strict=True)
    return ", ".join(f"{lag}: {value:.2f}" for lag, value in pairs if value is not None)


def _rates(result: Json) -> str:
    rows = [
        (rate, f"{one['known_at_the_end']:.3f}", f"{one['canary_loss']:.3f}")
        for rate, one in result["seal_rates"].items()
    ]
    orders = f"on {result['seal_tried_orders']} of the orders"
    told = f"SEAL's way is shown at a learning rate of {result['seal_rate']:g}; {orders}, the rates gave:"
    return f"{told}\n\n{_table(('learning rate', 'known_at_the_end', 'canary_loss'), rows)}"


def _override(result: Json) -> str:
    names = {
        "override": "answered by the new value",
        "override_weak": "the same, weakest third of priors",
        "override_middle": "the same, middle third",
        "override_strong": "the same, strongest third",
        "learned": "known to the winner, whatever the verdict",
        "old_answers": "answered by the old value",
        "siblings_lost": "lost of other facts of the same residents",
        "other_residents_lost": "lost of other residents",
    }
    rows = [
        (title, *(_with_interval(result, f"{arm}{name}", name, arm) for arm in ("", "plain_")), _goal(result, name))
        for name, title in names.items()
        if name in result
    ]
    counts = ("refused_for_correction", "promoted", "found", "wrongly_excused")
    rows += [
        (name.replace("_", " "), str(result[name]), str(result[f"plain_{name}"]), _goal(result, name))
        for name in counts
    ]
    return _table(("", "as shipped", "without overrides", "goal"), rows)


def _with_interval(result: Json, key: str, name: str, arm: str) -> str:
    span = result[f"{arm}intervals"].get(name)
    return f"{result[key]:.3f} {_interval(span) if span else ''}".strip()


def _editor(result: Json) -> str:
    rounds = zip(result["accuracy"], result["accuracy_intervals"], result["asked_for"], strict=True)
    rows = [
        (f"round {number}", _share(value), _interval(span), "", _asked(asked))
        for number, (value, span, asked) in enumerate(rounds)
    ]
    gain = _interval((result["gain_low"], result["gain_high"]))
    rows.append(("gain over round 0", f"{result['gain']:+.3f}", gain, _goal(result, "gain"), ""))
    if "default" in result:
        recipe = _asked(result["default_recipe"])
        rows.insert(0, ("no directive", _share(result["default"]), _interval(result["default_interval"]), "", recipe))
        over = _interval(result["gain_over_default_interval"])
        rows.append(("gain over no directive", f"{result['gain_over_default']:+.3f}", over, "", ""))
    columns = ("editor", "accuracy on documents it never saw", "95 % interval", "goal", "asks for, on average")
    return _table(columns, rows)


def _asked(asked: Json) -> str:
    kinds = ", ".join(f"{name} {asked[name]:.0%}" for name in BUILT_IN if asked[name])
    loss = f"loss on all {asked['loss_on_all']:.0%}"
    return f"rate {asked['learning_rate']:.4f}, {asked['epochs']:.1f} epochs, {loss}; {kinds}"


def _real(result: Json) -> str:
    names = {"none": "base, closed book", "open_book": "base, passage at hand", "raw": "text alone, as many steps"}
    shares = [
        [names.get(arm, arm), f"{result[arm]:.3f}", _interval(result["intervals"][arm])]
        for arm in ("none", "open_book", "raw", *BUILT_IN, "default")
        if arm in result
    ]
    rows = [
        ["default, of the base with the passage at hand", _or_none(result["default_over_open"]), ">= 0.7"],
        ["lost on old skills", _or_none(result["canary_loss"]), "<= 0.02"],
        ["lost on saying that it does not know", _or_none(result["abstention_loss"]), ""],
        ["reported minus retested", _or_none(result["reported_minus_retested"]), "<= 0.02"],
        ["passages whose cycle was promoted", f"{result['promoted']} of {result['passages']}", "3 of 4"],
        ["seconds a passage", f"{result['seconds_per_article']:.0f}", "<= 300"],
    ]
    cycles = [[one["state"], f"{one['seconds']:.0f} s", one["reason"]] for one in result["cycles"]]
    return "\n\n".join(
        (
            _table(["arm", "right", "95 % interval, by passage"], shares),
            _table(["figure", "measured", "goal"], rows),
            _table(["cycle", "took", "verdict"], cycles),
        )
    )


def _or_none(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _squad(result: Json) -> str:
    rows = [(str(one["passages"]), one["state"], one["reason"]) for one in result["verdicts"]]
    told = f"{result['passages']} passages: {result['crashed']} crashed, {result['promoted']} promoted."
    return f"{told}\n\n{_table(('passages', 'verdict', 'reason'), rows)}"


def _seal(result: Json) -> str:
    published = result["published"]
    rows = [
        (
            _SHOWN.get(name, name),
            _share(result[name]),
            _interval(result["intervals"][name]),
            _share(published[name]) if name in published else "",
        )
        for name in _ARMS
        if name in result
    ]
    return _table(("trained on", "accuracy", "95 % interval", "SEAL, Qwen2.5-7B"), rows)


def _train(result: Json) -> str:
    ratios = result.get("ratios") or {"seal": result["ratio_seal"], "stock_peft": result["ratio_peft"]}
    rows = []
    for name, rate in result["per_minute"].items():
        side, _, batch = name.partition("_batch")
        slowest, fastest = result.get("spread", {}).get(name, (None, None))
        rows.append(
            (
                _SIDES[side],
                batch or "1",
                f"{rate:.1f}",
                "" if slowest is None else f"{slowest:.1f} to {fastest:.1f}",
                str(result["timed"][name]),
                f"{result['final_loss'][name]:.4f}",
                f"{ratios[name]:.3g} times" if name in ratios else "",
                _goal(result, f"ratio_{name.removeprefix('stock_')}"),
            )
        )
    head = ("", "sequences a step", "candidates a minute", "slowest to fastest", "timed", "final loss")
    return _table((*head, "one pass is faster", "goal"), rows)


def _intake(result: Json) -> str:
    rows = [
        (name, f"{one['documents_per_second']:.1f}", f"{one['megabytes_per_second']:.2f}", f"{one['kilobytes']:.0f}")
        for name, one in result["formats"].items()
    ]
    table = _table(("format", "documents a second", "MB a second", "KB each"), rows)
    return (
        f"{table}\n\nHonest documents beside hostile ones take {result['others_ratio']:g} times as long as alone. A"
        f" reading process\nholds {result['child_peak_mib']:.0f} MiB at most; the inbox's own grew by"
        f" {result['parent_growth_mib']:.0f} MiB."
    )


def _abuse(result: Json) -> str:
    worst_first = sorted(result["rows"].items(), key=lambda item: -float(item[1]["others_p99_ratio"]))
    rows = [
        (
            name,
            f"{one['before_p99_ms']:.0f}, {one['during_p99_ms']:.0f} ms",
            f"{one['others_p99_ratio']:.2f}",
            f"{one['rss_growth_mib']:.0f} MiB",
        )
        for name, one in worst_first
    ]
    figures = [
        ("others_p99_ratio", f"{result['others_p99_ratio']:.2f}", _met("<= 2", result["others_p99_ratio"] <= 2)),
        ("rss_growth_mib", f"{result['rss_growth_mib']:.0f}", ""),
        *(
            (name, str(result[name]), _met("0", result[name] == 0))
            for name in ("refused_within_share", "checks_failed")
        ),
    ]
    head = ("the bad caller", "p99 before, meanwhile", "ratio", "server grew by")
    return f"{_table(('figure', 'measured', 'goal'), figures)}\n\n{_table(head, rows)}"


def _beside(result: Json) -> str:
    rows = [
        (
            title,
            *(f"{result[f'{name}_{part}_ratio']:.2f}" for part in ("p50", "p90", "p99")),
            _met("p99 <= 2", result[f"{name}_p99_ratio"] <= 2),
        )
        for name, title in (("ttft", "first token, during the cycle ÷ before and after it"), ("answer", "whole answer"))
    ]
    phases = [
        (
            phase,
            str(one["answers"]),
            f"{one['ttft_p50_ms']:.0f}, {one['ttft_p99_ms']:.0f} ms",
            f"{one['answer_p50_ms']:.0f}, {one['answer_p99_ms']:.0f} ms",
        )
        for phase, one in result["phases"].items()
    ]
    told = (
        f"{result['answers']:,} answers, {result['failed']} failed. The cycle took {result['cycle_seconds']:,.0f} s and"
        f" ended {result['cycle_state']}."
    )
    head = ("phase", "answers", "first token p50, p99", "whole answer p50, p99")
    return f"{told}\n\n{_table(('', 'p50', 'p90', 'p99', 'goal'), rows)}\n\n{_table(head, phases)}"


def _capacity(result: Json) -> str:
    load = result["load"]
    rate_of_each = load["rate"] / load["tenants"]
    rows = [
        (
            f"{int(tenants):,}",
            f"{int(tenants) * rate_of_each:,.0f}",
            str(replicas),
            f"{result['memory_gib'][tenants]:,.0f} GiB",
            f"{result['ttft_p50_ms'][tenants]:.0f}, {result['ttft_p99_ms'][tenants]:.0f} ms",
            f"{result['cold'][tenants]:.3f}",
        )
        for tenants, replicas in result["replicas"].items()
    ]
    head = (
        "tenants",
        "requests a second",
        "replicas",
        "memory",
        "first token p50, p99",
        "share that waits for a load",
    )
    return f"With {result['machine']['places']:,} places a replica:\n\n{_table(head, rows)}"


def _met(goal: str, is_met: bool) -> str:
    return f"{goal}: {'met' if is_met else 'not met'}"


TABLES: dict[str, Callable[[Json], str]] = {
    "learn": _learn,
    "continual": _continual,
    "override": _override,
    "editor": _editor,
    "real": _real,
    "squad": _squad,
    "seal": _seal,
    "train": _train,
    "abuse": _abuse,
    "capacity": _capacity,
    "beside": _beside,
    "intake": _intake,
}


def _share(value: float) -> str:
    return f"{value:.3f}"


def _interval(span: Iterable[float]) -> str:
    low, high = span
    return f"[{low:.3f}, {high:.3f}]"


def _interval_over(result: Json, name: str, *, prefix: str) -> str:
    """The interval of one arm; "" where there are too few orders to resample."""
    span = result[f"{prefix}intervals"][name]
    return _interval(span) if span and result[f"{prefix}orders"] >= MIN_RESAMPLED else ""


def _goal(result: Json, name: str) -> str:
    goal = result.get("goals", {}).get(name)
    return _met(goal["goal"], goal["is_met"]) if goal else ""


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(columns)
    lines = [
        heads,
        ["---"] * len(heads),
        *([cell.replace("|", "/").replace("\n", " ") for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(folder: Path = Path("ops/bench")) -> None:
    """Renew the tables of the page in `folder`."""
    page = folder / "README.md"
    page.write_text(rewritten(page.read_text(encoding="utf-8"), folder / "results"), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
