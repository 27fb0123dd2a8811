"""Samples as files: one picture of all, arrays, or a folder with a picture each."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from genservice.cli.pictures import grid

if TYPE_CHECKING:
    from PIL.Image import Image

    from genservice_client import SampleChunk

MOST_IN_A_GRID = 10_000


def write_samples(chunks: "Iterable[SampleChunk]", path: Path, sample_count: int) -> None:
    """Writes samples in the form that the path's suffix tells.

    Args:
        chunks: The samples as they come.
        path: `.png`: one picture of all; `.npz`: arrays; else a folder, with a file each that is named by the index.
        sample_count: How many come.

    Raises:
        ValueError: They are too many for one picture, or are no pictures.
        TypeError: They are neither numbers nor pictures.
        OSError: The files cannot be written.
    """
    match path.suffix:
        case ".png":
            if sample_count > MOST_IN_A_GRID:
                raise ValueError(f"one picture holds {MOST_IN_A_GRID} samples at most; write a folder or .npz")
            pictures = [picture for chunk in chunks for picture in chunk.images()]
            _make_parent(path)
            grid(pictures, background="black").save(path)
        case ".npz":
            _write_arrays(chunks, path)
        case _:
            path.mkdir(parents=True, exist_ok=True)
            for index, picture in _pictures(chunks):
                picture.save(path / f"{index:06}.png")


def _pictures(chunks: "Iterable[SampleChunk]") -> "Iterator[tuple[int, Image]]":
    for chunk in chunks:
        yield from zip(chunk.indexes.tolist(), chunk.images(), strict=True)


def _write_arrays(chunks: "Iterable[SampleChunk]", path: Path) -> None:
    import numpy as np

    kept = list(chunks)
    _make_parent(path)
    np.savez_compressed(
        path,
        samples=np.concatenate([chunk.to_numpy() for chunk in kept]),
        indexes=np.concatenate([chunk.indexes for chunk in kept]),
        seed=np.uint64(kept[0].header.seed),
        model=np.array(kept[0].header.model),
    )


def _make_parent(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
