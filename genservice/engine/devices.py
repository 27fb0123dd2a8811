"""What TensorFlow can run on here. Run as a module, it prints that as JSON, for callers that import no TensorFlow."""

import json
import os
import platform
import sys
from typing import Any


def devices() -> list[dict[str, Any]]:
    """The devices that TensorFlow sees.

    Returns:
        For each, `device` (as the setting `engine.workers` names it), `description`, and `memory_bytes`, the most that
        a worker can hold; 0 where it is not known.
    """
    import tensorflow as tf

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0))
    found = [{"device": "CPU:0", "description": f"{cores} cores, {platform.machine()}", "memory_bytes": memory}]
    for number, gpu in enumerate(tf.config.list_physical_devices("GPU")):
        details = tf.config.experimental.get_device_details(gpu)
        name = details.get("device_name", "GPU")
        capability = ".".join(map(str, details.get("compute_capability", ())))
        description = f"{name}, compute capability {capability}" if capability else name
        found.append({"device": f"GPU:{number}", "description": description, "memory_bytes": 0})
    return found


if __name__ == "__main__":
    json.dump(devices(), sys.stdout)
