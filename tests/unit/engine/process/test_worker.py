"""Versions in a real child process: what they give equals what they give inline."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from genservice.engine.call import Call, Output, Slice
from genservice.engine.process.failures import RemoteError
from genservice.engine.process.worker import ProcessWorker
from genservice.engine.settings import EngineSettings
from genservice.errors import InvalidRequest, PluginError, SettingsError, WorkerLost
from genservice.model.base import Classifier


def whole(call):
    return Slice(call, 0, call.row_count)


def assert_equal(left, right):
    assert len(left) == len(right)
    for ours, theirs in zip(left, right, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert type(ours[name]) is type(theirs[name])
            if isinstance(ours[name], list):
                assert ours[name] == theirs[name]
            else:
                assert ours[name].dtype == theirs[name].dtype
                np.testing.assert_array_equal(ours[name], theirs[name])


async def test_draws_equal_those_of_an_inline_worker(both, toys):
    replicas = await both(toys.Plain, {"scale": 2.5, "nested": {"list": [1, 2]}})
    for replica in replicas:
        await replica.warm_up()
    assert replicas[0].numerics == replicas[1].numerics
    assert replicas[0].answer_row_bytes == replicas[1].answer_row_bytes
    for mode in ("plain", "negative"):
        batch = [
            Slice(
                Call(
                    "sample",
                    5,
                    toys.PlainOptions(shift=0.5 * seed, count=seed, flag=bool(seed % 2), name="x" * seed, mode=mode),
                    {"mean": np.full((1 if seed else 5, 1), seed, np.float32), "word": ["ab", "ü", "", "d", "e"]},
                    seed=seed,
                    first_index=10 * seed,
                ),
                seed,
                seed + 2,
            )
            for seed in range(4)
        ]
        assert_equal(*[await replica.run(batch) for replica in replicas])


async def test_classes_equal_those_of_an_inline_worker(both, toys):
    replicas = await both(toys.Plain)
    rows = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    batch = [
        whole(Call("classify", 1, toys.PlainOptions(shift=row // 3), {"inputs": rows[row : row + 1]}))
        for row in range(8)
    ]
    assert_equal(*[await replica.run(batch) for replica in replicas])


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int32", "int64", "bool"])
async def test_every_type_of_tensor_goes_there_and_back(both, toys, dtype):
    replicas = await both(toys.Echo)
    rows = np.random.default_rng(0).integers(0, 2, (4, 7)).astype(dtype)
    for verb in ("encode", "embed"):
        batch = [Slice(Call(verb, 4, toys.Echo.Options(), {"inputs": rows}), start, start + 2) for start in (0, 2)]
        assert_equal(*[await replica.run(batch) for replica in replicas])


async def test_samples_are_formed_in_the_worker(both, toys):
    replicas = await both(toys.Image)
    outputs = (Output(media_type="image/png"), Output("uint8"), Output())
    batch = [whole(Call("sample", 2, toys.Image.Options(), seed=1, output=output)) for output in outputs]
    assert_equal(*[await replica.run(batch) for replica in replicas])


async def test_big_results_come_whole_beside_small_ones(start, toys):
    replica = await (await start()).load(toys.Echo)
    big = np.random.default_rng(0).normal(size=(2, 1_500_000))  # 24 MB, many frames
    small = np.ones((1, 3))
    calls = [Call("encode", len(rows), toys.Echo.Options(), {"inputs": rows}) for rows in (big, small, big)]
    answers = await asyncio.gather(*(replica.run([whole(call)]) for call in calls))
    for (answer,), call in zip(answers, calls, strict=True):
        np.testing.assert_array_equal(answer["latents"], call.inputs["inputs"])
        assert answer["latents"].flags.writeable


async def test_many_batches_at_a_time_get_their_own_results(start, toys):
    replica = await (await start()).load(toys.Echo)

    async def ask(number):
        rows = np.full((1 + number % 4, 1 + 997 * number), float(number))
        (answer,) = await replica.run([whole(Call("encode", len(rows), toys.Echo.Options(), {"inputs": rows}))])
        np.testing.assert_array_equal(answer["latents"], rows)

    await asyncio.gather(*map(ask, range(60)))


async def test_what_the_models_code_raises_comes_with_its_traceback(start, toys):
    started = await start()
    replica = await started.load(toys.Trouble)
    with pytest.raises(RemoteError, match=r"(?s)ValueError: secret.*in logits"):
        await replica.run([trouble(toys, "raise")])
    with pytest.raises(RemoteError, match="SystemExit: 3"):
        await replica.run([trouble(toys, "exit")])
    with pytest.raises(InvalidRequest, match="no such word") as refusal:
        await replica.run([trouble(toys, "refuse")])
    assert (refusal.value.field, refusal.value.metadata) == ("inputs", {"word": "x"})
    await replica.run([trouble(toys, "well")])
    with pytest.raises(RemoteError, match="the weights are torn"):
        await started.load(toys.Trouble, {"load": "raise"})


async def test_results_that_cannot_leave_the_process_are_refused(start, toys):
    replica = await (await start()).load(toys.Echo, {"objects": True})
    with pytest.raises(RemoteError, match="TypeError: An array of object"):
        await replica.run([whole(Call("encode", 1, toys.Echo.Options(), {"inputs": np.zeros((1, 3))}))])


async def test_several_versions_share_a_worker_and_one_can_be_unloaded(start, toys):
    started = await start()
    one, other = await started.load(toys.Plain), await started.load(toys.Echo)
    await one.unload()
    with pytest.raises(RemoteError, match="KeyError"):
        await one.run([whole(Call("classify", 1, toys.PlainOptions(), {"inputs": np.zeros((1, 3))}))])
    await other.warm_up()


async def test_a_model_that_breaks_a_promise_is_refused_when_it_is_warmed_up(start, toys):
    replica = await (await start()).load(toys.Image, {"constant": True})
    with pytest.raises(PluginError, match="Two seeds gave the same samples"):
        await replica.warm_up()


async def test_a_class_that_a_worker_cannot_import_is_refused(start, toys, monkeypatch):
    class Local(toys.Plain):
        pass

    started = await start()
    with pytest.raises(PluginError, match="top level of a module"):
        await started.load(Local)
    monkeypatch.setattr(toys.Plain, "__module__", "process_toys_that_are_not")
    with pytest.raises(PluginError, match="process_toys_that_are_not"):
        await started.load(toys.Plain)
    assert issubclass(toys.Plain, Classifier)


async def test_what_the_process_writes_becomes_lines(start, toys):
    started = await start()
    replica = await started.load(toys.Trouble)
    await replica.run([trouble(toys, "shout")])
    await started.line("an end")
    assert started.lines[:2] == ["asked to shout", "to stdout"]
    assert len(started.lines[2]) == 4096


async def test_a_result_that_nobody_waits_for_any_more_is_dropped(start, toys):
    replica = await (await start()).load(toys.Echo)
    call = Call("encode", 1, toys.Echo.Options(), {"inputs": np.ones((1, 100_000))})
    task = asyncio.create_task(replica.run([whole(call)]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (answer,) = await replica.run([whole(call)])
    assert answer["latents"].shape == (1, 100_000)
    assert not replica._link._calls


async def test_the_process_tells_how_much_memory_it_holds_until_it_has_ended(start, toys):
    started = await start()
    worker = started.worker
    assert 10 << 20 < worker.resident_bytes < 1 << 30
    await worker.close()
    assert worker.resident_bytes == 0
    assert not worker.lost.done()


async def test_a_closed_worker_is_reaped_and_leaves_no_file_open(toys, alive):
    before = files()
    for _ in range(2):
        worker = ProcessWorker(EngineSettings(), on_output=lambda line: None)
        await worker.start()
        pid = worker.pid
        await worker.close()
        await worker.close()
        assert not alive(pid)
    assert files() == before


async def test_a_lost_worker_leaves_no_file_open(toys, alive):
    before = files()
    worker = ProcessWorker(EngineSettings(), on_output=lambda line: None)
    await worker.start()
    os.kill(worker.pid, signal.SIGKILL)
    assert await worker.lost == "killed by SIGKILL"
    assert not alive(worker.pid)
    assert files() == before


async def test_a_closed_worker_refuses_and_can_be_started_again(start, toys):
    started = await start()
    replica = await started.load(toys.Echo)
    with pytest.raises(RuntimeError, match="started before"):
        await started.worker.start()
    await started.worker.close()
    with pytest.raises(WorkerLost, match="closed"):
        await replica.warm_up()
    with pytest.raises(WorkerLost, match="closed"):
        await started.load(toys.Echo)
    await started.worker.start()
    await (await started.load(toys.Echo)).warm_up()


async def test_a_worker_that_was_not_started_says_so(toys):
    worker = ProcessWorker(EngineSettings())
    assert (worker.pid, worker.resident_bytes) == (0, 0)
    with pytest.raises(WorkerLost, match="not started"):
        _ = worker.lost
    await worker.close()


async def test_a_device_that_there_is_not_is_refused(toys):
    with pytest.raises(SettingsError, match="TPU:0"):
        await ProcessWorker(EngineSettings(), "TPU:0").start()


async def test_the_process_sees_no_gpu_and_does_not_search_the_working_directory(start, toys, tmp_path, monkeypatch):
    (tmp_path / "msgspec.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    started = await start()
    environ = Path(f"/proc/{started.worker.pid}/environ").read_text()  # noqa: ASYNC240
    assert "CUDA_VISIBLE_DEVICES=" in environ.split("\0")


def files():
    """The files that this process has open."""
    return sorted(fd.name for fd in Path("/proc/self/fd").iterdir())


def trouble(toys, what):
    return whole(Call("classify", 1, toys.TroubleOptions(what=what), {"inputs": np.zeros((1, 1), np.float32)}))
