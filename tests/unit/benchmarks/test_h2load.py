"""What h2load tells is read, and calls that failed are noticed."""

import pytest

from benchmarks.h2load import Call, frame, parse_log, parse_report

CALL = Call("127.0.0.1:1", "/a/B", b"", response_bytes=95)
OUTPUT = """starting benchmark...
spawning thread #0: 1 total client(s). 2000 total requests
Application protocol: h2c
progress: 100% done

finished in {finished}, 3456.78 req/s, 401.23KB/s
requests: 2000 total, 2000 started, 2000 done, {succeeded} succeeded, {failed} failed, 0 errored, 0 timeout
status codes: {ok} 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 232.00KB (237568) total, 11.72KB (12000) headers (space savings 95.12%), 195.31KB ({data}) data
                     min         max         mean         sd        +/- sd
time for request:     1.21ms     20.46ms      9.20ms      1.53ms    77.90%
"""


def output(*, finished="1.25s", succeeded=2000, failed=0, ok=2000, received_bytes=200000):
    return OUTPUT.format(finished=finished, succeeded=succeeded, failed=failed, ok=ok, data=received_bytes)


@pytest.mark.parametrize(("finished", "seconds"), [("1.25s", 1.25), ("812.50ms", 0.8125), ("950us", 0.00095)])
def test_the_time_is_in_seconds_whatever_the_unit(finished, seconds):
    assert parse_report(output(finished=finished), CALL, 2000).seconds == pytest.approx(seconds)


def test_all_counts_are_read():
    report = parse_report(output(), CALL, 2000)
    assert (report.succeeded, report.ok, report.received_bytes) == (2000, 2000, 200000)


def test_calls_without_an_answer_are_noticed():
    with pytest.raises(RuntimeError, match="of 2000 calls 1999 succeeded"):
        parse_report(output(succeeded=1999, failed=1, ok=1999), CALL, 2000)


def test_a_grpc_error_is_noticed_although_http_calls_it_a_success():
    with pytest.raises(RuntimeError, match="199900 bytes came where 200000 should"):
        parse_report(output(received_bytes=199900), CALL, 2000)


def test_a_server_that_is_not_there_is_told_with_the_whole_output():
    with pytest.raises(RuntimeError, match="could not connect"):
        parse_report("could not connect to host", CALL, 1)


def test_the_log_has_microseconds():
    assert parse_log(["1700000000000000\t200\t1250", "1700000000001300\t200\t990"]) == [0.00125, 0.00099]


def test_a_frame_is_the_message_behind_its_length():
    assert frame(b"abc") == b"\0\0\0\0\3abc"
