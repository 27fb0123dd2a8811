"""Tells the event loop that a child process has ended."""

import asyncio
import os
import subprocess
import threading
from collections.abc import Callable


class ExitWatch:
    """Reaps a process and tells of it, without a thread where the system has pidfds (Linux 5.3).

    Args:
        process: The process.
        on_exit: Told once, with its return code.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", on_exit: Callable[[int], None]) -> None:
        self._process = process
        self._on_exit = on_exit
        self._loop = asyncio.get_running_loop()
        self._fd = -1
        try:
            self._fd = os.pidfd_open(process.pid)
        except (AttributeError, OSError):
            threading.Thread(target=self._wait, name=f"wait-{process.pid}", daemon=True).start()
        else:
            self._loop.add_reader(self._fd, self._look)

    def _look(self) -> None:
        code = self._process.poll()
        if code is not None:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._on_exit(code)

    def _wait(self) -> None:
        code = self._process.wait()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._on_exit, code)
