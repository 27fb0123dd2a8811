"""What a running server exports, and what queries ask for."""

import asyncio
import json
import subprocess
import urllib.request
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import Field

from genservice import Classifier, Generator, IterativeGenerator, Options, TensorSpec
from genservice.engine.engine import Engine
from genservice.engine.inline import inline_workers
from genservice.engine.settings import EngineSettings
from genservice.plugin_host import Family
from genservice.server.server import Server
from genservice.server.settings import ServerSettings
from genservice.store.manifest import Manifest
from genservice.store.store import ModelStore
from genservice.telemetry.observer import Telemetry
from genservice_client import AsyncClient, GenserviceClientError, RetryPolicy
from tests.deploy.tools import ROOT, deploy_python

OF_THE_TARGET = frozenset({"namespace", "pod", "container", "service", "endpoint", "instance", "job"})
"""Labels that the Prometheus operator adds to what it scrapes."""
OF_OTHERS = {"kube_pod_container_status_restarts_total": OF_THE_TARGET}
"""Metrics of kube-state-metrics, with their labels."""

Exported = dict[str, frozenset[str]]
"""By metric: its labels."""


FAULT = 4321
"""The number for which the toy raises."""


class ToyOptions(Options):
    code: int = Field(0, ge=0, le=9999)


class Toy(Generator, Classifier):
    family = "toy"
    traced = False
    Options = ToyOptions
    event = TensorSpec((2,))
    labels = ("a", "b")

    def load(self, directory):
        pass

    def sample(self, noise, options, conditions):
        if (options.code == FAULT).any():
            raise RuntimeError("asked to")
        return noise.normal("z", (2,))

    def logits(self, inputs, options):
        return inputs


class Walk(IterativeGenerator):
    family = "walk"
    traced = False
    event = TensorSpec((2,))

    def load(self, directory):
        pass

    def allocate(self, slots):
        return {"place": np.zeros((slots, 2), np.float32), "left": np.zeros(slots, np.int64)}

    def enter(self, state, slots, noise, options, conditions):
        state["place"][slots] = noise.normal("start", (2,))
        state["left"][slots] = 3

    def step(self, state, noise, active):
        state["place"][:active] += noise.normal("step", (2,))
        state["left"][:active] -= 1
        return state["left"][:active] <= 0

    def finish(self, state, slots):
        return state["place"][slots]


class Broken(Generator):
    family = "broken"
    event = TensorSpec((2,))

    def load(self, directory):
        raise RuntimeError("asked to")


@cache
def exported() -> Exported:
    """The metrics of a server that has been asked for all that it counts, with the labels of the target."""
    with TemporaryDirectory() as folder:
        text = asyncio.run(_metrics_of_a_server(Path(folder)))
    metrics: Exported = {}
    for family in text_string_to_metric_families(text):
        # A metric without a series would have labels that nobody checks.
        assert family.samples, f"nothing has made a series of {family.name}"
        for sample in family.samples:
            metrics[sample.name] = metrics.get(sample.name, OF_THE_TARGET) | sample.labels.keys()
    return metrics


async def _metrics_of_a_server(folder: Path) -> str:
    store = ModelStore([folder])
    models = (Toy, Walk, Broken)
    for model in models:
        store.publish(
            model.family, lambda _, model=model: Manifest(family=model.family, plugin="toys", plugin_version="1")
        )
    families = {model.family: Family(model.family, model, "toys", "1") for model in models}
    told, settings = Telemetry(), EngineSettings()
    engine = Engine(store, families, inline_workers(settings), settings, observer=told)
    server = Server(engine, ServerSettings(listen="127.0.0.1:0", http_listen="127.0.0.1:0"), metrics=told)
    engine.start()
    try:
        bound = await server.start()
        await engine.started()
        async with AsyncClient(server.address, retry=RetryPolicy(max_attempts=1)) as client:
            await client.sample("toy", 600).all()
            await client.sample("walk", 5).all()
            await client.classify("toy", np.zeros((2, 2), np.float32))
            with suppress(GenserviceClientError):
                await client.sample("toy", 1, code=FAULT).all()
            with suppress(GenserviceClientError):
                await client.sample("toy", 1, options={"nothing": 1}).all()
        # No worker of these dies.
        told.worker_lost("CPU:0", "asked to")
        return await asyncio.to_thread(_read, f"http://{bound.http}/metrics")
    finally:
        await server.close()
        await engine.stop()


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def with_deploy_python(program: str, given: str) -> Any:
    """What a program prints as JSON, run by the Python that has the packages of deploy/requirements.txt."""
    command = [deploy_python(), "-c", program]
    done = subprocess.run(command, cwd=ROOT, input=given, capture_output=True, text=True, check=False)
    if "No module named 'promql_parser'" in done.stderr:
        pytest.skip("promql-parser is not installed: run `make test-deploy`")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def read_yaml(file: Path) -> Any:
    """The content of a file of YAML."""
    return with_deploy_python(
        "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)", file.read_text()
    )


def selectors(queries: list[str]) -> list[list[tuple[str, list[str]]]]:
    """What each query selects: pairs of a metric and the labels that it is chosen by."""
    return with_deploy_python(Path(__file__).with_name("promql.py").read_text(), json.dumps(queries))


def unknown(queries: list[str], known: Exported) -> list[str]:
    """What queries ask for and nobody exports; empty where all is well."""
    faults = []
    for query, found in zip(queries, selectors(queries), strict=True):
        for metric, labels in found:
            if metric not in known:
                faults.append(f"no metric {metric}: {query}")
            else:
                faults += [f"{metric} has no label {label}: {query}" for label in labels if label not in known[metric]]
    return faults


def recorded(rules: Any) -> Exported:
    """The metrics that rules record; what their labels are is for promtool's tests to show."""
    return {
        rule["record"]: OF_THE_TARGET | {"model"}
        for group in rules["spec"]["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
