"""Starts a worker process, and tells how it ended."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from genservice.errors import SettingsError

_DEVICE = re.compile(r"CPU:\d+|GPU:(\d+)")


@dataclass(slots=True)
class Spawned:
    """A process that was started.

    Args:
        process: The process.
        data: The server's end of the data channel.
        control: The server's end of the control channel.
        output: Reads what the process writes to its standard output and error.
    """

    process: "subprocess.Popen[bytes]"
    data: socket.socket
    control: socket.socket
    output: int


def spawn(device: str) -> Spawned:
    """Starts a worker process; to be called in the thread of the event loop, whose end is the process's end too.

    Args:
        device: Such as `CPU:0` or `GPU:1`.

    Raises:
        SettingsError: There is no such device.
        OSError: The system refuses.
    """
    environ = environment(device, os.environ, sys.path)
    data, childs_data = socket.socketpair()
    control, childs_control = socket.socketpair()
    output, childs_output = os.pipe()
    try:
        fds = (childs_data.fileno(), childs_control.fileno())
        process = subprocess.Popen(
            # -P: the working directory is not searched for modules; the path is this process's.
            [sys.executable, "-P", "-m", "genservice.engine.process.child", "--fd", *map(str, fds)],
            stdin=subprocess.DEVNULL,
            stdout=childs_output,
            stderr=childs_output,
            pass_fds=fds,
            env=environ,
            # Ctrl-C at a terminal goes to the server alone, also while the child is too young to ignore it.
            process_group=0,
        )
    except BaseException:
        data.close()
        control.close()
        os.close(output)
        raise
    finally:
        childs_data.close()
        childs_control.close()
        os.close(childs_output)
    os.set_blocking(output, False)
    return Spawned(process, data, control, output)


def environment(device: str, environ: Mapping[str, str], path: list[str]) -> dict[str, str]:
    """The environment of a worker process.

    Args:
        device: Such as `CPU:0`, which hides every GPU, or `GPU:1`, which hides the others.
        environ: This process's environment.
        path: This process's `sys.path`.

    Raises:
        SettingsError: There is no such device.
    """
    match = _DEVICE.fullmatch(device)
    if match is None:
        raise SettingsError(f"A device is CPU:0 or GPU:0, GPU:1 and so on; got {device!r}.", field="workers")
    visible = ""
    if match[1] is not None:
        number = int(match[1])
        allowed = [gpu.strip() for gpu in environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu.strip()]
        if allowed and number >= len(allowed):
            raise SettingsError(
                f"There is no device {device!r}: CUDA_VISIBLE_DEVICES has {len(allowed)}.", field="workers"
            )
        visible = allowed[number] if allowed else str(number)
    return {
        **environ,
        "CUDA_VISIBLE_DEVICES": visible,
        "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in path),  # noqa: PTH109 - a string is needed
        "PYTHONUNBUFFERED": "1",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }


def ending(code: int, last_line: str) -> str:
    """How a process ended, such as `killed by SIGKILL` or `exit code 1: <its last line>`.

    Args:
        code: As in `Popen.returncode`.
        last_line: What it wrote last; may be empty.
    """
    if code >= 0:
        return f"exit code {code}: {last_line}" if last_line else f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
