"""The verbs of discriminative models in a real child process: what they give equals what they give inline."""

import numpy as np
import pytest
from verb_toys import Pictures, SumOptions, Sums, file_of, grey

from genservice.engine.call import Call, Output, Slice
from genservice.errors import InvalidRequest
from genservice.model.options import Options


def call(verb, rows, **inputs):
    options = SumOptions() if verb.startswith("predict") else Options()
    return Slice(Call(verb, rows, options, inputs), 0, rows)


def one(value):
    return file_of(np.full((4, 3), value))


def pictures(*means):
    return np.stack(grey(*means))


async def results_of(replicas, batch):
    """What both give, which is the same."""
    there, here = [await replica.run(batch) for replica in replicas]
    assert len(there) == len(here) == len(batch)
    for ours, theirs in zip(there, here, strict=True):
        if isinstance(theirs, InvalidRequest):
            assert (type(ours), ours.message, ours.field) == (type(theirs), theirs.message, theirs.field)
            continue
        assert list(ours) == list(theirs)
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name])
            assert not isinstance(ours[name], np.ndarray) or ours[name].dtype == theirs[name].dtype
    return there


async def test_every_new_verb_is_warm_and_its_rows_have_the_size_that_they_have_inline(both, toys):
    for kind in (Pictures, toys.Words, Sums, toys.Redrawn):
        replicas = await both(kind)
        for replica in replicas:
            await replica.warm_up()
        assert replicas[0].answer_row_bytes == replicas[1].answer_row_bytes
        assert 0 not in replicas[0].answer_row_bytes.values()


@pytest.mark.parametrize("k", [1, 3, 7])
async def test_neighbours_are_as_many_as_were_asked_for_however_the_rows_go_together(both, toys, k):
    replicas = await both(Pictures)
    number = np.array([k], np.int32)
    batch = [call("neighbours", 1, inputs=pictures(mean), k=number) for mean in (0, 0.6, -0.6)]
    batch.append(call("neighbours", 3, inputs=pictures(1, -1, 0.2), k=number))
    results = await results_of(replicas, batch)
    assert [each["indexes"].shape for each in results] == [(1, k)] * 3 + [(3, k)]
    assert [each["indexes"][0, 0] for each in results] == [3, 5, 1, 6]


async def test_a_part_of_a_call_has_its_number_of_neighbours(both, toys):
    whole = Call("neighbours", 5, Options(), {"inputs": pictures(0, 0.3, 0.6, 0.9, -1), "k": np.array([2], np.int32)})
    results = await results_of(await both(Pictures), [Slice(whole, 1, 4)])
    assert results[0]["indexes"].tolist() == [[4, 3], [5, 4], [6, 5]]


async def test_image_files_are_decoded_there_and_share_a_batch_with_arrays(both, toys):
    batch = [
        call("embed", 2, inputs=[one(0), one(255)]),
        call("embed", 1, inputs=pictures(0.5)),
        call("embed", 1, inputs=[one(255)]),
    ]
    results = await results_of(await both(Pictures), batch)
    np.testing.assert_allclose([row[0] for each in results for row in each["embeddings"]], [-1, 1, 0.5, 1])


async def test_a_bad_file_is_its_own_requests_fault_and_the_rest_of_the_batch_runs_once(both, toys, monkeypatch):
    replicas = await both(Pictures)
    runs = []
    embed = Pictures.embed
    monkeypatch.setattr(Pictures, "embed", lambda *given: runs.append(given) or embed(*given))
    whole = Call("embed", 6, Options(), {"inputs": [one(0)] * 4 + [b"no picture", one(0)]})
    batch = [
        call("embed", 1, inputs=[one(255)]),
        Slice(whole, 3, 6),
        call("embed", 1, inputs=[file_of(np.zeros((5, 5)))]),
        call("embed", 1, inputs=pictures(0)),
    ]
    first, broken, other, last = await results_of(replicas, batch)
    assert first["embeddings"][0, 0] == 1
    assert last["embeddings"][0, 0] == 0
    assert "row 4" in broken.message
    assert "5 by 5" in other.message
    assert broken.field == other.field == "inputs"
    assert len(runs) == 1


async def test_a_batch_of_bad_files_alone_runs_nothing(both, toys):
    results = await results_of(await both(Pictures), [call("embed", 1, inputs=[b"x"]) for _ in range(2)])
    assert all(isinstance(each, InvalidRequest) for each in results)


async def test_a_bad_file_of_a_draw_is_told_by_the_path_of_its_condition(both, toys):
    replicas = await both(toys.Redrawn)
    shared = Call("sample", 3, Options(), {"picture": [b"x"]}, first_index=20)
    one_each = Call("sample", 3, Options(), {"picture": [one(0), b"x", one(0)]}, first_index=20)
    fine = Call("sample", 3, Options(), {"picture": [one(0)]}, first_index=20)
    batch = [Slice(shared, 1, 3), Slice(one_each, 1, 3), Slice(fine, 1, 3)]
    first, second, drawn = await results_of(replicas, batch)
    assert first.field == second.field == "conditions.picture"
    assert "`conditions.picture`, row 0" in first.message
    assert "`conditions.picture`, sample 21" in second.message
    assert drawn["samples"].shape == (2, 4, 3, 1)


async def test_sequences_are_tagged_and_scored(both, toys):
    replicas = await both(toys.Words)
    values = np.random.default_rng(0).random((4, 5, 1), np.float32)
    lengths = np.array([1, 5, 3, 2], np.int32)
    tagged = await results_of(
        replicas,
        [call("tag", 2, inputs=values[part], lengths=lengths[part]) for part in (slice(0, 2), slice(2, 4))],
    )
    assert tagged[0]["marginals"].shape == (2, 5, 2)
    assert not tagged[0]["marginals"][0, 1:].any()
    labels = np.zeros((4, 5), np.int32)
    (scored,) = await results_of(replicas, [call("score", 4, inputs=values, lengths=lengths, labels=labels)])
    assert scored["log_prob"].shape == (4,)


async def test_signatures_are_called_by_their_names(both, toys):
    replicas = await both(Sums)
    a = np.arange(6, dtype=np.float32).reshape(3, 2)
    (added,) = await results_of(replicas, [call("predict:add", 3, a=a, b=np.array([10, 20, 30], np.float32))])
    assert added["sum"].tolist() == [[10, 11], [22, 23], [34, 35]]
    counted = await results_of(replicas, [call("predict:count", 1, a=a[row : row + 1]) for row in range(3)])
    assert [each["n"].tolist() for each in counted] == [[2]] * 3
    np.testing.assert_array_equal(np.concatenate([each["copy"] for each in counted]), a)


@pytest.mark.parametrize("form", [Output("uint8", with_event=True), Output(media_type="image/png", with_event=True)])
async def test_samples_of_a_form_come_with_the_event_where_that_is_asked_for(both, toys, form):
    replicas = await both(toys.Image)
    plain = Call("sample", 4, Options(), {}, seed=3)
    (bare,) = await results_of(replicas, [Slice(plain, 0, 4)])
    formed = Call("sample", 4, Options(), {}, seed=3, output=form)
    (both_forms,) = await results_of(replicas, [Slice(formed, 0, 4)])
    assert sorted(both_forms) == ["event", "samples"]
    np.testing.assert_array_equal(both_forms["event"], bare["samples"])
