import grpc
import pytest

import genservice_client as gc_client
from genservice_client.errors import StatusError
from genservice_client.status import ERROR_CLASSES, error_from, is_transient


class RpcError(grpc.RpcError):
    def __init__(self, code, details=None, trailing=None):
        self._parts = code, details, trailing

    def code(self):
        return self._parts[0]

    def details(self):
        return self._parts[1]

    def trailing_metadata(self):
        return self._parts[2]


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_code_has_its_class(code):
    error = error_from(RpcError(code, "why"))
    assert type(error) is ERROR_CLASSES[code]
    assert error.code is code
    assert error.message == str(error) == "why"


def test_no_two_codes_share_a_class_and_every_class_has_a_code():
    assert len(set(ERROR_CLASSES.values())) == len(ERROR_CLASSES)
    assert set(ERROR_CLASSES.values()) == set(StatusError.__subclasses__())


@pytest.mark.parametrize("error_class", [*ERROR_CLASSES.values(), gc_client.ProtocolError])
def test_every_class_is_exported_and_has_the_one_root(error_class):
    assert getattr(gc_client, error_class.__name__) is error_class
    assert issubclass(error_class, gc_client.GenserviceClientError)


def test_an_error_without_details_has_none():
    error = error_from(RpcError(grpc.StatusCode.NOT_FOUND))
    assert (error.message, error.reason, error.field, error.metadata) == ("NOT_FOUND", "", "", {})
    assert error.retry_after_s is None


def test_damaged_details_are_passed_over():
    error = error_from(RpcError(grpc.StatusCode.NOT_FOUND, "x", (("grpc-status-details-bin", b"\xff\xff"),)))
    assert error.message == "x"


@pytest.mark.parametrize(
    ("code", "reason", "error_class"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", gc_client.QueueFullError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "CALLER_LIMIT", gc_client.CallerLimitError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "", gc_client.ResourceExhaustedError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_TOO_SHORT", gc_client.DeadlineTooShortError),
        # The code is the server's word, whatever the reason.
        (grpc.StatusCode.INTERNAL, "QUEUE_FULL", gc_client.InternalError),
    ],
)
async def test_causes_that_callers_tell_apart_have_classes(side, running, service, cut, code, reason, error_class):
    client = side.client(running.target, retry=gc_client.RetryPolicy(max_attempts=1))
    service.failures["Score"].append(cut(code, reason=reason))
    with pytest.raises(gc_client.StatusError) as caught:
        await side.call(client.score("digits", [[1.0]]))
    assert type(caught.value) is error_class
    assert (caught.value.code, caught.value.reason) == (code, reason)


@pytest.mark.parametrize(("metadata", "estimate_s"), [({"estimate_seconds": "2.5"}, 2.5), ({}, None)])
def test_a_deadline_that_is_too_short_tells_what_would_be_enough(metadata, estimate_s):
    assert gc_client.DeadlineTooShortError("x", metadata=metadata).estimate_s == estimate_s


async def test_the_details_reach_the_caller(side, client, service, cut):
    service.failures["Score"].append(
        cut(grpc.StatusCode.OUT_OF_RANGE, "too much", field="options.temperature", reason="OUT_OF_RANGE")
    )
    with pytest.raises(gc_client.OutOfRangeError, match="too much") as caught:
        await side.call(client.score("digits", [[1.0]]))
    error = caught.value
    assert error.field == "options.temperature"
    assert error.field_violations == (("options.temperature", "is wrong"),)
    assert (error.reason, error.metadata) == ("OUT_OF_RANGE", {"a": "b"})


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (gc_client.UnavailableError("x", reason="SERVER_DRAINING"), True),
        (gc_client.FailedPreconditionError("x", retry_after_s=1.0), True),
        (gc_client.FailedPreconditionError("x"), False),
        (gc_client.UnavailableError("x", reason="WORKER_LOST", retry_after_s=1.0), True),
        (gc_client.DeadlineExceededError("x", reason="QUEUE_TIMEOUT", retry_after_s=1.0), True),
        (gc_client.DeadlineTooShortError("x", reason="DEADLINE_TOO_SHORT"), False),
        (gc_client.QueueFullError("x", reason="QUEUE_FULL"), True),
        (gc_client.CancelledError("x"), True),
        (gc_client.InternalError("Received RST_STREAM with error code 2"), True),
        (gc_client.InternalError("Internal error from Core"), True),
        (gc_client.InternalError("RST_STREAM is my model's name", reason="MODEL_ERROR"), False),
        (gc_client.ResourceExhaustedError("CLIENT: Sent message larger than max (5 vs. 4)"), False),
        (gc_client.StreamChangedError("x"), False),
        (gc_client.ClientClosedError("x"), False),
    ],
)
def test_what_may_pass_is_told_from_what_will_not(error, transient):
    assert is_transient(error) is transient
