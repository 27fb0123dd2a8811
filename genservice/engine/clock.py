"""Time, as a thing that tests can hold in their hands."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """Something that will happen, unless it is cancelled."""

    def cancel(self) -> None:
        """Makes it not happen."""


class Clock(Protocol):
    """Seconds on a clock that only goes forward, and calls at a time on it."""

    def now(self) -> float:
        """Seconds since some moment."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Calls back at that time, on the event loop."""


class LoopClock:
    """The machine's clock, and the running event loop's timers."""

    def now(self) -> float:
        """Seconds on `time.monotonic`; the loop's own clock stands still while its callbacks run."""
        return time.monotonic()

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Calls back at that time."""
        return asyncio.get_running_loop().call_later(max(0.0, when - time.monotonic()), callback)
