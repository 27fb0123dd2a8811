"""Which workers there are."""

import pytest

from genservice.engine.inline import InlineWorker
from genservice.engine.process.worker import ProcessWorker
from genservice.engine.settings import EngineSettings
from genservice.engine.workers import visible_gpus, worker_makers
from genservice.errors import SettingsError


def test_workers_of_one_device_have_names_of_their_own():
    makers = worker_makers(EngineSettings(workers=("CPU:0", "CPU:0", "inline")))
    assert list(makers) == ["CPU:0", "CPU:0#2", "inline"]
    assert isinstance(makers["CPU:0#2"](), ProcessWorker)
    assert isinstance(makers["inline"](), InlineWorker)


@pytest.mark.parametrize("device", ["cpu", "CPU", "TPU:0", "GPU:x", ""])
def test_what_is_no_device_is_refused(device):
    with pytest.raises(SettingsError, match="a worker is"):
        worker_makers(EngineSettings(workers=(device,)))


@pytest.mark.parametrize(
    ("environment", "files", "gpus"),
    [
        ({}, ["nvidia0", "nvidia1", "nvidiactl", "null"], ("GPU:0", "GPU:1")),
        ({}, [], ()),
        ({"CUDA_VISIBLE_DEVICES": ""}, ["nvidia0"], ()),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, ["nvidia0"], ()),
        ({"CUDA_VISIBLE_DEVICES": "3,GPU-8d"}, [], ("GPU:0", "GPU:1")),
        ({"CUDA_VISIBLE_DEVICES": "1,-1,2"}, ["nvidia0"], ("GPU:0",)),
    ],
)
def test_gpus_are_those_that_cuda_would_show(tmp_path, environment, files, gpus):
    for name in files:
        (tmp_path / name).touch()
    assert visible_gpus(environment, tmp_path) == gpus


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert list(worker_makers(EngineSettings(workers=("GPU:0",)))) == ["GPU:0"]
    with pytest.raises(SettingsError, match="there is no GPU:1"):
        worker_makers(EngineSettings(workers=("GPU:0", "GPU:1")))
