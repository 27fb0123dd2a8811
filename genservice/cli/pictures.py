"""Many pictures in one."""

from collections.abc import Sequence
from math import ceil, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

GAP = 2
"""Pixels between two pictures."""


def grid(pictures: "Sequence[Image]", *, columns: int = 0, left: int = 0, background: str = "white") -> "Image":
    """Puts pictures of one size into rows.

    Args:
        pictures: At least one.
        columns: Pictures in a row; 0: as many as there are rows, about.
        left: Pixels that are left free at the left.
        background: Colour between the pictures.
    """
    from PIL import Image

    columns = columns or ceil(sqrt(len(pictures)))
    rows = ceil(len(pictures) / columns)
    width, height = (extent + GAP for extent in pictures[0].size)
    mode = "RGB" if any(picture.mode != "L" for picture in pictures) else "L"
    sheet = Image.new(mode, (left + columns * width + GAP, rows * height + GAP), background)
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        sheet.paste(picture, (left + column * width + GAP, row * height + GAP))
    return sheet
