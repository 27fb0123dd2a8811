import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from genservice.bulk import BulkError, Job, MixedJobError, Plan, agree
from genservice.bulk.errors import OtherBitsError
from genservice.bulk.job import JOB_FILE, read_job


@given(st.integers(1, 40), st.integers(0, 300), st.integers(1, 50))
def test_the_shards_of_all_indexes_are_all_samples_each_once(indexes, more, shard_samples):
    samples = indexes + more
    plan = Plan(asked="toy", samples=samples, seed=0, indexes=indexes, shard_samples=shard_samples)
    shards = [shard for index in range(indexes) for shard in plan.shards(index)]
    assert [sample for shard in shards for sample in shard] == list(range(samples))
    assert all(0 < len(shard) <= shard_samples for shard in shards)
    lengths = {len(plan.part(index)) for index in range(indexes)}
    assert max(lengths) - min(lengths) <= 1
    assert all(sample in plan.part(plan.index_of(sample)) for sample in range(samples))


def test_parts_are_right_where_floats_are_not(plan):
    huge = plan(samples=2**63 - 1, indexes=3)
    assert huge.part(2).stop == 2**63 - 1
    assert huge.part(1).start == huge.part(0).stop


def test_fewer_samples_than_indexes_are_refused(plan):
    with pytest.raises(ValidationError, match="2 samples are too few for 3 indexes"):
        plan(samples=2)


def test_all_indexes_agree_on_what_the_first_writes(job, tmp_path):
    # Each finds another version, as where the default moves while the job starts.
    jobs = [job(model=f"models/toy/versions/{number}") for number in range(16)]
    with ThreadPoolExecutor(16) as threads:
        agreed = list(threads.map(lambda each: agree(tmp_path / "new" / "out", each), jobs))
    assert len(set(map(str, agreed))) == 1
    assert [path.name for path in (tmp_path / "new" / "out").iterdir()] == [JOB_FILE]
    assert read_job(tmp_path / "new" / "out") == agreed[0]


def test_a_job_reads_as_it_was_written(job, tmp_path):
    options = {"label": "boot", "steps": 10, "scale": 1.0, "fast": True, "stop": ["\n"]}
    written = agree(tmp_path, job(options=options, conditions={"prompt": "HAMLET:"}, seed=2**64 - 1))
    read = read_job(tmp_path)
    assert read == written
    assert read is not None
    assert [type(value) for value in read.options.values()] == [str, int, float, bool, list]
    assert read.digest == written.digest


@pytest.mark.parametrize(
    ("field", "value"),
    [("samples", 101), ("seed", 8), ("indexes", 4), ("shard_samples", 11), ("options", {"label": 1}), ("asked", "x")],
)
def test_another_plan_in_the_same_folder_is_refused(job, plan, tmp_path, field, value):
    there = agree(tmp_path, job())
    with pytest.raises(MixedJobError, match=f"has a job with {field.replace('asked', 'model')} .* is asked for"):
        there.check_plan(plan(**{field: value}), tmp_path)
    with pytest.raises(MixedJobError):
        agree(tmp_path, job(**{field: value}))
    assert read_job(tmp_path) == there


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"samples": 3}', "nul"])
def test_a_damaged_job_is_named(tmp_path, job, content):
    if content == "nul":
        content = json.dumps({**job().model_dump(), "seed": -1}).encode()
    (tmp_path / JOB_FILE).write_bytes(content)
    with pytest.raises(BulkError, match=r"job\.json is damaged: ") as raised:
        read_job(tmp_path)
    assert "\n" not in raised.value.message


def test_a_folder_without_a_job_has_none(tmp_path):
    assert read_job(tmp_path / "nothing") is None


def test_a_place_that_cannot_be_written_is_named(job, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BulkError, match="out cannot be written: Not a directory"):
        agree(tmp_path / "file" / "out", job())


def test_other_bits_matter_only_to_a_job_that_promises_them(job):
    bitwise: Job = job()
    with pytest.raises(OtherBitsError, match="the bits of 'n'"):
        bitwise.check_version(bitwise.model, bitwise.content_hash, "other")
    same_draws = job(determinism="SAME_DRAWS", numerics="")
    same_draws.check_version(same_draws.model, same_draws.content_hash, "other")
