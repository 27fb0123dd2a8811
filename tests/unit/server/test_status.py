"""The table of codes, and the details."""

import inspect

import grpc
import pytest
from google.rpc import error_details_pb2

from genservice import errors
from genservice.server.status import CODES, code_of, status_of

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.GenserviceError)]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_in_the_table(kind):
    assert kind in CODES


def test_the_table_has_nothing_else():
    assert set(CODES) == set(CLASSES)


def test_a_class_that_somebody_derives_has_the_code_of_its_base():
    class Special(errors.OutOfRange):
        pass

    assert code_of(Special("x")) is grpc.StatusCode.OUT_OF_RANGE


@pytest.fixture
def details(details_of):
    return lambda error, kind: details_of(status_of(error), kind)


def test_an_error_has_its_reason_and_its_facts(details):
    (info,) = details(errors.NotFound("no", metadata={"a": "b"}), error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain, dict(info.metadata)) == ("NOT_FOUND", "genservice", {"a": "b"})


def test_a_field_is_a_violation(details):
    (bad,) = details(errors.InvalidRequest("no", field="options.x"), error_details_pb2.BadRequest)
    assert (bad.field_violations[0].field, bad.field_violations[0].description) == ("options.x", "no")
    assert not details(errors.InvalidRequest("no"), error_details_pb2.BadRequest)


def test_a_time_to_come_back_is_told(details):
    (retry,) = details(errors.QueueFull("full", retry_after_s=0.25), error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToMilliseconds() == 250
    assert not details(errors.QueueFull("full"), error_details_pb2.RetryInfo)


def test_long_texts_are_cut():
    status = status_of(errors.InvalidRequest("名" * 9999, field="x" * 9999, metadata={"a": "y" * 9999}))
    assert status.ByteSize() < 3000
    assert status.message.endswith("…")


def test_text_that_is_no_unicode_is_told_all_the_same():
    assert status_of(errors.InvalidRequest("\ud800" * 600)).message
