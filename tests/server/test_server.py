"""How the server starts, drains and ends, and its HTTP port."""

import asyncio
import json
import os
import signal

import grpc
import pytest
from structlog.testing import capture_logs

from genservice.errors import SettingsError
from genservice.server.server import Server, until_signalled
from genservice.server.settings import ServerSettings
from genservice.v1.classification_pb2 import ClassifyRequest
from genservice.v1.generation_pb2 import SampleRequest
from genservice.v1.generation_pb2_grpc import GenerationServiceStub
from genservice.v1.types_pb2 import OptionValue


async def get(running, path, method="GET", head=""):
    reader, writer = await asyncio.open_connection("127.0.0.1", running.server.bound.http.port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    top, _, body = answer.decode().partition("\r\n\r\n")
    return int(top.split(" ")[1]), body


async def test_a_port_that_is_taken_is_a_clear_error(running):
    for setting, taken in (("listen", running.server.address), ("http_listen", str(running.server.bound.http))):
        settings = ServerSettings(**{"listen": "127.0.0.1:0", "http_listen": "", setting: taken})
        with pytest.raises(SettingsError, match=f"setting {setting}, {taken}"):
            await Server(running.engine, settings).start()
    assert await get(running, "/livez") == (200, "alive\n")


async def test_it_listens_on_a_unix_socket(serve, tmp_path):
    async with serve(listen=f"unix:{tmp_path}/main.sock", http_listen="") as running:
        assert [
            message async for message in running.generation.Sample(SampleRequest(model="models/toy", sample_count=1))
        ]
        assert running.server.bound.http is None


async def test_a_drain_sends_clients_away_and_finishes_what_is_under_way(serve, gate, refused, read_all):
    async with serve() as running:
        gate.shut()
        under_way = asyncio.ensure_future(
            read_all(running.generation.Sample(SampleRequest(model="models/gated", sample_count=3)))
        )
        await gate.entered()
        draining = asyncio.Event()
        running.engine.catalog.listen(lambda _: draining.set())
        drain = asyncio.create_task(running.server.drain())
        await draining.wait()
        refusal = await refused(running.generation.Sample(SampleRequest(model="models/toy", sample_count=1)))
        # Over a connection that was told to go away, or none: the server itself has no say any more.
        assert refusal.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        async with grpc.aio.insecure_channel(running.server.address) as late:
            refusal = await refused(GenerationServiceStub(late).Sample(SampleRequest(model="models/toy")))
        assert refusal.code is grpc.StatusCode.UNAVAILABLE
        assert await get(running, "/readyz") == (503, "draining\n")
        assert (await get(running, "/livez"))[0] == 200
        gate.open()
        assert (await under_way)[-1].HasField("summary")
        await drain
        with pytest.raises(OSError, match=r"refused|Connect"):
            await get(running, "/livez")


async def test_a_drain_ends_a_long_stream_behind_a_chunk_and_says_where_it_goes_on(serve, refused, read_all):
    request = SampleRequest(model="models/toy", sample_count=10**6, seed=7, first_index=5, chunk_rows=16)
    async with serve(drain_limit_s=3600) as running:
        stream = running.generation.Sample(request)
        chunks = []

        async def take_chunks():
            while message := await stream.read():
                chunks.append(message.chunk)
                yield message

        assert (await stream.read()).HasField("header")
        chunks.append((await stream.read()).chunk)
        drain = asyncio.create_task(running.server.drain())
        refusal = await refused(take_chunks())
        await drain
    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
    assert refusal.retry is not None
    next_index = int(refusal.info.metadata["next_index"])
    ranges = [(each.start, each.end) for chunk in chunks for each in chunk.indexes]
    assert [start for start, _ in ranges] == [5, *(end for _, end in ranges[:-1])]
    assert ranges[-1][1] == next_index < request.first_index + request.sample_count
    async with serve() as running:
        request.sample_count = next_index - request.first_index
        whole = await read_all(running.generation.Sample(request))
    assert b"".join(chunk.tensor.data for chunk in chunks) == b"".join(message.chunk.tensor.data for message in whole)


async def test_while_load_balancers_learn_of_a_drain_requests_are_served(serve, read_all):
    async with serve(drain_wait_s=3600) as running:
        drain = asyncio.create_task(running.server.drain())
        await asyncio.sleep(0)
        assert await get(running, "/readyz") == (503, "draining\n")
        sample = SampleRequest(model="models/toy", sample_count=1)
        assert (await read_all(running.generation.Sample(sample)))[-1].HasField("summary")
        drain.cancel()


async def test_at_its_limit_a_drain_ends_what_is_under_way(serve, gate, refused):
    async with serve(drain_limit_s=0) as running:
        gate.shut()
        under_way = asyncio.ensure_future(
            refused(running.generation.Sample(SampleRequest(model="models/gated", sample_count=3)))
        )
        await gate.entered()
        with capture_logs() as logs:
            await running.server.drain()
        refusal = await under_way
        assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
        assert [entry["event"] for entry in logs][-2:] == ["rpc", "drained"]


class SlowToDrain:
    """Stands in for a server whose drain has no end."""

    def __init__(self):
        self.started, self.draining = asyncio.Event(), asyncio.Event()
        self.cut_off = False

    async def run(self, stop):
        self.started.set()
        await stop.wait()
        self.draining.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cut_off = True


async def test_a_signal_drains_and_a_second_one_ends_at_once():
    server = SlowToDrain()
    serving = asyncio.create_task(until_signalled(server.run))
    await server.started.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await server.draining.wait()
    assert not server.cut_off
    os.kill(os.getpid(), signal.SIGINT)
    await serving
    assert server.cut_off


async def test_one_signal_ends_a_server_in_good_order(running):
    server = Server(running.engine, ServerSettings(listen="127.0.0.1:0", http_listen=""))
    with capture_logs() as logs:
        serving = asyncio.create_task(until_signalled(server.run))
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        await serving
    assert [entry["event"] for entry in logs if entry.get("component") == "genservice.server"] == [
        "listening",
        "draining",
        "drained",
    ]


async def test_a_server_that_cannot_start_says_so_through_the_signal_helper(running):
    with pytest.raises(SettingsError):
        await until_signalled(Server(running.engine, ServerSettings(listen=running.server.address, http_listen="")).run)


async def test_the_pages(serve, gate):
    gate.shut()
    async with serve(loaded=False) as running:
        status, reason = await get(running, "/readyz")
        assert (status, reason.partition(":")[0]) == (503, "loading")
        gate.open()
        await running.engine.started()
        assert await get(running, "/readyz") == (200, "ready\n")
        [_ async for _ in running.generation.Sample(SampleRequest(model="models/toy", sample_count=5))]
        status, text = await get(running, "/metrics?name=all")
        assert status == 200
        assert 'genservice_rows_total{model="toy",outcome="ok",verb="sample",version="1"} 5.0' in text
        assert 'genservice_rpcs_total{code="OK",method="/genservice.v1.GenerationService/Sample"} 1.0' in text
        assert 'genservice_model_state{model="toy",state="READY",version="1"} 1.0' in text
        assert "genservice_first_chunk_seconds_count" in text
        assert (await get(running, "/metrics", head="Accept: application/openmetrics-text\r\n"))[1].endswith("# EOF\n")


async def test_the_page_names_the_required_models_that_are_missing(serve):
    async with serve(engine={"required_models": ("toy", "none")}) as running:
        assert await get(running, "/readyz") == (503, "required models missing: none\n")


async def test_an_rpc_is_one_line_in_the_log(running, inputs, refused):
    trace = "0af7651916cd43dd8448eb211c80319c"
    request = ClassifyRequest(model="models/toy", inputs=inputs([[1, 2, 3]] * 4))
    with capture_logs() as logs:
        await running.classification.Classify(request, metadata=[("traceparent", f"00-{trace}-b7ad6b7169203331-01")])
        await refused(running.classification.Classify(ClassifyRequest(model="models/none")))
    good, bad = [entry for entry in logs if entry["event"] == "rpc"]
    assert good["method"] == "/genservice.v1.ClassificationService/Classify"
    assert (good["model"], good["code"], good["rows"]) == ("models/toy/versions/1", "OK", 4)
    assert good["trace_id"] == trace
    assert good["peer"].startswith("ipv4:127.0.0.1")
    assert good["seconds"] > 0
    assert (bad["model"], bad["code"], bad["log_level"]) == ("models/none", "INVALID_ARGUMENT", "info")
    assert "missing" in bad["message"]
    json.dumps(logs)


async def test_what_a_model_raised_is_in_the_log_under_the_reference(running, refused):
    options = {"shift": OptionValue(double_value=6)}
    with capture_logs() as logs:
        refusal = await refused(
            running.generation.Sample(SampleRequest(model="models/toy", sample_count=1, options=options))
        )
    (raised,) = [entry for entry in logs if entry["event"] == "model raised"]
    assert raised["reference"] == refusal.info.metadata["reference"]
    assert str(raised["exc_info"]) == "secret"
    (line,) = [entry for entry in logs if entry["event"] == "rpc"]
    assert (line["code"], line["log_level"]) == ("INTERNAL", "error")
