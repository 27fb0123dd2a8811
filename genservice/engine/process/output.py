"""What a worker process writes to its standard output and error, as lines for the log."""

import asyncio
import logging
import os
from collections.abc import Callable

OnOutput = Callable[[str], None]

MOST_BYTES = 4096
"""Of one line; the rest of a longer one is dropped."""
_CHUNK_BYTES = 1 << 16

_log = logging.getLogger("genservice.worker")


def log_line(line: str) -> None:
    """Logs a line. What it means is not known: libraries write what they like."""
    _log.info("%s", line)


class OutputReader:
    """Reads the lines of a pipe.

    Args:
        fd: The pipe's end, not blocking; the reader owns it.
        on_line: Gets each line that is not empty.
    """

    def __init__(self, fd: int, on_line: OnOutput) -> None:
        self.last_line = ""
        self._fd = fd
        self._on_line = on_line
        self._begun = b""
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._loop.add_reader(fd, self._read)

    def close(self) -> None:
        """Takes in what is left, and closes the pipe; processes that the worker started may hold it open."""
        while self._read():
            pass
        if not self._closed:
            self._close()
        if self._begun:
            self._tell(self._begun)

    def _close(self) -> None:
        self._closed = True
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _read(self) -> bool:
        if self._closed:
            return False
        try:
            chunk = os.read(self._fd, _CHUNK_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            chunk = b""
        if not chunk:
            self._close()
            return False
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._tell(self._begun + line)
            self._begun = b""
        self._begun = (self._begun + rest)[: MOST_BYTES + 1]
        return len(chunk) == _CHUNK_BYTES

    def _tell(self, line: bytes) -> None:
        text = line[:MOST_BYTES].decode("utf-8", "replace").rstrip()
        if text:
            self.last_line = text
            self._on_line(text)
