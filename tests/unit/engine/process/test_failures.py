"""Exceptions that cross from one process to another."""

import msgspec
import pytest

from genservice import errors
from genservice.engine.process.failures import RemoteError, to_error, to_failure
from genservice.engine.process.messages import Failure
from genservice.errors import GenserviceError, InvalidRequest, PluginError


def travel(error):
    try:
        raise error
    except BaseException as raised:  # noqa: BLE001 - it is what the test is about
        return to_error(msgspec.msgpack.decode(msgspec.msgpack.encode(to_failure(raised)), type=Failure))


def classes(kind=GenserviceError):
    yield kind
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from classes(each)


@pytest.mark.parametrize("kind", list(classes()), ids=lambda kind: kind.__name__)
def test_every_error_of_genservice_keeps_all_that_it_has(kind):
    back = travel(kind("message", field="options.x", metadata={"a": "b"}, retry_after_s=2.5))
    assert type(back) is kind
    assert (back.message, back.field, back.metadata, back.retry_after_s) == ("message", "options.x", {"a": "b"}, 2.5)


def test_a_plugins_own_error_arrives_as_the_class_that_it_extends():
    class NoSuchWord(InvalidRequest):
        pass

    assert type(travel(NoSuchWord("no such word"))) is InvalidRequest


def test_another_class_of_the_same_name_is_not_taken_for_ours():
    fake = type("PluginError", (InvalidRequest,), {})
    assert type(travel(fake("x"))) is InvalidRequest
    assert type(travel(PluginError("x"))) is PluginError


@pytest.mark.parametrize("error", [ValueError("secret"), SystemExit("secret"), KeyError("secret")])
def test_other_errors_bring_their_text_and_traceback_for_the_log(error):
    back = travel(error)
    assert type(back) is RemoteError
    assert type(error).__name__ in str(back)
    assert "secret" in str(back)
    assert "raise error" in str(back)


def test_a_message_that_is_no_text_or_too_long_arrives():
    assert "?" in str(travel(ValueError("\ud800")))
    assert len(str(travel(ValueError("x" * 10_000_000)))) < 1_000_000
