"""Other servers, for comparison: each in a virtual environment of its own, outside of this repository."""
