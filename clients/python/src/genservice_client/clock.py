"""Time and chance."""

import asyncio
import random
import time


class Clock:
    """Where the SDK takes time and jitter from; a test passes its own, and nothing sleeps."""

    def now(self) -> float:
        """Gives a time in seconds that never goes back."""
        return time.monotonic()

    def random(self) -> float:
        """Draws the jitter of a back-off, from 0 to 1."""
        return random.random()  # noqa: S311 - spreads clients out, hides nothing

    def sleep(self, seconds: float) -> None:
        """Waits, in a synchronous client."""
        time.sleep(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Waits, in an asynchronous client."""
        await asyncio.sleep(seconds)
