"""Samples as files: one picture of all, arrays, texts, or a folder with a file each."""

import json
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from genservice.cli.pictures import grid

if TYPE_CHECKING:
    from genservice_client import SampleChunk

MOST_IN_A_GRID = 10_000
DEFAULT_PICTURE = Path("samples.png")


def show_samples(chunks: "Iterable[SampleChunk]", sample_count: int) -> list[str]:
    """Writes pictures as one, and gives texts back to be printed.

    Args:
        chunks: The samples as they come.
        sample_count: How many come.

    Raises:
        ValueError: They are too many for one picture, or are no pictures.
        OSError: The picture cannot be written.
    """
    coming = iter(chunks)
    first = next(coming)
    if first.header.spec.dtype is None:
        return [text for chunk in (first, *coming) for text in chunk.texts()]
    return write_samples(chain([first], coming), DEFAULT_PICTURE, sample_count)


def write_samples(chunks: "Iterable[SampleChunk]", path: Path, sample_count: int) -> list[str]:
    """Writes samples in the form that the path's suffix tells.

    Args:
        chunks: The samples as they come.
        path: `.png`: one picture of all; `.npz`: arrays; `.jsonl`: texts, an object a line; else a folder, with a file
            each that is named by the index.
        sample_count: How many come.

    Returns:
        What is left to be printed: nothing.

    Raises:
        ValueError: They are too many for one picture, or are no pictures.
        TypeError: They are not of the form that the path asks for.
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
        case ".jsonl":
            _make_parent(path)
            with path.open("w") as file:
                for chunk in chunks:
                    for index, text in zip(chunk.indexes.tolist(), chunk.texts(), strict=True):
                        file.write(json.dumps({"index": index, "text": text}) + "\n")
        case _:
            path.mkdir(parents=True, exist_ok=True)
            for chunk in chunks:
                _write_each(chunk, path)
    return []


def _write_each(chunk: "SampleChunk", folder: Path) -> None:
    if chunk.header.spec.dtype is None:
        for index, text in zip(chunk.indexes.tolist(), chunk.texts(), strict=True):
            (folder / f"{index:06}.txt").write_text(text)
        return
    for index, picture in zip(chunk.indexes.tolist(), chunk.images(), strict=True):
        picture.save(folder / f"{index:06}.png")


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
