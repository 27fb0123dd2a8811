"""Shows that the samples of a bulk job are all there, each once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from genservice.bulk.errors import BulkError
from genservice.bulk.files import accessing
from genservice.bulk.job import JOB_FILE, Job, read_job
from genservice.bulk.shards import Shard, fault_of, index_folder, read_indexes, read_manifest, shard_file

Span = tuple[int, int]
"""Sample indexes from the first, to one past the last."""


@dataclass(slots=True)
class Report:
    """What a folder has of a job."""

    job: Job
    """The job."""
    spans: list[Span] = field(default_factory=list)
    """What each file has."""
    faults: list[str] = field(default_factory=list)
    """Files that are damaged, missing, in no manifest, or none of the job's; each as a line."""
    broken: set[int] = field(default_factory=set)
    """Indexes of the job that have such files."""

    @property
    def missing(self) -> list[Span]:
        """Samples that are in no file, in ascending order."""
        gaps, end = [], 0
        for start, stop in sorted(self.spans):
            if start > end:
                gaps.append((end, start))
            end = max(end, stop)
        return [*gaps, (end, self.job.samples)] if end < self.job.samples else gaps

    @property
    def doubled(self) -> list[Span]:
        """Samples that are in more than one file, in ascending order."""
        found: list[Span] = []
        end = 0
        for start, stop in sorted(self.spans):
            if start < end:
                found.append((start, min(stop, end)))
            end = max(end, stop)
        return list(_joined(found))

    @property
    def complete(self) -> bool:
        """Whether all samples are there, each once and undamaged, and nothing else is."""
        return not (self.missing or self.doubled or self.faults)

    @property
    def indexes_to_run(self) -> list[int]:
        """Indexes of the job that have to run again."""
        job = self.job
        short = {
            index for start, stop in self.missing for index in range(job.index_of(start), job.index_of(stop - 1) + 1)
        }
        return sorted(short | self.broken)


def verify(folder: Path) -> Report:
    """Reads all files of a job's folder.

    Args:
        folder: Where the samples went.

    Returns:
        What is there.

    Raises:
        BulkError: There is no job, or it cannot be read.
    """
    job = read_job(folder)
    if job is None:
        raise BulkError(f"{folder} has no {JOB_FILE}: no index of a bulk job has run there.")
    report = Report(job)
    listed: set[Path] = set()
    for index in range(job.indexes):
        listed |= _check_index(report, index_folder(folder, index), index)
    with accessing(folder, "read"):
        others = sorted(set(folder.rglob("*.npz")) - listed)
    for path in others:
        _check_unlisted(report, folder, path)
    return report


def _check_index(report: Report, place: Path, index: int) -> set[Path]:
    """Reads what an index's manifest lists, and gives the files."""
    try:
        manifest = read_manifest(place, report.job, index)
    except BulkError as fault:
        report.faults.append(fault.message.removesuffix("."))
        report.broken.add(index)
        return set()
    for shard in manifest.shards:
        path = place / shard.file
        if fault_text := _check_shard(report, path, shard, report.job.part(index)):
            report.faults.append(f"{path}: {fault_text}")
            report.broken.add(index)
    return {place / shard.file for shard in manifest.shards}


def _check_shard(report: Report, path: Path, shard: Shard, part: range) -> str:
    with accessing(path, "read"):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return "it is missing"
    if fault := fault_of(content, shard):
        return fault
    try:
        found = read_indexes(content, report.job)
    except ValueError as other:
        return str(other)
    if found != shard.indexes:
        return f"it has the samples {_text(found.start, found.stop)}, and the manifest says another range"
    report.spans.append((found.start, found.stop))
    return "" if found[0] in part and found[-1] in part else "its samples are those of another index"


def _check_unlisted(report: Report, folder: Path, path: Path) -> None:
    """Counts a file that no manifest lists: whoever reads the folder would read it, too."""
    with accessing(path, "read"):
        content = path.read_bytes()
    text = "it is in no manifest"
    try:
        found = read_indexes(content, report.job)
    except ValueError as other:
        text += f", and {other}"
    else:
        report.spans.append((found.start, found.stop))
        # One whose index died before it was listed: it is drawn again, in the same place.
        index = report.job.index_of(found.start)
        if path.parent == index_folder(folder, index) and path.name == shard_file(found.start):
            report.broken.add(index)
    report.faults.append(f"{path}: {text}")


def spans_text(spans: Iterable[Span], most: int = 5) -> str:
    """Tells spans in a line, the first of them where there are many."""
    shown = [_text(start, stop) for start, stop in spans]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def count(spans: Iterable[Span]) -> int:
    """The samples in spans that do not overlap."""
    return sum(stop - start for start, stop in spans)


def _text(start: int, stop: int) -> str:
    return str(start) if stop == start + 1 else f"{start} to {stop - 1}"


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Joins spans in ascending order where one begins at the other's end."""
    held: Span | None = None
    for start, stop in spans:
        if held is not None and start <= held[1]:
            held = (held[0], max(held[1], stop))
            continue
        if held is not None:
            yield held
        held = (start, stop)
    if held is not None:
        yield held
