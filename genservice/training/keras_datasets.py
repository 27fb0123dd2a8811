"""Data sets that Keras downloads."""

from typing import Any

from genservice.errors import DataError


def download(name: str) -> Any:
    """Downloads with `keras.datasets`, into Keras's own cache too.

    Args:
        name: Of a module of `keras.datasets`, such as `mnist`.

    Returns:
        Two pairs of inputs and labels, NumPy arrays: what is trained on, and what is held out.

    Raises:
        DataError: Keras is not installed, or there is no way to the internet.
    """
    try:
        import keras

        return getattr(keras.datasets, name).load_data()
    except Exception as failure:  # Keras raises a bare Exception where a download fails.
        raise DataError(f"keras.datasets: {failure}") from failure
