"""What only a GPU can show; skipped where there is none."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

import genservice_gan
from genservice.engine.call import Call, Slice
from genservice.engine.process.worker import ProcessWorker
from genservice.engine.settings import EngineSettings
from genservice.engine.worker import LoadRequest
from genservice.engine.workers import visible_gpus
from genservice.store.store import ModelStore
from genservice_gan.family import ClassConditionalGan

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not visible_gpus(), reason="there is no GPU here"),
]

CAP_MB = 2048
CONTEXT_MB = 1024
"""What CUDA itself takes beside the cap."""


def gpu_memory_mb(pid):
    """Memory of the GPU that a process holds."""
    query = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    lines = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [tuple(map(int, line.split(","))) for line in lines if line.strip()]
    return sum(used for owner, used in rows if owner == pid)


async def loaded(worker):
    """The GAN that ships, warm in a worker."""
    store = ModelStore([Path(genservice_gan.__file__).parent / "models"])
    manifest = store.manifest("fashion-gan", 1)
    model = ClassConditionalGan(manifest.config)
    replica = await worker.load(LoadRequest(model, store.directory("fashion-gan", 1), manifest.serving))
    await replica.warm_up()
    return replica


async def sampled(replica):
    call = Call("sample", 256, ClassConditionalGan.Options(), seed=1)
    (results,) = await replica.run([Slice(call, 0, 256)])
    return results["samples"]


@pytest.mark.parametrize("limit_mb", [0, CAP_MB], ids=["growth", "cap"])
async def test_a_worker_takes_what_it_needs_and_gives_it_back_with_its_process(limit_mb):
    worker = ProcessWorker(EngineSettings(gpu_memory_limit_mb=limit_mb), "GPU:0")
    await worker.start()
    try:
        replica = await loaded(worker)
        assert "GPU" in replica.numerics
        assert np.isfinite(await sampled(replica)).all()
        assert 0 < gpu_memory_mb(worker.pid) <= CAP_MB + CONTEXT_MB
        pid = worker.pid
    finally:
        await worker.close()
    assert gpu_memory_mb(pid) == 0


async def test_samples_of_a_gpu_are_those_of_the_cpu_within_the_tolerance():
    drawn = []
    for device in ("GPU:0", "CPU:0"):
        worker = ProcessWorker(EngineSettings(), device)
        await worker.start()
        try:
            drawn.append(await sampled(await loaded(worker)))
        finally:
            await worker.close()
    # Matrix units round to 10 bits of mantissa where a product is summed.
    np.testing.assert_allclose(*drawn, atol=1e-2)
