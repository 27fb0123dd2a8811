"""Figures as pictures."""

from collections.abc import Sequence
from math import log10
from typing import TYPE_CHECKING

from genservice.cli.pictures import grid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

COLUMNS = 8
FONT_SIZE = 12
LEAST_WIDTH = 56
INK = "black"
LINE = "#1f5fa8"
FAINT = "#cccccc"
LEAST_RATE = 1e-3


def samples_picture(examples: "NDArray[np.uint8]") -> "Image":
    """Puts pictures into rows of eight; small ones are enlarged.

    Args:
        examples: uint8 `[rows, height, width, channels]` of 1 or 3 channels.
    """
    from PIL import Image

    images = [Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels) for pixels in examples]
    scale = max(1, -(-LEAST_WIDTH // images[0].width))
    size = (images[0].width * scale, images[0].height * scale)
    return grid([image.resize(size, Image.Resampling.NEAREST) for image in images], columns=COLUMNS)


def confusion_picture(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> "Image":
    """Draws a confusion matrix: how many rows of each label, a line, were taken for each label, a column.

    Args:
        labels: Names of the lines and columns.
        confusion: The matrix.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(FONT_SIZE)
    cell = max(30, 12 + round(max(font.getlength(str(max(map(max, confusion)))), 0)))
    margin = 16 + round(max(font.getlength(label) for label in labels))
    side = margin + cell * len(labels) + 8
    picture = Image.new("RGB", (side, side), "white")
    drawing = ImageDraw.Draw(picture)
    for line, (label, counts) in enumerate(zip(labels, confusion, strict=True)):
        top = margin + cell * line
        drawing.text((margin - 8, top + cell // 2), label, fill=INK, font=font, anchor="rm")
        for column, count in enumerate(counts):
            left = margin + cell * column
            share = count / max(sum(counts), 1)
            drawing.rectangle((left, top, left + cell - 2, top + cell - 2), fill=_shade(share))
            if count:
                ink = "white" if share > 0.5 else INK
                drawing.text((left + cell // 2 - 1, top + cell // 2), str(count), fill=ink, font=font, anchor="mm")
    for column, label in enumerate(labels):
        upright = Image.new("L", (margin - 8, cell))
        ImageDraw.Draw(upright).text((0, cell // 2), label, fill=255, font=font, anchor="lm")
        turned = upright.rotate(90, expand=True)
        picture.paste(INK, (margin + cell * column, 0), turned)
    return picture


def roc_picture(points: Sequence[tuple[float, float]], auc: float) -> "Image":
    """Draws a receiver operating characteristic, false positive rates from 0.001 to 1 on a logarithmic axis.

    Args:
        points: False and true positive rates, ascending.
        auc: Area under the curve.
    """
    from PIL import Image, ImageDraw, ImageFont

    left, top, width, height = 48, 16, 360, 300
    font = ImageFont.load_default(FONT_SIZE)
    picture = Image.new("RGB", (left + width + 24, top + height + 56), "white")
    drawing = ImageDraw.Draw(picture)

    def place(false: float, true: float) -> tuple[float, float]:
        part = 1 - log10(max(false, LEAST_RATE)) / log10(LEAST_RATE)
        return left + part * width, top + (1 - true) * height

    for true in (0, 0.2, 0.4, 0.6, 0.8, 1):
        drawing.line([place(0, true), place(1, true)], fill=FAINT)
        drawing.text((left - 6, place(0, true)[1]), f"{true:g}", fill=INK, font=font, anchor="rm")
    for false in (0.001, 0.01, 0.1, 1):
        drawing.line([place(false, 0), place(false, 1)], fill=FAINT)
        drawing.text((place(false, 0)[0], top + height + 6), f"{false:g}", fill=INK, font=font, anchor="ma")
    drawing.line([place(*point) for point in points], fill=LINE, width=2)
    title = f"true positive rate by false positive rate; area {auc:.4f}"
    drawing.text((left + width // 2, top + height + 30), title, fill=INK, font=font, anchor="ma")
    return picture


def _shade(share: float) -> tuple[int, int, int]:
    """White for nothing, and the line's blue for all."""
    # The root tells few from none.
    depth = share**0.5
    red, green, blue = (round(255 + depth * (tone - 255)) for tone in (31, 95, 168))
    return red, green, blue
