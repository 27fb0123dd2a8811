"""Answers as people read them."""

from collections.abc import Iterable, Sequence


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Prints a table.

    Args:
        columns: Their headings.
        rows: A text a column.
        title: What stands above.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, title=title or None)
    for row in rows:
        # As texts: what stands in brackets is no markup.
        table.add_row(*map(Text, row))
    Console().print(table)
