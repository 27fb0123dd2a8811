"""Room for those to come, worked by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genservice.engine.flow import Flow, Priority, fair_room, most_of


def test_of_twenty_one_rows_low_gets_one_normal_four_and_high_sixteen():
    assert [priority.weight for priority in Priority] == [1, 4, 16]


def test_a_flow_is_this_process_and_normal_unless_it_is_told():
    assert (Flow().caller, Flow().share, Flow().weight, Flow().priority) == ("", "", 1.0, Priority.NORMAL)


@pytest.mark.parametrize(
    ("free", "held", "limit", "room"),
    [
        (100, 0, 1000, 50),
        (50, 50, 1000, 0),
        (60, 40, 1000, 10),
        (100, 0, 30, 30),
        (100, 20, 30, 10),
        (40, 50, 1000, 0),
        (1, 0, 1000, 1),
        (0, 0, 1000, 0),
        (1, 1, 1000, 0),
    ],
)
def test_what_a_caller_holds_is_never_more_than_what_stays_free(free, held, limit, room):
    assert fair_room(free, held, limit) == room


@pytest.mark.parametrize(("total", "limit", "most"), [(100, 1000, 50), (100, 30, 30), (1, 1000, 1)])
def test_no_caller_is_ever_given_more_than_half(total, limit, most):
    assert most_of(total, limit) == most


@given(st.integers(1, 30), st.integers(100, 10_000))
def test_callers_that_take_all_they_can_at_once_leave_room_for_one_more(callers, total):
    free = total
    for _ in range(callers):
        free -= fair_room(free, 0, total)
    assert free >= total // 2**callers


@given(st.integers(1, 9), st.integers(100, 300))
def test_callers_that_take_row_by_row_get_even_parts_and_leave_one_more(callers, total):
    held = [0] * callers
    for _ in range(total):
        for caller in range(callers):
            held[caller] += min(1, fair_room(total - sum(held), held[caller], total))
    assert all(abs(rows - total / (callers + 1)) <= 2 for rows in held)
    assert total - sum(held) >= max(held)
