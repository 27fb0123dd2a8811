"""A bar on the standard error stream."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genservice.model.fit import Progress as Advance


@contextmanager
def progress_bar(title: str) -> "Iterator[Advance]":
    """Shows how far something is.

    Args:
        title: What is done.

    Yields:
        To be called with what is done, what is to do in all, and figures to show.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, figures="")

        def advance(done: int, total: int, figures: Mapping[str, float]) -> None:
            shown = " ".join(f"{name}={value:.4g}" for name, value in figures.items())
            bar.update(task, completed=done, total=total, figures=shown)

        yield advance
