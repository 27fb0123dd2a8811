"""What a worker process does: it takes orders over the data channel, and gives them to an `InlineWorker`."""

import asyncio
import os
import time
import tomllib
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from functools import partial
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from socket import socket
from typing import Any, NoReturn

from genservice.engine.call import RowDone, RowEvent, RowText
from genservice.engine.inline import InlineReplica, InlineWorker
from genservice.engine.process import messages
from genservice.engine.process.calls import SliceUnpacker
from genservice.engine.process.events import EventBuffer
from genservice.engine.process.failures import to_failure
from genservice.engine.process.frames import HIGH_WATER_BYTES, Block, Channel
from genservice.engine.process.messages import Beat, Control, Order, encode
from genservice.engine.process.rows import Packer, Unpacker
from genservice.engine.settings import EngineSettings
from genservice.engine.worker import LoadRequest, StepRan
from genservice.errors import GenserviceError, PluginError
from genservice.model.base import Model
from genservice.store.manifest import Serving


class Host:
    """Serves one server, until a channel is closed: then the process ends, whatever its threads do.

    Args:
        data: Orders and answers.
        control: What may not wait behind data.
    """

    def __init__(self, data: socket, control: socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._data = Channel(data, messages.decode_order, self._ordered, _end)
        self._control = Channel(control, messages.decode_control, self._controlled, _end)
        self._worker: InlineWorker | None = None
        self._settings = EngineSettings()
        self._device = ""
        self._gpu_set_up = False
        self._importing_since: float | None = None
        self._replicas: dict[int, tuple[InlineReplica, SliceUnpacker]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._draws: dict[int, asyncio.Task[messages.Failure | None]] = {}
        self._last_draw = 0
        self._cancelled_early: set[int] = set()
        self._events: dict[int, EventBuffer] = {}
        self._ended: list[messages.DrawEnded] = []
        self._steps: list[messages.Stepped] = []
        self._telling = False
        self._failed: asyncio.Future[None] = self._loop.create_future()

    async def serve(self) -> None:
        """Never ends by itself.

        Raises:
            Exception: The worker cannot start.
        """
        await self._failed

    def _ordered(self, order: Order, blocks: Sequence[Block]) -> None:
        unpacker = Unpacker(blocks)
        match order:
            case messages.Run():
                self._do(order.call, self._run(order, unpacker))
            case messages.Draw():
                self._begin_draw(order, unpacker)
            case messages.Load():
                self._do(order.call, self._load(order))
            case messages.WarmUp():
                self._do(order.call, self._warm_up(order))
            case messages.Unload():
                self._do(order.call, self._unload(order))
            case messages.Start():
                self._do(0, self._start(order))

    def _controlled(self, control: Control, blocks: Sequence[Block]) -> None:
        del blocks
        if isinstance(control, messages.Shutdown):
            _end()
        if control.call in self._draws:
            self._draws[control.call].cancel()
        elif control.call > self._last_draw:  # it has overtaken the draw
            self._cancelled_early.add(control.call)

    def _do(self, call: int, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(self._guarded(call, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, call: int, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except BaseException as error:  # noqa: BLE001 - the model's code may raise anything, SystemExit too
            self._data.send(encode(messages.Failed(call, to_failure(error))))

    async def _start(self, order: messages.Start) -> None:
        try:
            await self._set_up(order)
        except Exception as error:  # noqa: BLE001 - the process ends with it
            self._failed.set_exception(error)

    async def _set_up(self, order: messages.Start) -> None:
        self._settings = EngineSettings.model_validate(order.settings)
        self._device = order.device
        self._worker = InlineWorker(self._settings)
        await self._worker.start()
        self._beat()

    def _beat(self) -> None:
        assert self._worker is not None
        thread = self._worker.thread
        busy = thread.busy
        if busy is None and self._importing_since is not None:
            busy = ("load", self._importing_since)
        kind, since = busy or ("", time.monotonic())
        self._control.send(encode(Beat(thread.calls, kind, time.monotonic() - since)))
        self._loop.call_later(self._settings.heartbeat_s, self._beat)

    async def _load(self, order: messages.Load) -> None:
        assert self._worker is not None
        self._importing_since = time.monotonic()
        try:
            model = await asyncio.to_thread(self._model, order)
        finally:
            self._importing_since = None
        serving = Serving.model_validate(order.serving)
        replica = await self._worker.load(LoadRequest(model, Path(order.directory), serving))
        replica.on_step = partial(self._stepped, order.replica)
        self._replicas[order.replica] = (replica, SliceUnpacker(model.Options))
        self._data.send(encode(messages.Loaded(order.call, replica.numerics)))

    def _model(self, order: messages.Load) -> Model:
        """Makes the model, and sets the GPU up for the first that needs it."""
        module, _, name = order.model.partition(":")
        try:
            kind = attrgetter(name)(import_module(module))
        except (ImportError, AttributeError) as error:
            raise PluginError(f"The worker process cannot import {order.model!r}: {error}.") from error
        if kind.traced and self._device.startswith("GPU") and not self._gpu_set_up:
            limit_gpu_memory(self._settings.gpu_memory_limit_mb)
            self._gpu_set_up = True
        model: Model = kind(tomllib.loads(order.config))
        return model

    async def _warm_up(self, order: messages.WarmUp) -> None:
        replica, _ = self._replicas[order.replica]
        await replica.warm_up()
        self._data.send(encode(messages.Warm(order.call, dict(replica.answer_row_bytes))))

    async def _unload(self, order: messages.Unload) -> None:
        replica, _ = self._replicas.pop(order.replica)
        await replica.unload()
        self._data.send(encode(messages.Unloaded(order.call)))

    async def _run(self, order: messages.Run, unpacker: Unpacker) -> None:
        replica, slices = self._replicas[order.replica]
        results = await replica.run([slices.piece(order.verb, rows, unpacker) for rows in order.batch])
        packer = Packer()
        failures = {place: to_failure(each) for place, each in enumerate(results) if isinstance(each, GenserviceError)}
        columns = [[] if isinstance(each, GenserviceError) else packer.add_results(each) for each in results]
        answer = messages.Ran(order.call, columns, failures)
        self._data.send(encode(answer), packer.buffers, packer.blocks, lane=order.call % (1 << 32))

    def _begin_draw(self, order: messages.Draw, unpacker: Unpacker) -> None:
        self._last_draw = order.call
        if order.call in self._cancelled_early:
            self._cancelled_early.discard(order.call)
            return
        task = self._draws[order.call] = self._loop.create_task(self._draw(order, unpacker))
        task.add_done_callback(partial(self._end_draw, order.call))

    async def _draw(self, order: messages.Draw, unpacker: Unpacker) -> messages.Failure | None:
        try:
            replica, slices = self._replicas[order.replica]
            piece = slices.piece(order.verb, order.rows, unpacker)
            waiting = EventBuffer()
            async with aclosing(replica.draw(piece)) as events:
                async for event in events:
                    # However slowly they are read, they are taken: this buffer is bounded, the replica's is not.
                    waiting.put(event)
                    self._events[order.call] = waiting
                    self._tell_soon()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - the model's code may raise anything
            return to_failure(error)
        return None

    def _end_draw(self, call: int, task: "asyncio.Task[messages.Failure | None]") -> None:
        del self._draws[call]
        if task.cancelled():
            self._events.pop(call, None)
        else:
            self._ended.append(messages.DrawEnded(call, task.result()))
            self._tell_soon()

    def _stepped(self, replica: int, step: StepRan) -> None:
        self._steps.append(messages.Stepped(replica, step.rows, step.padded_rows, step.run_s))
        self._tell_soon()

    def _tell_soon(self) -> None:
        """Tells of all draws at the end of this turn of the loop, or as soon as there is room."""
        if self._telling:
            return
        self._telling = True
        if self._data.pending_bytes > HIGH_WATER_BYTES:
            task = self._loop.create_task(self._tell_later())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._loop.call_soon(self._tell)

    async def _tell_later(self) -> None:
        await self._data.drained()
        self._tell()

    def _tell(self) -> None:
        self._telling = False
        packer = Packer()
        events: list[messages.Done | messages.Preview | messages.Text | messages.DrawEnded | messages.Stepped] = []
        for call, waiting in self._events.items():
            while waiting:
                try:
                    events.append(_told(call, waiting.take(), packer))
                except Exception as error:  # noqa: BLE001 - such as a sample that no message can hold
                    events.append(messages.DrawEnded(call, to_failure(error)))
                    if call in self._draws:
                        self._draws[call].cancel()
        self._events.clear()
        events += self._steps
        events += self._ended
        self._steps.clear()
        self._ended.clear()
        self._data.send(encode(messages.Events(events)), packer.buffers, packer.blocks)


def _told(call: int, event: RowEvent, packer: Packer) -> messages.Done | messages.Preview | messages.Text:
    if isinstance(event, RowText):
        text = event.text.encode("utf-8", "surrogatepass")
        return messages.Text(call, event.row, event.token_offset, event.character_offset, text)
    columns = packer.add_results(event.results)
    if isinstance(event, RowDone):
        return messages.Done(call, event.row, columns)
    return messages.Preview(call, event.row, event.step, columns)


def limit_gpu_memory(limit_mb: int) -> None:
    """Lets TensorFlow take memory of the GPU as it needs it, or a fixed part; before it has used the GPU.

    Args:
        limit_mb: The part; 0: as it needs it.

    Raises:
        PluginError: TensorFlow finds no GPU.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        raise PluginError("TensorFlow finds no GPU: is it the build with CUDA, and does the driver fit?")
    for gpu in gpus:
        if limit_mb:
            configuration = tf.config.LogicalDeviceConfiguration(memory_limit=limit_mb)
            tf.config.set_logical_device_configuration(gpu, [configuration])
        else:
            tf.config.experimental.set_memory_growth(gpu, True)


def _end() -> NoReturn:
    """Ends the process now: a model may hang in C, and nothing here has to be saved."""
    os._exit(0)
