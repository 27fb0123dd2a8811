"""Lines of a worker process."""

import asyncio
import logging
import os
from contextlib import suppress

import pytest

from genservice.engine.process.output import MOST_BYTES, OutputReader, log_line


@pytest.fixture
async def pipe():
    read, write = os.pipe()
    os.set_blocking(read, False)
    lines = []
    reader = OutputReader(read, lines.append)
    yield reader, write, lines
    reader.close()
    with suppress(OSError):
        os.close(write)


async def test_lines_are_told_whole_and_empty_ones_are_not(pipe, until):
    reader, write, lines = pipe
    os.write(write, b"one\n\n  \ntw")
    await until(lambda: len(lines) == 1)
    os.write(write, b"o\r\nthree\n")
    await until(lambda: len(lines) == 3)
    assert lines == ["one", "two", "three"]
    assert reader.last_line == "three"


async def test_a_line_without_an_end_is_cut_and_costs_no_memory(pipe, until):
    reader, write, lines = pipe
    for _ in range(100):
        os.write(write, b"x" * 10_000)
        await asyncio.sleep(0)
        assert len(reader._begun) <= MOST_BYTES + 1
    os.write(write, b"\nnext\n")
    await until(lambda: len(lines) == 2)
    assert lines == ["x" * MOST_BYTES, "next"]


async def test_what_is_left_is_told_at_the_end_though_others_hold_the_pipe(pipe):
    reader, write, lines = pipe
    os.write(write, b"a\nthe last words")
    reader.close()
    assert lines == ["a", "the last words"]


async def test_bytes_that_are_no_text_are_shown(pipe, until):
    _, write, lines = pipe
    os.write(write, b"\xff\n")
    os.close(write)
    await until(lambda: len(lines) == 1)
    assert lines == ["\ufffd"]


def test_lines_go_to_the_log_as_they_are(caplog):
    with caplog.at_level(logging.INFO, logger="genservice.worker"):
        log_line("100 % of %s")
    assert [record.getMessage() for record in caplog.records] == ["100 % of %s"]
