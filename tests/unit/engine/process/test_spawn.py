"""How worker processes are set up, and how their ends are told."""

import pytest

from genservice.engine.process.spawn import ending, environment
from genservice.errors import SettingsError


@pytest.mark.parametrize(
    ("device", "before", "visible"),
    [
        ("CPU:0", {}, ""),
        ("CPU:1", {"CUDA_VISIBLE_DEVICES": "0,1"}, ""),
        ("GPU:0", {}, "0"),
        ("GPU:3", {}, "3"),
        ("GPU:1", {"CUDA_VISIBLE_DEVICES": "4, 6"}, "6"),
    ],
)
def test_a_worker_sees_its_own_gpu_alone(device, before, visible):
    environ = environment(device, {"HOME": "/root", **before}, [])
    assert environ["CUDA_VISIBLE_DEVICES"] == visible
    assert environ["HOME"] == "/root"


@pytest.mark.parametrize("device", ["", "TPU:0", "GPU", "GPU:-1", "gpu:0"])
def test_another_device_is_refused(device):
    with pytest.raises(SettingsError, match="CPU:0"):
        environment(device, {}, [])


def test_a_gpu_beyond_those_that_are_visible_is_refused():
    with pytest.raises(SettingsError, match="has 1"):
        environment("GPU:1", {"CUDA_VISIBLE_DEVICES": "0"}, [])


def test_a_worker_searches_modules_where_the_server_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert environment("CPU:0", {}, ["", "/b"])["PYTHONPATH"] == f"{tmp_path}:/b"


@pytest.mark.parametrize(
    ("code", "line", "told"),
    [
        (0, "", "exit code 0"),
        (1, "ValueError: x", "exit code 1: ValueError: x"),
        (-9, "whatever", "killed by SIGKILL"),
        (-11, "", "killed by SIGSEGV"),
        (-63, "", "killed by signal 63"),
    ],
)
def test_an_ending_is_one_line(code, line, told):
    assert ending(code, line) == told
