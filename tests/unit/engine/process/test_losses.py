"""Worker processes that die, hang or are left behind."""

import asyncio
import os
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from genservice.engine.call import Call, Slice
from genservice.errors import WorkerLost
from genservice.testing.puppets import PuppetClock, settle

QUICK = {"heartbeat_s": 0.02}


def trouble(toys, what):
    return Slice(Call("classify", 1, toys.TroubleOptions(what=what), {"inputs": np.zeros((1, 1), np.float32)}), 0, 1)


async def lost(started):
    async with asyncio.timeout(60):
        return await asyncio.shield(started.worker.lost)


async def failed(task):
    async with asyncio.timeout(60):
        with pytest.raises(WorkerLost) as loss:
            await task
    return loss.value


async def hanging(started, toys, what):
    """Calls a model that hangs, and waits until it does."""
    replica = await started.load(toys.Trouble)
    task = asyncio.create_task(replica.run([trouble(toys, what)]))
    await started.line(f"asked to {what}")
    return replica, task


async def test_a_killed_process_fails_what_is_under_way_and_what_is_asked_later(start, toys, alive):
    started = await start()
    replica, task = await hanging(started, toys, "sleep")
    waiting = asyncio.create_task(replica.warm_up())
    await settle()
    os.kill(started.worker.pid, signal.SIGKILL)
    assert await lost(started) == "killed by SIGKILL"
    loss = await failed(task)
    assert "killed by SIGKILL" in loss.message
    assert loss.retry_after_s
    await failed(waiting)
    for later in (replica.warm_up(), replica.run([trouble(toys, "well")]), replica.unload(), started.load(toys.Echo)):
        await failed(later)
    assert not alive(started.worker.pid)
    assert started.worker.resident_bytes == 0


async def test_a_lost_worker_can_be_started_again(start, toys):
    started = await start()
    os.kill(started.worker.pid, signal.SIGKILL)
    await lost(started)
    await started.worker.start()
    assert not started.worker.lost.done()
    await (await started.load(toys.Echo)).warm_up()


@pytest.mark.parametrize(("what", "reason"), [("die", "exit code 7: the last words"), ("abort", "killed by SIGABRT")])
async def test_the_reason_of_an_ending_is_told(start, toys, what, reason):
    started = await start()
    _, task = await hanging(started, toys, what)
    assert await lost(started) == reason
    await failed(task)


async def test_a_crash_leaves_a_traceback_in_the_log(start, toys):
    started = await start()
    await hanging(started, toys, "abort")
    await lost(started)
    assert any("Fatal Python error: Aborted" in line for line in started.lines)
    assert any("in logits" in line for line in started.lines)


async def test_results_that_were_sent_before_the_end_count(start, toys):
    started = await start()
    replica = await started.load(toys.Echo)
    call = Call("encode", 1, toys.Echo.Options(), {"inputs": np.ones((1, 10))})
    task = asyncio.create_task(replica.run([Slice(call, 0, 1)]))
    await settle()
    # While this loop stands still, the worker answers and dies.
    select.select([replica._link._data._sock], [], [], 20)
    os.kill(started.worker.pid, signal.SIGKILL)
    os.waitid(os.P_PID, started.worker.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222
    assert await lost(started) == "killed by SIGKILL"
    assert (await task)[0]["latents"].shape == (1, 10)


@pytest.mark.parametrize("what", ["loop", "sleep"])
async def test_a_call_that_hangs_is_killed_with_its_process(start, toys, what):
    started = await start(call_limit_s=0.3, **QUICK)
    _, task = await hanging(started, toys, what)
    assert await lost(started) == "a call has run for 0.3 s"
    await failed(task)


async def test_loading_has_its_own_limit(start, toys):
    started = await start(call_limit_s=0.001, **QUICK)
    replica = await started.load(toys.Plain)
    await replica.warm_up()
    assert not started.worker.lost.done()


async def test_a_stopped_process_is_killed_for_its_silence(toys, start):
    clock = PuppetClock()
    started = await start(clock=clock)
    task = None
    try:
        _, task = await hanging(started, toys, "sleep")
        os.kill(started.worker.pid, signal.SIGSTOP)
        await clock.advance(9)
        assert not started.worker.lost.done()
        await clock.advance(2)
        assert await lost(started) == "silent for 10 s"
        await failed(task)
    finally:
        if task is not None and not task.done():
            os.kill(started.worker.pid, signal.SIGKILL)


async def test_close_does_not_wait_for_a_call_that_hangs(start, toys, alive):
    started = await start()
    _, task = await hanging(started, toys, "loop")
    async with asyncio.timeout(5):
        await started.worker.close()
    assert not alive(started.worker.pid)
    assert not started.worker.lost.done()
    await failed(task)


async def test_close_kills_a_process_that_does_not_listen(start, toys, alive):
    clock = PuppetClock()
    started = await start(clock=clock)
    os.kill(started.worker.pid, signal.SIGSTOP)
    closing = asyncio.create_task(started.worker.close())
    await settle()
    assert not closing.done()
    await clock.advance(1.1)
    async with asyncio.timeout(5):
        await closing
    assert not alive(started.worker.pid)


async def test_a_close_that_is_cancelled_kills_and_reaps(start, toys, alive):
    started = await start()
    os.kill(started.worker.pid, signal.SIGSTOP)
    closing = asyncio.create_task(started.worker.close())
    await settle()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert not alive(started.worker.pid)


async def test_a_process_that_cannot_start_says_why(start, toys, tmp_path, monkeypatch):
    (tmp_path / "msgspec.py").write_text("raise ImportError('no such thing')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(WorkerLost, match="exit code 1: ImportError: no such thing"):
        await start()


async def test_signals_for_the_servers_group_do_not_end_a_worker(start, toys):
    started = await start()
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(started.worker.pid, number)
    await (await started.load(toys.Echo)).warm_up()
    assert os.getpgid(started.worker.pid) != os.getpgid(0)


PARENT = """
    import asyncio, sys
    sys.path.insert(0, {toys!r})
    from pathlib import Path
    import numpy as np
    import process_toys as toys
    from genservice.engine.call import Call, Slice
    from genservice.engine.process.worker import ProcessWorker
    from genservice.engine.settings import EngineSettings
    from genservice.engine.worker import LoadRequest
    from genservice.store.manifest import Serving

    async def main():
        worker = ProcessWorker(EngineSettings())
        await worker.start()
        replica = await worker.load(LoadRequest(toys.Trouble({{}}), Path(), Serving()))
        rows = np.zeros((1, 1), np.float32)
        call = Call("classify", 1, toys.TroubleOptions(what={what!r}), {{"inputs": rows}})
        task = asyncio.create_task(replica.run([Slice(call, 0, 1)]))
        await asyncio.sleep(0.1)
        assert "tensorflow" not in sys.modules and "keras" not in sys.modules
        print(worker.pid, flush=True)
        await task

    asyncio.run(main())
"""


@pytest.mark.parametrize("what", ["sleep", "loop"])
async def test_a_killed_server_leaves_no_worker_behind(toys, what, until, alive):
    script = textwrap.dedent(PARENT).format(toys=str(Path(toys.__file__).parent), what=what)
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE)
    try:
        pid = int(await parent.stdout.readline())
        os.kill(pid, 0)
    finally:
        parent.kill()
        await parent.wait()
    await until(lambda: not alive(pid))
    assert not alive(pid)
