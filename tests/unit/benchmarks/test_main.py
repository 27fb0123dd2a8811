"""Every figure of the contract has a benchmark."""

from importlib import import_module

from benchmarks.__main__ import MODULES
from benchmarks.contract import GOALS


def test_the_benchmarks_give_each_promised_figure_once():
    names = [name for module in MODULES for name in import_module(f"benchmarks.{module}").BENCHMARK.names]
    assert sorted(names) == sorted(GOALS)
