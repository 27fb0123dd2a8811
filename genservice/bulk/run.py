"""One index of a bulk job: draws what it has not yet, shard by shard."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genservice.bulk.errors import DamagedError, MixedJobError, OtherBitsError
from genservice.bulk.files import accessing, locked
from genservice.bulk.job import Job
from genservice.bulk.shards import Manifest, Shard, fault_of, index_folder, read_manifest, write_shard

if TYPE_CHECKING:
    from genservice_client import Client, SampleChunk, Samples, SampleStream

OPENINGS = 8
"""Streams that are opened to find a replica with the job's content: each goes to the next one."""


Tell = Callable[[str], object]
"""Takes a line for people."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What an index has made."""

    kept: int
    """Samples that were there before."""
    drawn: int
    """Samples that were drawn now."""


def run_index(client: "Client", job: Job, index: int, folder: Path, tell: Tell) -> Progress:
    """Makes the samples of one index that are not there yet.

    Args:
        client: Connected to the service.
        job: The job, as all indexes agreed on it.
        index: Which part of it, from 0.
        folder: Where the job's samples go.
        tell: Is told of each shard.

    Returns:
        How many there were, and how many were drawn.

    Raises:
        BulkError: A file cannot be read or written, or another process makes this index.
        MixedJobError: The folder or the service has something else.
        OtherBitsError: No replica that was asked computes the job's bits.
        GenserviceClientError: The service failed.
    """
    place = index_folder(folder, index)
    with locked(place):
        manifest = _whole(place, job, index, tell)
        kept = sum(shard.count for shard in manifest.shards)
        part = job.part(index)
        if kept:
            tell(f"index {index}: {kept} of {len(part)} samples are there")
        done = kept
        for shards in _gaps(job.shards(index), manifest):
            for samples in _drawn(client, job, shards):
                shard = write_shard(place, job, samples)
                manifest = manifest.with_shard(shard)
                manifest.write(place)
                done += shard.count
                tell(f"index {index}: {done} of {len(part)} samples, {place / shard.file}, {shard.size_bytes} bytes")
    return Progress(kept, done - kept)


def _whole(place: Path, job: Job, index: int, tell: Tell) -> Manifest:
    """The shards of an index that need not be drawn again."""
    try:
        manifest = read_manifest(place, job, index)
    except DamagedError as fault:
        tell(f"index {index}: {fault.message} All of it is drawn again.")
        return Manifest.empty(job, index)
    planned = job.shards(index)
    whole: list[Shard] = []
    for shard in manifest.shards:
        path = place / shard.file
        if fault_text := _fault(path, shard) if shard.indexes in planned else "it is none of the job's":
            tell(f"index {index}: {path} is drawn again: {fault_text}")
        else:
            whole.append(shard)
    return manifest.model_copy(update={"shards": tuple(whole)})


def _fault(path: Path, shard: Shard) -> str:
    with accessing(path, "read"):
        return fault_of(path.read_bytes(), shard) if path.is_file() else "it is missing"


def _gaps(planned: list[range], manifest: Manifest) -> Iterator[list[range]]:
    """Gives the shards that are missing, those together that follow one another: a stream draws them."""
    there = {shard.first for shard in manifest.shards}
    gap: list[range] = []
    for shard in planned:
        if shard.start not in there:
            gap.append(shard)
        elif gap:
            yield gap
            gap = []
    if gap:
        yield gap


def _drawn(client: "Client", job: Job, shards: list[range]) -> "Iterator[Samples]":
    """Draws shards that follow one another by one stream."""
    from genservice_client import Samples

    stream = _opened(client, job, shards[0].start, shards[-1].stop)
    try:
        coming = list(shards)
        held: list[SampleChunk] = []
        held_rows = 0
        for chunk in stream:
            place = 0
            while place < len(chunk):
                taken = chunk.at(slice(place, place + len(coming[0]) - held_rows))
                held.append(taken)
                place, held_rows = place + len(taken), held_rows + len(taken)
                if held_rows == len(coming[0]):
                    yield Samples.joined(held)
                    coming.pop(0)
                    held, held_rows = [], 0
    finally:
        stream.cancel()


def _opened(client: "Client", job: Job, start: int, stop: int) -> "SampleStream":
    """Opens a stream that is pinned to the job's content, from then on over all replicas that have it."""
    refusal: MixedJobError | OtherBitsError | None = None
    for _ in range(OPENINGS):
        stream = client.sample(
            job.model,
            stop - start,
            seed=job.seed,
            first_index=start,
            output=job.output,
            conditions=job.conditions,
            options=job.options,
        )
        header = stream.start()
        try:
            job.check_version(header.model, header.content_hash, header.numerics)
        except (MixedJobError, OtherBitsError) as other:
            stream.cancel()
            refusal = other
        else:
            return stream
    assert refusal is not None
    raise refusal
