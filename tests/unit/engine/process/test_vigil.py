"""The watch over a process, on a clock that the test moves."""

import os
import signal
import subprocess
import sys

import pytest

from genservice.engine.process.messages import Beat
from genservice.engine.process.vigil import Vigil
from genservice.engine.settings import EngineSettings
from genservice.testing.puppets import PuppetClock


class Watched:
    def __init__(self, pid=None):
        self.clock = PuppetClock()
        self.reasons = []
        self.vigil = Vigil(pid or os.getpid(), EngineSettings(), self.clock, self.reasons.append)

    async def live(self, seconds, busy="", busy_s=0.0):
        for _ in range(seconds):
            await self.clock.advance(1)
            self.vigil.hear(Beat(0, busy, busy_s))


@pytest.fixture
def stopped():
    """A process that was stopped."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    yield process.pid
    process.kill()
    process.wait()


async def test_a_process_that_gives_signs_of_life_is_left_alone():
    watched = Watched()
    await watched.live(1000)
    assert watched.reasons == []


async def test_a_process_that_falls_silent_is_told_of_once():
    watched = Watched()
    await watched.live(3)
    await watched.clock.advance(9.5)
    assert watched.reasons == []
    await watched.clock.advance(100)
    assert watched.reasons == ["silent for 10 s"]


async def test_the_standstill_of_the_server_itself_is_no_silence():
    watched = Watched()
    await watched.live(3)
    watched.clock._now += 100  # no timer ran
    await watched.clock.advance(5)
    assert watched.reasons == []
    await watched.clock.advance(10)
    assert watched.reasons == ["silent for 10 s"]


@pytest.mark.parametrize(
    ("busy", "busy_s", "reason"),
    [
        ("run", 60.5, "a call has run for 60 s"),
        ("step", 61, "a call has run for 60 s"),
        ("load", 601, "loading has run for 600 s"),
        ("warm_up", 601, "a step of the warm-up has run for 600 s"),
    ],
)
async def test_a_call_that_runs_for_too_long_is_told_of(busy, busy_s, reason):
    watched = Watched()
    await watched.live(2, busy, busy_s - 2)
    assert watched.reasons == []
    await watched.live(2, busy, busy_s)
    assert watched.reasons == [reason]


@pytest.mark.parametrize("busy", ["load", "warm_up", None])
async def test_while_a_process_starts_or_loads_it_may_be_silent_for_as_long_as_that_may_take(busy):
    watched = Watched()
    if busy is not None:
        await watched.live(3, busy)
    await watched.clock.advance(590)
    assert watched.reasons == []
    await watched.clock.advance(20)
    assert watched.reasons == ["silent for 600 s"]


async def test_a_process_that_was_stopped_while_it_loads_is_silent(stopped):
    watched = Watched(stopped)
    await watched.live(3, "load")
    await watched.clock.advance(15)
    assert watched.reasons == ["silent for 10 s"]


async def test_nothing_is_told_after_the_end_of_the_watch():
    watched = Watched()
    watched.vigil.stop()
    watched.vigil.hear(Beat(0, "run", 1000))
    await watched.clock.advance(1000)
    assert watched.reasons == []
