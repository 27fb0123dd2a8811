"""What a dashboard is made of, and the JSON that Grafana reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COLUMNS = 24
"""Width of a dashboard in Grafana's units."""
ACROSS = 3
"""Panels side by side."""
HEIGHT = 8
SCHEMA = 39
"""Version of Grafana's JSON: that of Grafana 10.4, which later ones read."""
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Query:
    """A line, or several.

    Args:
        expr: PromQL; `$namespace`, `$model` and `$__rate_interval` are put in by Grafana.
        legend: Name of a line, such as `{{model}}`.
    """

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A diagram over time.

    Args:
        title: What it shows.
        description: What to make of it.
        unit: Grafana's name of the unit: `short`, `s`, `percentunit`, `reqps`.
        queries: Its lines.
        stacked: Whether lines are put on top of each other.
        limit: A value from which on it is shown in red; None: there is none.
    """

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    stacked: bool = False
    limit: float | None = None

    def to_json(self, number: int, place: Mapping[str, int]) -> dict[str, Any]:
        """As Grafana reads it."""
        style: dict[str, Any] = {"lineWidth": 1, "fillOpacity": 20 if self.stacked else 5}
        style["stacking"] = {"mode": "normal" if self.stacked else "none"}
        steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
        if self.limit is not None:
            steps.append({"color": "red", "value": self.limit})
            style["thresholdsStyle"] = {"mode": "line"}
        defaults = {"unit": self.unit, "min": 0, "custom": style, "thresholds": {"mode": "absolute", "steps": steps}}
        return {
            "id": number,
            "type": "timeseries",
            "title": self.title,
            "description": self.description,
            "datasource": SOURCE,
            "gridPos": place,
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
            "targets": [
                {
                    "refId": chr(ord("A") + letter),
                    "datasource": SOURCE,
                    "expr": query.expr,
                    "legendFormat": query.legend,
                }
                for letter, query in enumerate(self.queries)
            ],
        }


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a title.

    Args:
        title: The title.
        panels: The panels.
    """

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Variable:
    """Something to choose above the panels.

    Args:
        name: Its name; queries say `$name`.
        query: What gives the choices: `label_values(metric, label)`.
    """

    name: str
    query: str

    def to_json(self) -> dict[str, Any]:
        """As Grafana reads it."""
        return {
            "name": self.name,
            "type": "query",
            "datasource": SOURCE,
            "definition": self.query,
            "query": {"query": self.query, "refId": self.name},
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        }


def dashboard(title: str, uid: str, variables: Sequence[Variable], rows: Sequence[Row]) -> dict[str, Any]:
    """A whole dashboard.

    Args:
        title: Its title.
        uid: What Grafana knows it by.
        variables: What can be chosen.
        rows: What it shows.
    """
    panels: list[dict[str, Any]] = []
    top = 0
    for row in rows:
        place = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": row.title,
                "gridPos": place,
                "collapsed": False,
                "panels": [],
            }
        )
        top += 1
        width = COLUMNS // ACROSS
        for number, panel in enumerate(row.panels):
            down, across = divmod(number, ACROSS)
            place = {"h": HEIGHT, "w": width, "x": across * width, "y": top + down * HEIGHT}
            panels.append(panel.to_json(len(panels) + 1, place))
        top += -(-len(row.panels) // ACROSS) * HEIGHT
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    return {
        "uid": uid,
        "title": title,
        "tags": ["genservice"],
        "schemaVersion": SCHEMA,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [source, *(variable.to_json() for variable in variables)]},
        "panels": panels,
    }
