import numpy as np
import pytest

from genservice.bulk import BulkError, MixedJobError, agree, run_index
from genservice.bulk.shards import MANIFEST_FILE, index_folder


class Lines(list):
    def __call__(self, line):
        self.append(line)


@pytest.fixture
def lines():
    return Lines()


def load(folder):
    """The samples of a folder, and their indexes."""
    files = [np.load(path) for path in sorted(folder.rglob("*.npz"))]
    with_indexes = [(file["indexes"], file["samples"], int(file["seed"]), str(file["model"])) for file in files]
    for file in files:
        file.close()
    indexes, samples, seeds, models = zip(*with_indexes, strict=True)
    assert (set(seeds), set(models)) == ({7}, {"models/toy/versions/1"})
    return np.concatenate(indexes), np.concatenate(samples)


def test_all_indexes_together_make_one_stream(finished, samples_of):
    indexes, samples = load(finished)
    np.testing.assert_array_equal(indexes, np.arange(100))
    np.testing.assert_array_equal(samples, samples_of(7, range(100)))
    # The parts begin at 0, 33 and 66, and a file has 10 samples at most.
    assert [path.name for path in sorted(finished.rglob("*.npz"))][3:5] == [
        "samples-000000000030.npz",
        "samples-000000000033.npz",
    ]


def test_an_index_draws_its_part_by_one_stream(service, job, tmp_path, lines):
    made = run_index(service, job(), 1, tmp_path, lines)
    assert service.asked == [(33, 66)]
    assert (made.kept, made.drawn) == (0, 33)
    assert len(lines) == 4
    assert lines[-1].startswith(f"index 1: 33 of 33 samples, {tmp_path}/index-00001/samples-000000000063.npz, ")


def test_an_index_that_failed_goes_on_behind_its_last_whole_file(service, replica, job, tmp_path, lines, samples_of):
    service.replicas[0].breaks_after = 21
    with pytest.raises(ConnectionError):
        run_index(service, job(), 0, tmp_path, lines)
    service.replicas[0].breaks_after = None
    made = run_index(service, job(), 0, tmp_path, lines)
    assert service.asked == [(0, 33), (20, 33)]
    assert (made.kept, made.drawn) == (20, 13)
    np.testing.assert_array_equal(load(tmp_path)[1], samples_of(7, range(33)))


def test_a_finished_index_asks_for_nothing(service, finished, job, lines):
    service.asked.clear()
    made = run_index(service, job(), 2, finished, lines)
    assert not service.asked
    assert (made.kept, made.drawn) == (34, 0)


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_files_that_are_not_whole_are_drawn_again_and_no_others(service, finished, job, lines, samples_of, damage):
    for first in (10, 30):
        path = index_folder(finished, 0) / f"samples-{first:012}.npz"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.unlink() if damage == "gone" else path.write_bytes(content[: 100 if damage == "cut" else None])
    service.asked.clear()
    run_index(service, job(), 0, finished, lines)
    assert service.asked == [(10, 20), (30, 33)]
    assert sum("is drawn again" in line for line in lines) == 2
    np.testing.assert_array_equal(load(finished)[1], samples_of(7, range(100)))


def test_a_file_that_was_not_listed_yet_is_drawn_again(service, finished, job, lines):
    # As where the process was killed between the two.
    (index_folder(finished, 0) / MANIFEST_FILE).unlink()
    service.asked.clear()
    run_index(service, job(), 0, finished, lines)
    assert service.asked == [(0, 33)]


def test_a_damaged_manifest_is_told_and_made_again(service, finished, job, lines):
    (index_folder(finished, 0) / MANIFEST_FILE).write_bytes(b"{")
    run_index(service, job(), 0, finished, lines)
    assert "manifest.json is damaged" in lines[0]
    assert run_index(service, job(), 0, finished, lines).drawn == 0


def test_a_folder_of_another_job_is_left_alone(service, finished, job, lines):
    before = load(finished)[1]
    service.asked.clear()
    with pytest.raises(MixedJobError, match="belongs to another job"):
        run_index(service, job(options={"label": 1}), 0, finished, lines)
    assert not service.asked
    np.testing.assert_array_equal(load(finished)[1], before)


@pytest.mark.parametrize("other", [{"content_hash": "d1" * 32}, {"numerics": "m"}])
def test_a_replica_with_something_else_is_passed_over(service, replica, job, tmp_path, lines, samples_of, other):
    service.replicas.insert(0, replica(**other))
    run_index(service, job(), 0, tmp_path, lines)
    np.testing.assert_array_equal(load(tmp_path)[1], samples_of(7, range(33)))


def test_a_service_with_another_content_is_refused(service, replica, job, tmp_path, lines):
    service.replicas[:] = [replica(content_hash="d1" * 32)]
    with pytest.raises(MixedJobError, match=r"with the content c0c0c0c0c0c0, and the service .* d1d1d1d1d1d1"):
        run_index(service, job(), 0, tmp_path, lines)
    assert not list(tmp_path.rglob("*.npz"))


def test_two_processes_do_not_make_one_index(service, job, tmp_path, lines):
    made = agree(tmp_path, job())

    def tell(line):
        with pytest.raises(BulkError, match="index-00000 is being written by another process"):
            run_index(service, made, 0, tmp_path, lines)
        lines.append(line)

    run_index(service, made, 0, tmp_path, tell)
    assert len(lines) == 4


def test_texts_are_kept_as_texts(service, job, tmp_path, lines):
    service.texts = True
    run_index(service, job(dtype="str", shape=()), 0, tmp_path, lines)
    indexes, texts = load(tmp_path)
    assert texts.tolist() == [f"7: {index}" for index in indexes]
