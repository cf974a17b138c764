"""Renders the templates. Text from tenants is escaped and stripped of control characters here."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from sealserve.display import printable, version_name
from sealserve.records.reports import CycleReport
from sealserve.records.self_edit_diff import users
from sealserve.web import interval_bars

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


class Pages:
    """Renders templates; `clock` gives the time now."""

    def __init__(self, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        environment = Environment(
            loader=PackageLoader("sealserve.web"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_shown,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {
            "age": self._age, "signed": "{:+.3f}".format, "utc": _utc, "vname": version_name, "recipe": _recipe,
        }  # fmt: skip
        environment.globals |= {
            "users": users, "gate_reasons": _gate_reasons, "score_rows": interval_bars.score_rows,
            "bar_width": interval_bars.WIDTH, "bar_height": interval_bars.HEIGHT,
        }  # fmt: skip
        self._environment = environment

    def render(self, template: str, **values: Any) -> str:
        """Return the page as HTML."""
        return self._environment.get_template(template).render(**values)

    def _age(self, at: datetime) -> str:
        seconds = max(0.0, (self._clock() - at).total_seconds())
        for unit, size in _UNITS:
            if (count := int(seconds // size)) > 0:
                return f"{count} {unit}{'s' if count > 1 else ''} ago"
        return "just now"


def _shown(value: Any) -> Any:
    """Clean the value of a template expression; markup comes from templates whose values were cleaned."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _gate_reasons(report: CycleReport) -> tuple[str, ...]:
    """Return the verdict's reasons without those of policy rules, which are shown separately."""
    spoken = {f"{one.rule}: {one.reason}" for one in report.rules}
    return tuple(reason for reason in (report.verdict.reasons if report.verdict else ()) if reason not in spoken)


def _recipe(recipe: dict[str, Any]) -> str:
    parts = ((name.replace("_", " "), value) for name, value in recipe.items())
    return ", ".join(f"{name} {'+'.join(map(str, v)) if isinstance(v, list | tuple) else v}" for name, v in parts)
