"""Which workers there are, as the settings say."""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import takewhile
from pathlib import Path

from genservice.engine.inline import InlineWorker
from genservice.engine.process.worker import ProcessWorker
from genservice.engine.seat import WorkerMaker
from genservice.engine.settings import EngineSettings
from genservice.errors import SettingsError

INLINE = "inline"
CPU = "CPU:0"
_DEVICE_FILES = "nvidia[0-9]*"


def worker_makers(settings: EngineSettings) -> dict[str, WorkerMaker]:
    """What makes the workers, by name: `CPU:0`, and `CPU:0#2` for the second of that device.

    Raises:
        SettingsError: There is no such device.
    """
    makers: dict[str, WorkerMaker] = {}
    seen: Counter[str] = Counter()
    for device in settings.workers or visible_gpus() or (CPU,):
        seen[device] += 1
        makers[device if seen[device] == 1 else f"{device}#{seen[device]}"] = _maker(settings, device)
    return makers


def visible_gpus(environment: Mapping[str, str] = os.environ, devices: Path = Path("/dev")) -> tuple[str, ...]:
    """The GPUs that a worker may have: `GPU:0` and so on; TensorFlow is not asked.

    Args:
        environment: `CUDA_VISIBLE_DEVICES`, where it is set, says how many.
        devices: Else the device files of this folder do.
    """
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        count = len(list(devices.glob(_DEVICE_FILES)))
    else:
        # CUDA takes no notice of what is behind the first number that is not one of its own.
        count = len(list(takewhile(lambda name: name.strip() not in ("", "-1"), listed.split(","))))
    return tuple(f"GPU:{number}" for number in range(count))


def _maker(settings: EngineSettings, device: str) -> "Callable[[], InlineWorker | ProcessWorker]":
    if device == INLINE:
        return lambda: InlineWorker(settings)
    kind, _, number = device.partition(":")
    if kind not in ("CPU", "GPU") or not number.isdecimal():
        raise SettingsError(f"The setting engine.workers: a worker is `inline`, `CPU:0`, `GPU:0`...; got {device!r}.")
    if kind == "GPU" and device not in visible_gpus():
        raise SettingsError(f"The setting engine.workers: there is no {device} here.")
    return lambda: ProcessWorker(settings, device)
