"""A picture of outcomes, as SVG: load and replicas above, the wait in the queue below."""

from collections.abc import Mapping, Sequence
from html import escape

from deploy.simulate.simulation import Outcome

WIDTH, PANEL, WAIT_PANEL, LEFT, GAP = 900, 150, 60, 50, 34
COLOURS = ("#1f77b4", "#2ca02c", "#d62728", "#9467bd", "#8c564b")
LOAD_COLOUR = "#bbbbbb"
MOST_POINTS = 300
"""Points of a line; more could not be told apart."""


def picture(outcomes: Mapping[str, Sequence[Outcome]], title: str) -> str:
    """Draws.

    Args:
        outcomes: By the name of a `behavior`: one a trace, the same traces for all.
        title: What is said above.

    Returns:
        SVG.
    """
    traces = list(zip(*outcomes.values(), strict=True))
    height = GAP * 2 + len(traces) * (PANEL + WAIT_PANEL + 2 * GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>',
        _text(LEFT, 18, title, size=14),
        _legend(list(outcomes)),
    ]
    top = GAP * 2.0
    for of_trace in traces:
        parts.append(_trace(top, of_trace))
        top += PANEL + WAIT_PANEL + 2 * GAP
    return "\n".join([*parts, "</svg>\n"])


def _legend(names: Sequence[str]) -> str:
    drawn = zip(["load (replicas' worth)", *names], (LOAD_COLOUR, *COLOURS), strict=False)
    return "".join(
        f'<rect x="{LEFT + 200 * place}" y="30" width="14" height="10" fill="{colour}"/>'
        + _text(LEFT + 200 * place + 20, 39, name)
        for place, (name, colour) in enumerate(drawn)
    )


def _trace(top: float, outcomes: Sequence[Outcome]) -> str:
    first = outcomes[0]
    most = max(max(first.load), *(max(outcome.wanted) for outcome in outcomes))
    longest = max(1.0, *(max(outcome.waits_s) for outcome in outcomes))
    below = top + PANEL + GAP
    hours = first.trace.seconds / 3600
    return "".join(
        [
            _text(LEFT, top - 6, f"{first.trace.name}: replicas that serve, over {hours:g} h"),
            _axis(top, PANEL, most),
            _line(first.load, top, PANEL, most, LOAD_COLOUR),
            *(_line(each.ready, top, PANEL, most, colour) for each, colour in zip(outcomes, COLOURS, strict=False)),
            _text(LEFT, below - 6, "seconds that the next row has waited"),
            _axis(below, WAIT_PANEL, longest),
            *(
                _line(each.waits_s, below, WAIT_PANEL, longest, colour)
                for each, colour in zip(outcomes, COLOURS, strict=False)
            ),
        ]
    )


def _line(values: Sequence[float], top: float, height: float, most: float, colour: str) -> str:
    stride = max(1, len(values) // MOST_POINTS)
    # The largest of each stretch: a short peak is what one looks for.
    seen = [max(values[start : start + stride]) for start in range(0, len(values), stride)]
    width = WIDTH - LEFT - 10
    points = " ".join(
        f"{LEFT + place / max(1, len(seen) - 1) * width:.1f},{top + height * (1 - value / most):.1f}"
        for place, value in enumerate(seen)
    )
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _axis(top: float, height: float, most: float) -> str:
    frame = f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - 10}" height="{height}" fill="none" stroke="#dddddd"/>'
    return frame + _text(6, top + 10, f"{most:.3g}") + _text(6, top + height, "0")


def _text(x: float, y: float, text: str, size: int = 12) -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}">{escape(text)}</text>'
