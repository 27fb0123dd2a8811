"""The worker process: `python -m genservice.engine.process.child --fd DATA CONTROL`, with inherited sockets."""

import argparse
import asyncio
import ctypes
import faulthandler
import os
import signal
import socket
import sys
from collections.abc import Callable

from genservice.engine.interpreter import tune

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serves until the server closes the sockets, or ends."""
    parser = argparse.ArgumentParser(prog="python -m genservice.engine.process.child")
    parser.add_argument("--fd", nargs=2, type=int, required=True, metavar=("DATA", "CONTROL"), help="Unix sockets")
    fds: list[int] = parser.parse_args().fd
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the server decides when its workers end
    end_with_parent()
    faulthandler.enable()
    for fd in fds:
        os.set_inheritable(fd, False)  # what a plugin starts may not keep the sockets open
    tune()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(*fds))


def end_with_parent() -> None:
    """Has the kernel kill this process when the thread that started it ends: for when a hung call holds the GIL."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


async def _serve(data: int, control: int) -> None:
    from genservice.engine.process.host import Host

    await Host(socket.socket(fileno=data), socket.socket(fileno=control)).serve()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


if __name__ == "__main__":
    main()
