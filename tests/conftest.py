"""What tests of several kinds need."""

import pytest


@pytest.fixture(scope="session")
def details_of():
    """Reads the details of a `google.rpc.Status` that are of one type."""
    return lambda status, kind: [kind.FromString(each.value) for each in status.details if each.Is(kind.DESCRIPTOR)]
