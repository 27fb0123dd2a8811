"""`make bench`: prints a line of JSON for each figure. python -m benchmarks --help says what can be chosen."""

import argparse
import os
import signal
import sys
import traceback
from importlib import import_module
from pathlib import Path

from benchmarks.bench import Bench, Benchmark, SkipFigure
from benchmarks.contract import GOALS
from benchmarks.pairs import PAIRS

MODULES = ("unary", "memory", "stream_bytes", "streams", "idle", "queue_scaling", "autoregressive", "scheduling")
"""In this order, so that what is measured from outside comes before this process has TensorFlow."""


def main() -> int:
    """Measures.

    Returns:
        1 where a benchmark failed; a figure that misses its target is none.
    """
    arguments = _arguments()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # So that the servers end, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    bench = Bench(arguments.pairs, tuple(arguments.store))
    names, failed = set(arguments.names or GOALS), False
    for module in MODULES:
        benchmark: Benchmark = import_module(f"benchmarks.{module}").BENCHMARK
        asked = names.intersection(benchmark.names)
        if not asked:
            continue
        bench.say(f"measuring {', '.join(sorted(asked))}")
        try:
            for figure in benchmark.measure(bench, asked):
                print(figure.line(), flush=True)
        except SkipFigure as reason:
            bench.say(f"skipped {', '.join(sorted(asked))}: {reason}")
        except Exception:  # noqa: BLE001 - the other figures can be measured all the same
            traceback.print_exc()
            failed = True
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures what was promised.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"figures to measure: {', '.join(GOALS)}; none: all")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"pairs of each; fewer than {PAIRS} are a trial")
    parser.add_argument("--store", type=Path, action="append", default=[], help="folder of models that come first")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - GOALS.keys()):
        parser.error(f"there is no figure {', '.join(unknown)}; there are {', '.join(GOALS)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
