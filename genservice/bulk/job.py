"""What a bulk job draws, and the one file that all of its indexes agree on."""

import hashlib
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from genservice.bulk.errors import BulkError, DamagedError, MixedJobError, OtherBitsError
from genservice.bulk.files import accessing, create_file

JOB_FILE = "job.json"
TEXT = "str"
"""The dtype of a job whose samples are texts."""

OptionValue = bool | int | float | str | list[str]


class Plan(BaseModel):
    """What is asked for, the same for all indexes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    asked: str
    """The model as it was asked for, such as `fashion-gan` or `fashion-gan:stable`."""
    samples: int = Field(gt=0, le=2**63 - 1)
    """Samples in all; sample i has the index i."""
    seed: int = Field(ge=0, lt=2**64)
    """Seed of all of them."""
    indexes: int = Field(gt=0)
    """Parts that are made apart from each other; a part has at least one sample."""
    shard_samples: int = Field(gt=0)
    """Most samples in a file."""
    options: dict[str, OptionValue] = {}
    """Options of the model."""
    conditions: dict[str, str] = {}
    """Conditions of the draw, the same for all samples."""
    output: Literal["float32", "uint8"] | None = None
    """Type of the numbers; None: the model's own."""

    @model_validator(mode="after")
    def _has_a_sample_for_each_index(self) -> Self:
        if self.samples < self.indexes:
            raise ValueError(f"{self.samples} samples are too few for {self.indexes} indexes: each makes at least one")
        return self

    def part(self, index: int) -> range:
        """The sample indexes that one index of the job makes; parts differ by one sample at most.

        Args:
            index: From 0 to `indexes` - 1.
        """
        return range(index * self.samples // self.indexes, (index + 1) * self.samples // self.indexes)

    def shards(self, index: int) -> list[range]:
        """The sample indexes of each file of one index of the job, in ascending order."""
        part = self.part(index)
        return [part[place : place + self.shard_samples] for place in range(0, len(part), self.shard_samples)]

    def index_of(self, sample: int) -> int:
        """The index of the job that makes a sample."""
        return ((sample + 1) * self.indexes - 1) // self.samples


class Job(Plan):
    """A plan, and the version that all of it is drawn from."""

    model: str
    """The version, `models/{model}/versions/{n}`."""
    content_hash: str
    """SHA-256 of the version's content, in hexadecimal."""
    determinism: str
    """How far two draws of one sample agree: `SAME_DRAWS` or `BITWISE`."""
    numerics: str
    """What the bits depend on, where the model promises equal bits; else empty."""
    dtype: str
    """Element type of the samples, as NumPy names it; `str` for texts."""
    shape: tuple[int, ...]
    """Shape of one sample; -1 where an extent varies."""

    @property
    def digest(self) -> str:
        """SHA-256 of all that the job is, in hexadecimal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def check_plan(self, plan: Plan, folder: Path) -> None:
        """Holds that a plan is that of the job.

        Raises:
            MixedJobError: It is another one.
        """
        for name in Plan.model_fields:
            there, given = getattr(self, name), getattr(plan, name)
            if there != given:
                shown = "model" if name == "asked" else name
                raise MixedJobError(
                    f"{folder} has a job with {shown} {there!r}, and {shown} {given!r} is asked for: give it a folder "
                    "of its own."
                )

    def check_version(self, model: str, content_hash: str, numerics: str) -> None:
        """Holds that the service has what the job is drawn from.

        Args:
            model: The version that answers.
            content_hash: Its content.
            numerics: What its bits depend on.

        Raises:
            MixedJobError: It has another content.
            OtherBitsError: It computes other bits.
        """
        if (model, content_hash) != (self.model, self.content_hash):
            raise MixedJobError(
                f"the job is drawn from {self.model} with the content {self.content_hash:.12}, and the service has "
                f"{model} with the content {content_hash:.12}: samples of the two are not mixed."
            )
        if self.numerics and numerics != self.numerics:
            raise OtherBitsError(
                f"the job's samples have the bits of {self.numerics!r}, and the service computes those of "
                f"{numerics!r}: samples of the two are not mixed."
            )


def read_job(folder: Path) -> Job | None:
    """Reads the job of a folder.

    Returns:
        The job; None where there is none yet.

    Raises:
        BulkError: The file cannot be read.
        DamagedError: It is no job.
    """
    path = folder / JOB_FILE
    with accessing(path, "read"):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
    try:
        return Job.model_validate_json(content)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DamagedError(f"{path} is damaged: {f'{place}: ' if place else ''}{first['msg']}.") from invalid


def agree(folder: Path, job: Job) -> Job:
    """Writes the job of a folder, unless another index was first.

    Args:
        folder: Where the samples go; it is made where there is none.
        job: What this index would draw.

    Returns:
        The job that all indexes draw.

    Raises:
        BulkError: It cannot be written or read.
        MixedJobError: The folder has another plan.
    """
    with accessing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if create_file(folder / JOB_FILE, job.model_dump_json(indent=2).encode() + b"\n"):
        return job
    there = read_job(folder)
    if there is None:
        raise BulkError(f"{folder / JOB_FILE} was taken away while it was read.")
    there.check_plan(job, folder)
    return there
