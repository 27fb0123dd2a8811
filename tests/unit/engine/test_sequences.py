import numpy as np
import pytest

from genservice import Tagger, TensorSpec
from genservice.engine.sequences import pad, pad_labellings
from genservice.errors import InvalidRequest, OutOfRange


class Marks(Tagger):
    family = "marks"
    event = TensorSpec((2,), minimum=0, maximum=9)
    labels = ("low", "high")
    positions = 4

    def load(self, directory):
        pass

    def tag(self, sequences, options):
        raise NotImplementedError


MODEL = Marks({})


def ramp(positions):
    return np.arange(2 * positions, dtype=np.float32).reshape(positions, 2)


def test_sequences_are_padded_by_their_last_position():
    inputs = pad(MODEL, [ramp(2), ramp(4)])
    assert inputs["lengths"].tolist() == [2, 4]
    assert inputs["lengths"].dtype == np.int32
    assert inputs["inputs"][0].tolist() == [[0, 1], [2, 3], [2, 3], [2, 3]]
    np.testing.assert_array_equal(inputs["inputs"][1], ramp(4))


@pytest.mark.parametrize(
    ("sequences", "error", "field"),
    [
        ([], InvalidRequest, "sequences"),
        ([ramp(1), ramp(0)], InvalidRequest, "sequences[1]"),
        ([ramp(5)], OutOfRange, "sequences[0]"),
        ([ramp(2) + 9], OutOfRange, "sequences[0]"),
        ([ramp(2)[:, :1]], InvalidRequest, "sequences[0]"),
        ([ramp(2).astype(np.float64)], InvalidRequest, "sequences[0]"),
        ([["a", "b"]], InvalidRequest, "sequences[0]"),
    ],
)
def test_a_sequence_that_does_not_fit_is_refused_by_its_place(sequences, error, field):
    with pytest.raises(error) as raised:
        pad(MODEL, sequences)
    assert raised.value.field == field


def test_labellings_become_places_padded_as_the_sequences_are():
    labels = pad_labellings(MODEL, [["low", "high"], ["high"]], np.array([2, 1], np.int32))
    assert labels.tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]
    assert labels.dtype == np.int32
