"""What the log and an error say of an RPC, gathered while it runs."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Rpc:
    """An RPC under way.

    Args:
        model: Resource name of the version that answers, once that is known.
        rows: Rows of the answer so far.
        next_index: Of a draw: index of the first sample behind them; None where there is no such.
    """

    model: str = ""
    rows: int = 0
    next_index: int | None = None


_current: ContextVar[Rpc | None] = ContextVar("rpc", default=None)


def begin() -> Rpc:
    """Opens the notes on the RPC of this task."""
    rpc = Rpc()
    _current.set(rpc)
    return rpc


def note(model: str, rows: int, next_index: int | None = None) -> None:
    """Notes which version answers, rows that it has answered, and at which index a draw can go on behind them."""
    rpc = _current.get()
    if rpc is not None:
        rpc.model = model
        rpc.rows += rows
        rpc.next_index = next_index


def current() -> Rpc:
    """The notes on the RPC of this task."""
    return _current.get() or Rpc()
