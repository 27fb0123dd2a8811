"""What the log says of an RPC, gathered while it runs."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Rpc:
    """An RPC under way.

    Args:
        model: Resource name of the version that answers, once that is known.
        rows: Rows of the answer so far.
    """

    model: str = ""
    rows: int = 0


_current: ContextVar[Rpc | None] = ContextVar("rpc", default=None)


def begin() -> Rpc:
    """Opens the notes on the RPC of this task."""
    rpc = Rpc()
    _current.set(rpc)
    return rpc


def note(model: str, rows: int) -> None:
    """Notes for the log which version answers, and rows that it has answered."""
    rpc = _current.get()
    if rpc is not None:
        rpc.model = model
        rpc.rows += rows
