"""Watches over a worker process: whether it gives signs of life, and how long its calls run."""

from collections.abc import Callable
from pathlib import Path

from genservice.engine.clock import Clock, Timer
from genservice.engine.process.messages import Beat
from genservice.engine.settings import EngineSettings

STARTING = "start"
_LONG_KINDS = {STARTING: "starting", "load": "loading", "warm_up": "a step of the warm-up"}


class Vigil:
    """Tells when a worker process hangs.

    Args:
        pid: The process.
        settings: The limits.
        clock: Time.
        on_hang: Gets the reason, once.
    """

    def __init__(self, pid: int, settings: EngineSettings, clock: Clock, on_hang: Callable[[str], None]) -> None:
        self._pid = pid
        self._settings = settings
        self._clock = clock
        self._on_hang = on_hang
        self._kind = STARTING
        self._heard = clock.now()
        self._due = self._heard + settings.heartbeat_s
        self._timer: Timer | None = clock.call_at(self._due, self._look)

    def hear(self, beat: Beat) -> None:
        """Takes in a sign of life."""
        if self._timer is None:
            return
        self._heard = self._clock.now()
        self._kind = beat.busy
        if beat.busy_s > self._limit_s():
            self._hang(f"{_LONG_KINDS.get(self._kind, 'a call')} has run for {self._limit_s():g} s")

    def stop(self) -> None:
        """Ends the watch."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        now = self._clock.now()
        # Where this loop itself stood still, nothing could be heard.
        self._heard += now - self._due
        self._due = now + self._settings.heartbeat_s
        self._timer = self._clock.call_at(self._due, self._look)
        silence_s = now - self._heard
        if silence_s < self._settings.silence_limit_s:
            return
        # An import of TensorFlow holds the interpreter's lock: for 6.3 s where 20 others wanted the 2 cores, and for
        # longer where the disk is slow, too.
        limit_s = self._settings.silence_limit_s
        if self._kind in _LONG_KINDS and not _stopped(self._pid):
            limit_s = max(limit_s, self._settings.load_limit_s)
        if silence_s >= limit_s:
            self._hang(f"silent for {limit_s:g} s")

    def _limit_s(self) -> float:
        return self._settings.load_limit_s if self._kind in _LONG_KINDS else self._settings.call_limit_s

    def _hang(self, reason: str) -> None:
        self.stop()
        self._on_hang(reason)


def _stopped(pid: int) -> bool:
    """Whether a process was stopped, as by SIGSTOP or a debugger; False where that cannot be known."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in ("T", "t")
