"""python -m deploy.simulate: prints what the shipped `behavior` makes of loads, beside the default and a bad one."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from deploy.simulate.autoscaler import Behavior, Kind, Policy, Rules
from deploy.simulate.fleet import Replica
from deploy.simulate.manifests import Scaling, read_scaling
from deploy.simulate.plot import picture
from deploy.simulate.simulation import NO_METRICS, Outcome, simulate
from deploy.simulate.traces import TRACES, Trace, read_trace

HERE = Path(__file__).parent
CAPACITY = HERE / "capacity.json"
"""What `genservice bench capacity fashion-gan` printed."""
COMPONENTS = HERE.parent / "components"
FORMS = {"hpa": COMPONENTS / "hpa" / "hpa.yaml", "keda": COMPONENTS / "keda" / "scaled-object.yaml"}
HASTY = Behavior(
    Rules(0, (Policy(Kind.PERCENT, 900, 15),)),
    Rules(0, (Policy(Kind.PERCENT, 100, 15),)),
)
"""No window and hardly a bound: what a target alone makes of a metric that is a minute behind."""
TIMID = Behavior(Rules(300, (Policy(Kind.PODS, 1, 300),)), Rules(300, (Policy(Kind.PODS, 1, 300),)))
"""A replica every five minutes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulates, and prints a table in Markdown.

    Returns:
        The exit code: 2 where an argument is wrong.
    """
    asked = _parser().parse_args(arguments)
    try:
        shipped = read_scaling(asked.manifest or FORMS[asked.form])
        traces = [read_trace(asked.csv)] if asked.csv else [TRACES[name] for name in asked.trace or TRACES]
        replica = _replica(asked)
    except (OSError, ValueError) as fault:
        sys.stderr.write(f"simulate: {fault}\n")
        return 2
    if asked.target:
        shipped = replace(shipped, target=asked.target)
    outcomes = {
        name: [simulate(scaling, replica, trace, no_metrics=tuple(asked.no_metrics)) for trace in traces]
        for name, scaling in behaviors(shipped).items()
    }
    sys.stdout.write(table(traces, outcomes))
    if asked.svg:
        asked.svg.write_text(picture(outcomes, f"{asked.form}, {shipped.target:g} rows a replica"))
    return 0


def behaviors(shipped: Scaling) -> Mapping[str, Scaling]:
    """What is compared: the same bounds and target with another `behavior`."""
    return {
        "shipped": shipped,
        "Kubernetes's default": replace(shipped, behavior=Behavior()),
        "hasty": replace(shipped, behavior=HASTY),
        "timid": replace(shipped, behavior=TIMID),
    }


def table(traces: Sequence[Trace], outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    """The figures, as Markdown: a row a trace and `behavior`."""
    lines = [
        "| trace | behavior | peak replicas | changes | rows refused | p99 in queue | replica-hours |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for place, trace in enumerate(traces):
        for name, of_traces in outcomes.items():
            each = of_traces[place]
            lines.append(
                f"| {trace.name} | {name} | {each.peak_replicas} | {each.changes} | {each.refused_rows:,.0f} "
                f"({each.refused_part:.2%}) | {each.queue_p99_s:.0f} s | {each.replica_hours:.2f} |"
            )
    return "\n".join(lines) + "\n"


def _replica(asked: argparse.Namespace) -> Replica:
    measured = json.loads(asked.capacity.read_text())
    try:
        usual = Replica(measured["capacity_rows_per_second"], measured["target"]["seconds_in_system"])
    except (KeyError, TypeError) as fault:
        raise ValueError(f"{asked.capacity} is not what `genservice bench capacity` prints.") from fault
    return replace(usual, queue_rows=asked.queue_rows, queue_s=asked.queue_s, cold_start_s=asked.cold_start)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.simulate", description=main.__doc__)
    parser.add_argument("--form", choices=FORMS, default="hpa", help="which of the shipped autoscalers")
    parser.add_argument("--manifest", type=Path, help="a manifest of your own with an HPA or a ScaledObject")
    parser.add_argument("--trace", choices=TRACES, action="append", help="a load; may be repeated; none: all")
    parser.add_argument("--csv", type=Path, help="a load of your own: CSV with seconds and load in replicas' worth")
    parser.add_argument("--capacity", type=Path, default=CAPACITY, help="what `genservice bench capacity` printed")
    parser.add_argument("--target", type=float, help="rows queued and running a replica, in place of the manifest's")
    parser.add_argument("--queue-rows", type=int, default=16384, help="max_queue_rows of the model")
    parser.add_argument("--queue-s", type=float, default=20, help="max_queue_s of the settings")
    parser.add_argument("--cold-start", type=float, default=60, help="seconds until a new replica serves")
    parser.add_argument(
        "--no-metrics",
        type=float,
        nargs=2,
        default=NO_METRICS,
        metavar="SECONDS",
        help="from when to when none is read",
    )
    parser.add_argument("--svg", type=Path, help="file that gets a picture")
    return parser


if __name__ == "__main__":
    sys.exit(main())
