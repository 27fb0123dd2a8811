"""The demo's picture: a row for each label, and a mark where the judge sees another."""

from PIL import Image, ImageDraw, ImageFont

from genservice.cli.demo_run import Outcome
from genservice.cli.pictures import GAP, grid

SCALE = 2
NAME_WIDTH = 90
FONT_SIZE = 14
MARK = "#d62728"


def sheet(outcome: Outcome) -> Image.Image:
    """Draws the samples, with the label that was asked for before each row.

    Args:
        outcome: What the demo drew; as many samples of each label.
    """
    labels = outcome.by_label()
    columns = len(outcome.drawn) // len(labels)
    pictures = [
        sample.picture.convert("RGB").resize(
            (sample.picture.width * SCALE, sample.picture.height * SCALE), Image.Resampling.NEAREST
        )
        for sample in outcome.drawn
    ]
    width, height = (extent + GAP for extent in pictures[0].size)
    drawing = ImageDraw.Draw(whole := grid(pictures, columns=columns, left=NAME_WIDTH))
    font = ImageFont.load_default(FONT_SIZE)
    for row, (label, drawn) in enumerate(labels.items()):
        drawing.text((GAP * 3, row * height + height // 2), label, fill="black", font=font, anchor="lm")
        for column, sample in enumerate(drawn):
            if sample.named != label:
                left, top = NAME_WIDTH + column * width, row * height
                drawing.rectangle((left, top, left + width + 1, top + height + 1), outline=MARK, width=GAP)
    return whole
