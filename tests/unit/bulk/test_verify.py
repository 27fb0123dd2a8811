import re
import shutil

import numpy as np
import pytest

from genservice.bulk import BulkError, run_index, verify
from genservice.bulk.shards import MANIFEST_FILE, Manifest, Shard, index_folder, write_shard
from genservice_client import SampleHeader, Samples, TensorSpec


def path_of(folder, index, first):
    return index_folder(folder, index) / f"samples-{first:012}.npz"


def test_a_finished_job_is_complete(finished):
    report = verify(finished)
    assert report.complete
    assert len(report.spans) == 12
    assert (report.missing, report.doubled, report.faults, report.indexes_to_run) == ([], [], [], [])


def test_a_job_of_which_indexes_have_not_run_says_which(finished):
    shutil.rmtree(index_folder(finished, 1))
    report = verify(finished)
    assert not report.complete
    assert report.missing == [(33, 66)]
    assert report.indexes_to_run == [1]


def test_a_file_that_is_gone_is_missed(finished):
    path_of(finished, 2, 76).unlink()
    report = verify(finished)
    assert report.missing == [(76, 86)]
    assert report.faults == [f"{path_of(finished, 2, 76)}: it is missing"]
    assert report.indexes_to_run == [2]


def test_the_last_samples_are_missed_too(finished):
    path_of(finished, 2, 96).unlink()
    assert verify(finished).missing == [(96, 100)]


@pytest.mark.parametrize(("keep", "fault"), [(100, "it has 100 bytes, and the manifest says "), (None, "its hash is")])
def test_a_damaged_file_is_found(finished, keep, fault):
    path = path_of(finished, 0, 10)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content[:keep])
    report = verify(finished)
    assert report.missing == [(10, 20)]
    assert report.faults[0].startswith(f"{path}: {fault}")
    assert report.indexes_to_run == [0]


def test_a_file_that_no_manifest_has_doubles_its_samples(finished):
    copy = finished / "copy of mine.npz"
    shutil.copy(path_of(finished, 1, 43), copy)
    report = verify(finished)
    assert report.doubled == [(43, 53)]
    assert report.missing == []
    assert report.faults == [f"{copy}: it is in no manifest"]
    # To run the index again would not help.
    assert report.indexes_to_run == []


def test_a_file_whose_index_died_before_it_was_listed_is_to_be_made_again(finished, service, job):
    place = index_folder(finished, 1)
    manifest = Manifest.model_validate_json((place / MANIFEST_FILE).read_bytes())
    manifest.model_copy(update={"shards": manifest.shards[:-1]}).write(place)
    report = verify(finished)
    assert not report.complete
    assert report.indexes_to_run == [1]
    run_index(service, job(), 1, finished, lambda line: None)
    assert verify(finished).complete


def test_a_whole_index_that_is_copied_is_found(finished):
    shutil.copytree(index_folder(finished, 0), index_folder(finished, 7))
    report = verify(finished)
    assert report.doubled == [(0, 33)]
    assert len(report.faults) == 4


def test_overlaps_of_several_files_are_told_once(finished):
    for name in ("a", "b"):
        shutil.copytree(index_folder(finished, 1), finished / name)
    report = verify(finished)
    assert report.doubled == [(33, 66)]


def test_a_manifest_of_another_index_is_refused(finished):
    shutil.copy(index_folder(finished, 0) / MANIFEST_FILE, index_folder(finished, 1) / MANIFEST_FILE)
    report = verify(finished)
    assert any("index-00001/manifest.json belongs to another job" in fault for fault in report.faults)
    assert report.indexes_to_run == [1]


def test_a_foreign_npz_is_no_shard(finished):
    np.savez(finished / "notes.npz", a=np.zeros(3))
    (finished / "broken.npz").write_bytes(b"PK")
    report = verify(finished)
    assert not report.complete
    assert [fault.partition("it is no shard")[1] for fault in report.faults] == ["it is no shard"] * 2


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"rows": np.zeros((10, 2, 4), np.float32)}, r"its samples are float32 \[2, 4\], and the job's are float32"),
        ({"rows": np.zeros((10, 2, 3), np.uint8)}, r"its samples are uint8 \[2, 3\]"),
        ({"indexes": np.arange(10)[::-1]}, "its indexes do not follow one another"),
        ({"indexes": np.arange(3)}, "it has 10 samples and 3 indexes"),
        ({"seed": 8}, "the seed 8"),
        ({"content_hash": "d1" * 32}, "the content d1d1d1d1d1d1"),
    ],
)
def test_a_listed_file_with_other_samples_than_it_should_have_is_found(finished, job, change, fault):
    pins = {name: change[name] for name in ("seed", "content_hash") if name in change}
    header = SampleHeader("m", "h", 7, TensorSpec(None, (), None, None, ""), None, "")
    rows = change.get("rows", np.zeros((10, 2, 3), np.float32))
    indexes = change.get("indexes", np.arange(10))
    place = index_folder(finished, 0)
    written = write_shard(place, job(**pins), Samples(indexes, rows, header))
    right = Shard(**{**written.model_dump(), "first": 0, "count": 10, "file": "samples-000000000000.npz"})
    (place / written.file).rename(place / right.file)
    manifest = Manifest.model_validate_json((place / MANIFEST_FILE).read_bytes())
    manifest.model_copy(update={"shards": (right, *manifest.shards[1:])}).write(place)
    report = verify(finished)
    (found,) = report.faults
    assert re.search(fault, found)
    assert report.missing == [(0, 10)]


def test_a_folder_without_a_job_is_refused(tmp_path):
    with pytest.raises(BulkError, match=r"has no job\.json"):
        verify(tmp_path / "nothing")
