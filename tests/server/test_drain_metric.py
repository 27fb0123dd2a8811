"""The metric that says when a drain has to be over."""

import asyncio
import time


async def test_a_drain_tells_when_it_is_over_at_the_latest(serve):
    async with serve(drain_wait_s=3600, drain_limit_s=400) as running:
        assert running.value("genservice_drain_deadline_timestamp_seconds") == 0
        began = time.time()
        drain = asyncio.create_task(running.server.drain())
        await asyncio.sleep(0)
        left_s = running.value("genservice_drain_deadline_timestamp_seconds") - began
        # The wait, the limit, and a moment to send what is held.
        assert 4000 < left_s < 4010
        drain.cancel()
