"""The form of the log."""

import io
import json
import logging

import pytest
import structlog
from structlog.testing import capture_logs

from genservice.telemetry.logs import configure_logs, logger
from genservice.telemetry.observer import Telemetry


@pytest.fixture
def stream():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def raised():
    held = "what a client sent"
    try:
        assert held
        raise RuntimeError("what happened")
    except RuntimeError as error:
        return error


def test_json_has_one_object_a_line_with_the_whole_exception(stream):
    configure_logs("json", stream=stream)
    logger("genservice.rpc").error("rpc raised", reference="ab12", exc_info=raised())
    logging.getLogger("library").warning("from a %s", "library")
    ours, theirs = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (ours["component"], ours["event"], ours["level"]) == ("genservice.rpc", "rpc raised", "error")
    assert ours["exception"][0]["exc_value"] == "what happened"
    assert "timestamp" in ours
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("from a library", "warning", "library")


@pytest.mark.parametrize("form", ["json", "console"])
def test_the_exception_does_not_show_what_variables_held(stream, form):
    configure_logs(form, stream=stream)
    logger("x").error("raised", exc_info=raised())
    assert "what happened" in stream.getvalue()
    assert "what a client sent" not in stream.getvalue()


def test_a_line_break_in_a_value_does_not_make_a_line(stream):
    configure_logs("json", stream=stream)
    logger("x").info("rpc", model="a\n{}")
    assert len(stream.getvalue().splitlines()) == 1


def test_console_is_for_people(stream):
    configure_logs("console", stream=stream)
    logger("x").info("listening", port=8500)
    assert "listening" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_less_important_lines_are_left_out(stream):
    configure_logs("json", "warning", stream=stream)
    logger("x").info("rpc")
    logging.getLogger("library").info("chatter")
    assert not stream.getvalue()


def test_states_are_logged_and_a_failure_as_an_error_with_its_reason():
    with capture_logs() as logs:
        telemetry = Telemetry()
        telemetry.state_changed("toy", 1, "READY", "")
        telemetry.state_changed("toy", 2, "FAILED", "no such family")
    ready, failed = logs
    assert (ready["log_level"], ready["state"]) == ("info", "READY")
    assert (failed["log_level"], failed["reason"]) == ("error", "no such family")


def test_what_a_model_raised_is_logged_whole_under_its_reference():
    error = raised()
    with capture_logs() as logs:
        Telemetry().model_raised("toy", 1, "sample", "ab12", error)
    assert (logs[0]["reference"], logs[0]["exc_info"]) == ("ab12", error)
