"""Load on a service until standard input ends: unary calls and long streams; then a line of JSON says how they went.

    python load.py sdk|plain TARGET [--attempts N] [--whole] [--lookup-s S]

`plain` is grpcio, with `round_robin` and without retries. A stream is drawn by each reader undisturbed
before "ready" is printed; each later one must be equal to it.
"""

import argparse
import itertools
import json
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
import numpy as np

from genservice.v1 import classification_pb2, classification_pb2_grpc, generation_pb2, generation_pb2_grpc, types_pb2
from genservice_client import Client, GenserviceClientError, Limits, RetryPolicy, StatusError

MODEL = "drip"
EVENT = 16
SAMPLES = 640
"""A stream of so many takes seconds; that many are split over three replicas by the SDK."""
CHUNK_ROWS = 16
CALLERS, READERS = 6, 2
PAUSE_S = 0.05
"""Between the calls of a caller."""
CALL_LIMIT_S = 20


@dataclass
class Report:
    calls: int = 0
    streams: int = 0
    samples: int = 0
    resumed: int = 0
    """How often a stream was cut and went on."""
    wrong: int = 0
    """Answers that are not what they should be."""
    errors: Counter = field(default_factory=Counter)
    """Calls that failed, by their code."""
    cuts: Counter = field(default_factory=Counter)
    """Streams that failed, by their code."""


class Sdk:
    """The SDK."""

    failures = GenserviceClientError

    def __init__(self, asked):
        limits = Limits(part_rows=SAMPLES) if asked.whole else Limits()
        retry = RetryPolicy(max_attempts=asked.attempts)
        self._client = Client(asked.target, timeout_s=CALL_LIMIT_S, limits=limits, retry=retry)

    def classify(self, inputs):
        return self._client.classify(MODEL, inputs).probabilities

    def sample(self, seed):
        """Draws a stream: the indexes and the samples as they came, and how often it was cut and went on."""
        stream = self._client.sample(MODEL, SAMPLES, seed=seed, chunk_rows=CHUNK_ROWS)
        chunks = list(stream)
        indexes = np.concatenate([chunk.indexes for chunk in chunks])
        samples = np.concatenate([chunk.to_numpy() for chunk in chunks])
        return indexes, samples, stream.summary.resume_count

    @staticmethod
    def code(failure):
        return failure.code.name if isinstance(failure, StatusError) else type(failure).__name__


class Plain:
    """grpcio."""

    failures = grpc.RpcError

    def __init__(self, asked):
        options = [
            ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
            ("grpc.enable_retries", 0),
            ("grpc.dns_min_time_between_resolutions_ms", round(1000 * asked.lookup_s)),
        ]
        channel = grpc.insecure_channel(asked.target, options)
        self._classification = classification_pb2_grpc.ClassificationServiceStub(channel)
        self._generation = generation_pb2_grpc.GenerationServiceStub(channel)

    def classify(self, inputs):
        tensor = types_pb2.Tensor(
            data_type=types_pb2.DATA_TYPE_FLOAT32, shape=inputs.shape, data=np.ascontiguousarray(inputs).tobytes()
        )
        request = classification_pb2.ClassifyRequest(model=f"models/{MODEL}", inputs=types_pb2.Condition(tensor=tensor))
        answer = self._classification.Classify(request, timeout=CALL_LIMIT_S).probabilities
        return np.frombuffer(answer.data, np.float32).reshape(answer.shape)

    def sample(self, seed):
        """As that of the SDK."""
        request = generation_pb2.SampleRequest(
            model=f"models/{MODEL}", sample_count=SAMPLES, seed=seed, chunk_rows=CHUNK_ROWS
        )
        chunks = [event.chunk for event in self._generation.Sample(request) if event.HasField("chunk")]
        indexes = [np.arange(each.start, each.end) for chunk in chunks for each in chunk.indexes]
        samples = [np.frombuffer(chunk.tensor.data, np.float32).reshape(chunk.tensor.shape) for chunk in chunks]
        return np.concatenate(indexes), np.concatenate(samples), 0

    @staticmethod
    def code(failure):
        return failure.code().name


class Load:
    """What the threads do.

    Args:
        client: How they ask.
    """

    def __init__(self, client):
        self.report = Report()
        self.ended = threading.Event()
        self._client = client
        self._lock = threading.Lock()

    def call(self, caller):
        """Calls until the end."""
        for number in itertools.count():
            if self.ended.wait(PAUSE_S):
                return
            inputs = np.full((2, EVENT), np.float32(number % 5 - 2 + caller / 7), np.float32)
            inputs[1] = -inputs[0]
            expected = 1 / (1 + np.exp(-2 * inputs[:, 0]))
            try:
                answer = self._client.classify(inputs)
            except self._client.failures as failure:
                self._count(calls=1, errors=Counter([self._client.code(failure)]))
            else:
                self._count(calls=1, wrong=not np.allclose(answer[:, 0], expected, atol=1e-5))

    def read(self, seed, undisturbed):
        """Draws streams until the end; the last one is read whole."""
        while not self.ended.is_set():
            begun = time.monotonic()
            try:
                indexes, samples, resumed = self._client.sample(seed)
            except self._client.failures as failure:
                self._count(streams=1, cuts=Counter([self._client.code(failure)]))
                self.ended.wait(max(0.0, begun + PAUSE_S - time.monotonic()))
                continue
            whole = np.array_equal(indexes, np.arange(SAMPLES)) and np.array_equal(samples, undisturbed)
            self._count(streams=1, samples=len(samples), resumed=resumed, wrong=not whole)

    def _count(self, **counts):
        with self._lock:
            for name, count in counts.items():
                setattr(self.report, name, getattr(self.report, name) + count)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("sdk", "plain"))
    parser.add_argument("target")
    parser.add_argument("--attempts", type=int, default=RetryPolicy().max_attempts)
    parser.add_argument("--whole", action="store_true", help="The SDK does not split streams over the replicas.")
    parser.add_argument("--lookup-s", type=float, default=30, help="grpcio waits so long between two look-ups.")
    asked = parser.parse_args()
    client = {"sdk": Sdk, "plain": Plain}[asked.kind](asked)
    load = Load(client)
    with ThreadPoolExecutor(CALLERS + READERS) as threads:
        drawn = list(threads.map(client.sample, range(READERS)))
        assert all(np.array_equal(indexes, np.arange(SAMPLES)) for indexes, *_ in drawn)
        work = [threads.submit(load.read, seed, drawn[seed][1]) for seed in range(READERS)]
        work += [threads.submit(load.call, caller) for caller in range(CALLERS)]
        print("ready", flush=True)
        sys.stdin.read()
        load.ended.set()
        for each in work:
            each.result()
    print(json.dumps(vars(load.report)), flush=True)


if __name__ == "__main__":
    main()
