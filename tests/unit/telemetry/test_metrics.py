"""What is counted, under which names."""

import inspect

import pytest

from genservice.engine.observer import Observer
from genservice.telemetry.metrics import Metrics
from genservice.telemetry.observer import Telemetry


@pytest.fixture
def metrics():
    return Metrics()


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, {key: str(value) for key, value in labels.items()})


@pytest.mark.parametrize("kind", [Metrics, Telemetry])
def test_they_are_an_observer_of_the_engine(kind):
    methods = [name for name in vars(Observer) if not name.startswith("_")]
    assert methods
    for name in methods:
        assert inspect.signature(getattr(kind, name)) == inspect.signature(getattr(Observer, name))


def test_every_name_has_the_prefix(metrics):
    assert all(metric.name.startswith("genservice_") for metric in metrics.registry.collect())


def test_rows_are_counted_by_outcome(metrics):
    metrics.admitted("toy", 1, "sample", 10)
    metrics.rows_ended("toy", 1, "sample", "ok", 7)
    metrics.rows_ended("toy", 1, "sample", "cancelled", 3)
    metrics.refused("toy", 1, "sample", "QUEUE_FULL", 4)
    metrics.refused("toy", 1, "sample", "INVALID_REQUEST", -5)
    assert value(metrics, "genservice_rows_admitted_total", model="toy", version=1, verb="sample") == 10
    assert value(metrics, "genservice_rows_total", model="toy", version=1, verb="sample", outcome="cancelled") == 3
    labels = {"model": "toy", "version": 1, "verb": "sample"}
    assert value(metrics, "genservice_rows_refused_total", **labels, reason="QUEUE_FULL") == 4
    assert value(metrics, "genservice_rows_refused_total", **labels, reason="INVALID_REQUEST") == 0


def test_a_batch_tells_its_rows_its_padding_and_its_times(metrics):
    metrics.batch_ran("toy", 1, "sample", 5, 8, 0.25, 0.5)
    labels = {"model": "toy", "version": 1, "verb": "sample"}
    assert value(metrics, "genservice_batch_rows_sum", **labels) == 5
    assert value(metrics, "genservice_padding_rows_total", **labels) == 3
    assert value(metrics, "genservice_queue_seconds_sum", **labels) == 0.25
    assert value(metrics, "genservice_batch_run_seconds_sum", **labels) == 0.5


def test_a_version_is_in_one_state_and_its_series_end_with_it(metrics):
    metrics.state_changed("toy", 1, "LOADING", "")
    metrics.state_changed("toy", 1, "READY", "")
    metrics.state_changed("toy", 2, "READY", "")
    metrics.queue_changed("toy", 1, 3, 4)
    metrics.rows_ended("toy", 1, "sample", "ok", 7)
    assert value(metrics, "genservice_model_state", model="toy", version=1, state="LOADING") is None
    assert value(metrics, "genservice_model_state", model="toy", version=1, state="READY") == 1
    assert value(metrics, "genservice_queued_rows", model="toy", version=1) == 3
    assert value(metrics, "genservice_running_rows", model="toy", version=1) == 4
    metrics.state_changed("toy", 1, "UNLOADED", "")
    assert value(metrics, "genservice_queued_rows", model="toy", version=1) is None
    assert value(metrics, "genservice_rows_total", model="toy", version=1, verb="sample", outcome="ok") is None
    assert value(metrics, "genservice_model_state", model="toy", version=2, state="READY") == 1


def test_rpcs_are_counted_and_timed(metrics):
    metrics.rpc_ended("/a/B", "OK", 0.5)
    metrics.model_raised("toy", 1, "sample", "ab12", RuntimeError())
    assert value(metrics, "genservice_rpcs_total", method="/a/B", code="OK") == 1
    assert value(metrics, "genservice_rpc_seconds_sum", method="/a/B") == 0.5
    assert value(metrics, "genservice_model_errors_total", model="toy", version=1, verb="sample") == 1


def test_the_pace_of_a_stream_is_measured():
    seconds = iter([10.0, 10.5, 10.75, 11.75, 12.0])
    metrics = Metrics(now=lambda: next(seconds))
    pace = metrics.pace("toy", 1)
    for _ in range(3):
        pace.told()
    pace.ended()
    of_toy = {"model": "toy", "version": 1}
    assert value(metrics, "genservice_first_chunk_seconds_sum", **of_toy) == 0.5
    assert value(metrics, "genservice_between_chunks_seconds_sum", **of_toy) == 1.25
    assert value(metrics, "genservice_between_chunks_seconds_count", **of_toy) == 2
    assert value(metrics, "genservice_stream_seconds_sum", **of_toy) == 2


def test_steps_show_the_slots_that_are_used_until_none_is(metrics):
    of_toy = {"model": "toy", "version": 1}
    metrics.draws_began("toy", 1, 5, 0.25)
    metrics.step_ran("toy", 1, 5, 8, 0.125)
    assert value(metrics, "genservice_slots_used", **of_toy) == 5
    assert value(metrics, "genservice_step_rows_sum", **of_toy) == 5
    assert value(metrics, "genservice_step_seconds_sum", **of_toy) == 0.125
    assert value(metrics, "genservice_padding_rows_total", verb="sample", **of_toy) == 3
    assert value(metrics, "genservice_queue_seconds_sum", verb="sample", **of_toy) == 0.25
    metrics.queue_changed("toy", 1, 0, 0)
    assert value(metrics, "genservice_slots_used", **of_toy) == 0


def test_lost_workers_are_counted(metrics):
    metrics.worker_lost("CPU:0", "killed by SIGKILL")
    assert value(metrics, "genservice_workers_lost_total", worker="CPU:0") == 1


def test_two_servers_in_one_process_count_apart(metrics):
    Metrics().rpc_ended("/a/B", "OK", 1)
    assert value(metrics, "genservice_rpcs_total", method="/a/B", code="OK") is None
