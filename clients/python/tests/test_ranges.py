import pytest
from hypothesis import given
from hypothesis import strategies as st

from genservice_client.ranges import IndexRanges

spans = st.tuples(st.integers(0, 40), st.integers(1, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def flat(ranges):
    return [index for start, end in ranges for index in range(start, end)]


@given(st.lists(spans), spans)
def test_it_is_a_set(added, window):
    ranges, model = IndexRanges(), set()
    for start, end in added:
        fresh = ranges.add(start, end)
        assert flat(fresh) == sorted(set(range(start, end)) - model)
        model |= set(range(start, end))
    assert flat(ranges) == sorted(model)
    assert len(ranges) == len(model)
    assert flat(ranges.missing(*window)) == sorted(set(range(*window)) - model)


@given(st.lists(spans))
def test_ranges_are_disjoint_ascending_and_joined(added):
    ranges = IndexRanges()
    for span in added:
        ranges.add(*span)
    bounds = [bound for span in ranges for bound in span]
    assert bounds == sorted(set(bounds))


def test_an_empty_range_is_refused():
    with pytest.raises(ValueError, match="empty"):
        IndexRanges().add(3, 3)
    with pytest.raises(ValueError, match="empty"):
        IndexRanges().missing(3, 2)


def test_its_size_does_not_depend_on_how_far_it_reaches():
    ranges = IndexRanges()
    ranges.add(0, 2**62)
    assert ranges.missing(0, 2**62 + 5) == [(2**62, 2**62 + 5)]
    assert repr(ranges) == f"IndexRanges([0, {2**62}))"
