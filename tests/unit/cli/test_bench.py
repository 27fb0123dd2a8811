import asyncio
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from genservice.cli.capacity import MOST_STEPS, Capacity, Plan, measure
from genservice.cli.failures import Failure
from genservice.cli.load import Step, Target, quantile
from genservice.cli.replica import Replica, running_replica

QUICK = ("--seconds", 0.1, "--rows", 256, "--queue-limit-s", 30)


@pytest.fixture(scope="module")
def replica(toys: Path, toy_store: Path) -> Iterator[Replica]:
    """A replica as a process of its own, which finds the toys, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(toys))
        with running_replica("toy-gan", [toy_store]) as running:
            yield running


def test_a_replica_that_is_there_is_measured(run, replica: Replica) -> None:
    done = run("bench", "capacity", "toy-gan", "--server", replica.address, "--metrics", replica.metrics_url, *QUICK)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["model"] == "models/toy-gan/versions/1"
    assert (told["verb"], told["plan"]["rows"]) == ("sample", 256)
    assert [batch["rows"] for batch in told["batches"]] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert all(batch["rows_per_second"] > 0 for batch in told["batches"])
    assert told["capacity_rows_per_second"] > 0
    target = told["target"]
    assert target["keda_threshold"] == target["hpa_average_value"] == str(max(1, round(target["rows_in_system"])))
    assert len(told["arithmetic"]) >= 3
    # How it goes is told beside.
    assert "batches of 256:" in done.stderr
    assert "rows/s offered:" in done.stderr


def test_the_model_of_a_replica_of_ones_own_is_alone_there(replica: Replica) -> None:
    from genservice_client import Client

    with Client(replica.address) as client:
        assert [model.name for model in client.models()] == ["models/toy-gan"]


def test_a_replica_is_started_where_none_is_named(
    run, toys: Path, toy_store: Path, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(toys))
    settings = tmp_path / "settings.toml"
    settings.write_text("[engine.models.toy-cnn]\nmax_batch_rows = 4\nbatch_sizes = [2, 4]\n")
    done = run("bench", "capacity", "toy-cnn@1", "--store", toy_store, "--config", settings, *QUICK, "--rows", 4)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["verb"] == "classify"
    # Those of the settings.
    assert [batch["rows"] for batch in told["batches"]] == [2, 4]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["toy-dog", "--store", "STORE"], 1, "No store has the model 'toy-dog'."),
        (["to y", "--store", "STORE"], 1, "to y"),
        (["toy-gan", "--metrics", "http://127.0.0.1:1/metrics"], 2, "--metrics goes with --server."),
        (["toy-gan", "--server", "127.0.0.1:1", "--store", "STORE"], 2, "leave --server out"),
        (["toy-gan", "--server", "127.0.0.1:1"], 1, "No server answers at '127.0.0.1:1'"),
        (["toy-gan", "--rows", "0"], 2, "--rows"),
        (["toy-gan", "--utilisation", "2"], 2, "--utilisation"),
    ],
)
def test_what_cannot_be_measured_is_told_in_a_line(
    run, toy_store: Path, arguments: list[str], code: int, message: str
) -> None:
    done = run("bench", "capacity", *(str(toy_store) if argument == "STORE" else argument for argument in arguments))
    assert (done.exit_code, message in done.output) == (code, True), done.output


def test_a_replica_that_cannot_start_is_told_with_its_reason(run, toy_store: Path, monkeypatch) -> None:
    monkeypatch.setenv("GENSERVICE_SERVER__TLS__CERTIFICATE", "/nowhere.pem")
    monkeypatch.setenv("GENSERVICE_SERVER__TLS__PRIVATE_KEY", "/nowhere.pem")
    done = run("bench", "capacity", "toy-gan", "--store", toy_store)
    assert (done.exit_code, "/nowhere.pem" in done.output) == (1, True), done.output
    assert "`genservice serve` ended:" in done.output


def test_metrics_that_are_not_there_are_told(run, replica: Replica) -> None:
    elsewhere = replica.metrics_url.replace("/metrics", "/nowhere")
    done = run("bench", "capacity", "toy-gan", "--server", replica.address, "--metrics", elsewhere, *QUICK)
    assert done.exit_code == 1
    assert f"The metrics at {elsewhere} cannot be read" in done.output


def test_an_option_that_the_model_does_not_have_is_told(run, replica: Replica) -> None:
    place = ("--server", replica.address, "--metrics", replica.metrics_url)
    done = run("bench", "capacity", "toy-gan", *place, *QUICK, "-o", "colour=red")
    assert (done.exit_code, "colour" in done.output) == (1, True), done.output


@pytest.mark.parametrize(
    ("buckets", "part", "value"),
    [
        ({0.1: 98.0, 0.5: 100.0, math.inf: 100.0}, 0.99, 0.3),  # half way between 98 and 100
        ({0.1: 100.0, 0.5: 100.0, math.inf: 100.0}, 0.5, 0.05),  # half way from 0
        ({0.1: 0.0, 0.5: 50.0, math.inf: 100.0}, 0.99, 0.5),  # above all that is known
        ({0.1: 0.0, math.inf: 0.0}, 0.99, 0.0),
        ({}, 0.99, 0.0),
    ],
)
def test_a_quantile_is_found_as_prometheus_finds_it(buckets: Mapping[float, float], part: float, value: float) -> None:
    assert quantile(buckets, part) == pytest.approx(value)


class Bearing:
    """Stands in for a target that bears so many rows a second; `spoilt` steps are spoilt by somebody else."""

    def __init__(self, most: float, spoilt: tuple[int, ...] = ()) -> None:
        self.version = SimpleNamespace(name="models/m/versions/1", content_hash="c0", numerics="n", batch_sizes=(8, 64))
        self.verb = "sample"
        self.offers = 0
        self._most, self._spoilt = most, spoilt

    async def closed_loop(self, rows: int, in_flight: int, seconds: float) -> float:
        return 10.0 * rows

    async def offer(self, rows_per_second: float, rows: int, seconds: float, seed: int) -> Step:
        self.offers += 1
        spoilt = rows_per_second > self._most or self.offers in self._spoilt
        return Step(rows_per_second, rows_per_second, 0, 1.0 if spoilt else 0.01, rows_per_second / 20, 0.0)


def measured(target: Bearing, **plan: Any) -> Capacity:
    return asyncio.run(measure(cast("Target", target), Plan(**plan), lambda line: None))


def test_the_capacity_is_the_greatest_load_that_was_borne() -> None:
    # Batches of 64, which the 16 rows of a request are padded to, give 640 rows/s; from 192 on each load is 1.15 times
    # the one before.
    found = measured(Bearing(most=400), utilisation=0.5)
    assert found.rows_per_second == pytest.approx(192 * 1.15**5)
    assert found.rows_per_second <= 400 < found.rows_per_second * 1.15
    assert found.stopped_by == "p99 in the queue was 1 s"
    assert found.batches == {8: 80, 64: 640}
    # A load that failed was offered twice.
    assert [step.offered_rows_per_second for step in found.steps[-2:]] == [pytest.approx(192 * 1.15**6)] * 2
    assert found.at_target.offered_rows_per_second == pytest.approx(0.5 * found.rows_per_second)
    assert found.target_rows == round(0.5 * found.rows_per_second / 20)


def test_a_step_that_somebody_else_spoilt_is_tried_again() -> None:
    assert measured(Bearing(most=400, spoilt=(2,))).rows_per_second == measured(Bearing(most=400)).rows_per_second


def test_it_ends_although_every_load_is_borne() -> None:
    found = measured(Bearing(most=math.inf))
    assert (len(found.steps), found.stopped_by) == (MOST_STEPS, "the end of the plan")


def test_a_replica_that_does_not_even_bear_the_least_load_is_told() -> None:
    with pytest.raises(Failure, match="does not bear 192 rows/s: p99 in the queue was 1 s"):
        measured(Bearing(most=100))


def test_a_target_above_its_bound_is_told() -> None:
    found = measured(Bearing(most=400))
    assert not any("above the bound" in line for line in found.arithmetic())
    much = replace(found, at_target=replace(found.at_target, rows_in_system=1000.0))
    assert "the target is above the bound" in much.arithmetic()[-1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"refused_rows": 16}, "16 rows were refused"),
        ({"late_s": 3.0}, "the client was too slow, and sent a request 3 s late"),
    ],
)
def test_what_stops_it_is_told(change: Mapping[str, float], reason: str) -> None:
    class Stopping(Bearing):
        async def offer(self, *arguments: Any) -> Step:
            step = await super().offer(*arguments)
            return replace(step, **change) if arguments[0] > 300 else step

    assert measured(Stopping(most=math.inf)).stopped_by == reason
