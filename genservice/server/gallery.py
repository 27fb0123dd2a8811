"""Galleries: embeddings of entries that a request brings with it, each with a name."""

import asyncio
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genservice.errors import InvalidRequest
from genservice.server import convert
from genservice.v1 import classification_pb2 as pb

BLOCK_ELEMENTS = 1 << 20
"""Squared distances that are computed at once, 8 MiB: whoever cancels waits for one block at most."""
LIGHT_PRODUCTS = 1 << 18
"""Products of elements up to which a search is faster done than given to a thread."""
HELD_FORMS = 3
"""A gallery is held as float32, and once more as float64."""


def gallery_of(request: pb.IdentifyRequest) -> NDArray[np.float32]:
    """Reads the gallery of a request, `[entries, dimensions]`.

    Raises:
        InvalidRequest: It is empty or not well formed, or its names are not as many.
    """
    if not request.HasField("gallery") or not request.names:
        raise InvalidRequest("`gallery` is empty: enrol at least one entry, with its name.", field="gallery")
    gallery = convert.tensor_rows(request.gallery, "gallery")
    if gallery.dtype != np.float32 or gallery.ndim != 2 or not np.isfinite(gallery).all():
        raise InvalidRequest("`gallery` takes float32 `[entries, dimensions]` of finite numbers.", field="gallery")
    if len(gallery) != len(request.names):
        raise InvalidRequest(f"`names` has {len(request.names)} names for {len(gallery)} entries.", field="names")
    if not all(request.names):
        raise InvalidRequest("`names` has an empty name.", field="names")
    return gallery


async def nearest(rows: NDArray[Any], gallery: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The nearest entry of each row, and its Euclidean distance.

    Args:
        rows: float32 `[rows, dimensions]`.
        gallery: float32 `[entries, dimensions]`.

    Returns:
        Places int64 `[rows]`, the first of several that are equally near; distances float32 `[rows]`.
    """
    if len(rows) * gallery.size <= LIGHT_PRODUCTS:
        return _nearest(rows, *_doubled(gallery))
    doubled = await asyncio.to_thread(_doubled, gallery)
    step = max(1, BLOCK_ELEMENTS // len(gallery))
    blocks = [
        await asyncio.to_thread(_nearest, rows[start : start + step], *doubled) for start in range(0, len(rows), step)
    ]
    return np.concatenate([places for places, _ in blocks]), np.concatenate([distances for _, distances in blocks])


def _doubled(gallery: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The gallery in float64, and the squared length of each entry."""
    entries = gallery.astype(np.float64)
    return entries, np.einsum("ed,ed->e", entries, entries)


def _nearest(
    rows: NDArray[Any], entries: NDArray[np.float64], squares: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    # |r - e|^2 = |r|^2 + |e|^2 - 2 r·e, for one product of matrices in place of a pass over the gallery for each row.
    doubled = rows.astype(np.float64)
    apart = squares - 2 * doubled @ entries.T
    # Entries that are equal differ by the last bits of that product; which is the first does not depend on them.
    slack = 1e-12 * (np.einsum("rd,rd->r", doubled, doubled) + squares.max())
    places = np.argmax(apart <= (apart.min(axis=1) + slack)[:, None], axis=1)
    distances: NDArray[np.float32] = np.linalg.norm(doubled - entries[places], axis=1).astype(np.float32)
    return places, distances
