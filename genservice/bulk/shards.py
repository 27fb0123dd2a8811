"""Files of samples, and the list of them that an index of a job keeps."""

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genservice.bulk.errors import BulkError, DamagedError, MixedJobError
from genservice.bulk.files import accessing, replace_file
from genservice.bulk.job import TEXT, Job

if TYPE_CHECKING:
    import numpy as np

    from genservice_client import Samples

MANIFEST_FILE = "manifest.json"


class Shard(BaseModel):
    """A file of samples whose indexes follow one another."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    file: str = Field(pattern=r"^samples-[0-9]{12,19}\.npz$")
    """Its name."""
    first: int = Field(ge=0)
    """Index of the first sample."""
    count: int = Field(gt=0)
    """Samples in it."""
    size_bytes: int = Field(gt=0)
    """Size of the file."""
    sha256: str
    """Hash of the file, in hexadecimal."""

    @property
    def indexes(self) -> range:
        """The indexes of the samples."""
        return range(self.first, self.first + self.count)


class Manifest(BaseModel):
    """The files that an index of a job has made."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    index: int
    """The index of the job."""
    job: str
    """The job's digest."""
    shards: tuple[Shard, ...] = ()
    """The files, by the indexes in them."""

    @classmethod
    def empty(cls, job: Job, index: int) -> "Manifest":
        """One without files."""
        return cls(index=index, job=job.digest)

    def with_shard(self, shard: Shard) -> "Manifest":
        """One that has a file more."""
        shards = sorted((*self.shards, shard), key=lambda each: each.first)
        return self.model_copy(update={"shards": tuple(shards)})

    def write(self, folder: Path) -> None:
        """Writes it into the index's folder.

        Raises:
            BulkError: It cannot be written.
        """
        replace_file(folder / MANIFEST_FILE, self.model_dump_json(indent=2).encode() + b"\n")


def index_folder(folder: Path, index: int) -> Path:
    """The folder of one index of a job."""
    return folder / f"index-{index:05}"


def shard_file(first: int) -> str:
    """The name of the file whose first sample has an index."""
    return f"samples-{first:012}.npz"


def read_manifest(folder: Path, job: Job, index: int) -> Manifest:
    """Reads what an index has made.

    Args:
        folder: The folder of the index.
        job: The job.
        index: The index.

    Returns:
        The manifest; one without files where there is none yet.

    Raises:
        BulkError: It cannot be read.
        DamagedError: It is no manifest.
        MixedJobError: It belongs to another job or index.
    """
    path = folder / MANIFEST_FILE
    with accessing(path, "read"):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return Manifest.empty(job, index)
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as invalid:
        raise DamagedError(f"{path} is damaged: {invalid.errors()[0]['msg']}.") from invalid
    if (manifest.index, manifest.job) != (index, job.digest):
        raise MixedJobError(f"{path} belongs to another job, or to another index of it.")
    return manifest


def write_shard(folder: Path, job: Job, samples: "Samples") -> Shard:
    """Writes samples into a file.

    Args:
        folder: The folder of the index.
        job: The job.
        samples: Whose indexes follow one another.

    Raises:
        BulkError: The file cannot be written, or cannot hold the samples.
    """
    first = int(samples.indexes[0])
    # Hashed before it is written: a disk that changes it is found out.
    content = _encode(job, samples)
    shard = Shard(
        file=shard_file(first),
        first=first,
        count=len(samples),
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    replace_file(folder / shard.file, content)
    return shard


def fault_of(content: bytes, shard: Shard) -> str:
    """Says how a file differs from what its manifest says; empty where it does not."""
    if len(content) != shard.size_bytes:
        return f"it has {len(content)} bytes, and the manifest says {shard.size_bytes}"
    if hashlib.sha256(content).hexdigest() != shard.sha256:
        return "its hash is not the manifest's"
    return ""


def read_indexes(content: bytes, job: Job) -> range:
    """Reads which samples a file has, and holds that they are the job's, in its shape and type.

    Args:
        content: The file.
        job: The job.

    Raises:
        ValueError: They are not; the message says why.
    """
    import zipfile

    import numpy as np

    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            samples, indexes = file["samples"], file["indexes"]
            origin = (str(file["model"]), str(file["content_hash"]), int(file["seed"]))
    except (ValueError, KeyError, OSError, EOFError, TypeError, zipfile.BadZipFile) as fault:
        raise ValueError(f"it is no shard: {fault}") from fault
    if origin != (job.model, job.content_hash, job.seed):
        raise ValueError(f"it has samples of {origin[0]} with the content {origin[1]:.12} and the seed {origin[2]}")
    _check_form(samples, job)
    if indexes.shape != samples.shape[:1] or not len(indexes):
        raise ValueError(f"it has {len(samples)} samples and {indexes.size} indexes")
    found = range(int(indexes[0]), int(indexes[0]) + len(indexes))
    if not np.array_equal(indexes, np.arange(found.start, found.stop)):
        raise ValueError("its indexes do not follow one another")
    return found


def _check_form(samples: "np.ndarray[Any, Any]", job: Job) -> None:
    dtype = TEXT if samples.dtype.kind == "U" else samples.dtype.name
    shape = () if job.dtype == TEXT else job.shape
    fits = len(samples.shape) == len(shape) + 1 and all(
        wanted in (-1, extent) for wanted, extent in zip(shape, samples.shape[1:], strict=True)
    )
    if dtype != job.dtype or not fits:
        raise ValueError(
            f"its samples are {dtype} {list(samples.shape[1:])}, and the job's are {job.dtype} {list(shape)}"
        )


def _encode(job: Job, samples: "Samples") -> bytes:
    import numpy as np

    if job.dtype == TEXT:
        texts = samples.texts()
        rows = np.array(texts, dtype=np.str_)
        if rows.tolist() != texts:
            raise BulkError("A text ends with the character NUL, which an .npz cannot hold.")
    else:
        rows = samples.to_numpy()
    file = io.BytesIO()
    np.savez(
        file,
        samples=rows,
        indexes=samples.indexes,
        seed=np.uint64(job.seed),
        model=np.array(job.model),
        content_hash=np.array(job.content_hash),
    )
    return file.getvalue()
