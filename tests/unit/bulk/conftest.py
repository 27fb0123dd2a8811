"""A service that draws without a server, and a job of it."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from genservice.bulk import Job, Plan, agree, run_index
from genservice_client import Determinism, SampleChunk, SampleHeader, TensorSpec

MODEL = "models/toy/versions/1"
CONTENT = "c0" * 32
SHAPE = (2, 3)
CHUNK_ROWS = 7


def rows_of(seed, indexes):
    """The samples of a seed, float32 `[rows, 2, 3]`."""
    return np.stack([np.random.default_rng([seed, index]).normal(size=SHAPE) for index in indexes]).astype(np.float32)


@dataclass
class Replica:
    """What answers one stream."""

    content_hash: str = CONTENT
    numerics: str = "n"
    breaks_after: int | None = None
    """Samples after which it fails; None: never."""


@dataclass
class Service:
    """A client of a service whose replicas answer in turn; each stream that is opened is noted."""

    replicas: list[Replica] = field(default_factory=lambda: [Replica()])
    asked: list[tuple[int, int]] = field(default_factory=list)
    texts: bool = False

    def sample(self, model, sample_count, *, seed, first_index, **_):
        replica = self.replicas[len(self.asked) % len(self.replicas)]
        self.asked.append((first_index, first_index + sample_count))
        return Stream(self, replica, model, seed, first_index, first_index + sample_count)


@dataclass
class Stream:
    service: Service
    replica: Replica
    model: str
    seed: int
    first: int
    stop: int
    cancelled: bool = False

    def start(self):
        spec = TensorSpec(None if self.service.texts else np.dtype("<f4"), SHAPE, None, None, "")
        return SampleHeader(
            self.model, self.replica.content_hash, self.seed, spec, Determinism.BITWISE, self.replica.numerics
        )

    def __iter__(self):
        for start in range(self.first, self.stop, CHUNK_ROWS):
            if self.replica.breaks_after is not None and start - self.first >= self.replica.breaks_after:
                raise ConnectionError("the replica broke")
            indexes = np.arange(start, min(start + CHUNK_ROWS, self.stop))
            rows = [f"{self.seed}: {index}" for index in indexes] if self.service.texts else rows_of(self.seed, indexes)
            yield SampleChunk(indexes, rows, self.start())

    def cancel(self):
        self.cancelled = True


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def replica():
    """Makes a replica."""
    return Replica


@pytest.fixture
def plan():
    """Makes a plan of 100 samples, or of what is given."""

    def make(**fields):
        return Plan(**{"asked": "toy", "samples": 100, "seed": 7, "indexes": 3, "shard_samples": 10, **fields})

    return make


@pytest.fixture
def job(plan):
    """Makes a job of such a plan."""

    def make(**fields):
        pins = {"model": MODEL, "content_hash": CONTENT, "determinism": "BITWISE", "numerics": "n"}
        form = {"dtype": "float32", "shape": SHAPE}
        given = {name: fields.pop(name) for name in [*pins, *form] if name in fields}
        return Job(**plan(**fields).model_dump(), **{**pins, **form, **given})

    return make


@pytest.fixture
def finished(service, job, tmp_path):
    """A folder in which all indexes have run."""
    made = agree(tmp_path / "out", job())
    for index in range(made.indexes):
        run_index(service, made, index, tmp_path / "out", lambda line: None)
    return tmp_path / "out"


@pytest.fixture
def samples_of():
    """Gives the samples of a seed as they must be."""
    return rows_of
