"""What every benchmark gets: where the models are, how many pairs to measure, and whom to tell."""

import sys
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.pairs import Figure
from genservice.plugin_host import PluginHost
from genservice.store.store import ModelStore


class SkipFigure(Exception):  # noqa: N818 - it is no error
    """A figure cannot be measured on this machine; the message says why."""


@dataclass(frozen=True)
class Bench:
    """A run.

    Args:
        pairs: Pairs of each figure.
        stores: Folders of models that come before those of the plugins.
    """

    pairs: int
    stores: tuple[Path, ...] = ()

    @cached_property
    def host(self) -> PluginHost:
        """The plugins."""
        return PluginHost.discover()

    def store_of(self, model: str) -> Path:
        """The folder of models that has this one.

        Raises:
            SkipFigure: None has it.
        """
        for root in (*self.stores, *self.host.stores):
            if root.is_dir() and model in ModelStore([root]).models():
                return root
        raise SkipFigure(f"the model {model!r} is not published")

    def say(self, message: str) -> None:
        """Tells people how it goes, on the standard error stream."""
        print(f"bench: {message}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Benchmark:
    """Something that gives figures.

    Args:
        names: Names of the figures.
        measure: Measures those that are asked for. Where it can give only some, it says what it skips.
    """

    names: tuple[str, ...]
    measure: Callable[[Bench, Set[str]], Iterator[Figure]]
