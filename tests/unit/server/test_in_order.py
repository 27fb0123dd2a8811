"""Requests answered several at a time, in order."""

import asyncio
import gc

import pytest

from genservice.server.in_order import answers_in_order


async def stream(requests):
    for request in requests:
        yield request


async def test_answers_come_in_order_however_long_each_takes():
    done = [asyncio.Event() for _ in range(4)]

    async def answer(request):
        if request < 3:
            await done[request + 1].wait()
        done[request].set()
        return request * 10

    assert [answer async for answer in answers_in_order(stream(range(4)), answer, most=4)] == [0, 10, 20, 30]


async def test_no_more_than_the_most_are_under_way():
    under_way, most = 0, 0

    async def answer(request):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return request

    assert [answer async for answer in answers_in_order(stream(range(50)), answer, most=3)] == list(range(50))
    assert most == 3


async def test_an_error_comes_after_the_answers_before_it_and_ends_the_rest():
    ended = []

    async def answer(request):
        if request == 2:
            raise ValueError("two")
        try:
            if request > 2:
                await asyncio.Event().wait()
        finally:
            ended.append(request)
        return request

    answers = answers_in_order(stream(range(5)), answer, most=8)
    assert [await anext(answers), await anext(answers)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        await anext(answers)
    assert ended == [0, 1, 3, 4]


async def test_errors_behind_the_first_are_not_left_for_the_garbage_collector_to_report(caplog):
    last_failed = asyncio.Event()

    async def answer(request):
        if request == 4:
            last_failed.set()
        elif not request:
            await last_failed.wait()
        raise ValueError(str(request))

    answers = answers_in_order(stream(range(5)), answer, most=8)
    with pytest.raises(ValueError, match="0"):
        await anext(answers)
    del answers
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def test_an_error_of_the_stream_of_requests_is_told():
    async def broken():
        yield 1
        raise OSError("gone")

    async def answer(request):
        return request

    answers = answers_in_order(broken(), answer, most=8)
    assert await anext(answers) == 1
    with pytest.raises(OSError, match="gone"):
        await anext(answers)


async def test_closing_early_cancels_what_is_under_way():
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def answer(request):
        if not request:
            await started.wait()
            return request
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    answers = answers_in_order(stream(range(2)), answer, most=8)
    assert await anext(answers) == 0
    await answers.aclose()
    assert cancelled.is_set()
