"""The demo's pictures: a row of samples for each label, with a mark where the judge sees another; and all models."""

from collections.abc import Sequence
from textwrap import wrap

from PIL import Image, ImageDraw, ImageFont

from genservice.cli.demo_calls import ModelCall
from genservice.cli.demo_run import Outcome
from genservice.cli.pictures import GAP, grid

SCALE = 2
NAME_WIDTH = 90
FONT_SIZE = 14
MARK = "#d62728"
PANEL = (300, 132)
PANELS_BESIDE = 4
PICTURE_HEIGHT = 56
LINE_HEIGHT = 17
MOST_LINES = 3
LETTERS_A_LINE = 40


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


def contact_sheet(calls: Sequence[ModelCall]) -> Image.Image:
    """Draws a panel for each model: what it drew or was shown, and what it answered.

    Args:
        calls: At least one.
    """
    return grid([_panel(call) for call in calls], columns=PANELS_BESIDE, background="#cccccc")


def _panel(call: ModelCall) -> Image.Image:
    panel = Image.new("RGB", PANEL, "white")
    drawing = ImageDraw.Draw(panel)
    font, small = ImageFont.load_default(FONT_SIZE), ImageFont.load_default(FONT_SIZE - 2)
    drawing.text((6, 4), call.name, fill="black", font=font)
    left, top = 6, 26
    for picture in call.pictures:
        width = round(picture.width * PICTURE_HEIGHT / picture.height)
        if left + width > PANEL[0]:
            break
        panel.paste(picture.resize((width, PICTURE_HEIGHT), Image.Resampling.NEAREST), (left, top))
        left += width + GAP
    top += PICTURE_HEIGHT + 4 if call.pictures else 0
    answer = " ".join(call.text.split()) or call.answer
    room = min(MOST_LINES, (PANEL[1] - top) // LINE_HEIGHT) if call.pictures else (PANEL[1] - top) // LINE_HEIGHT
    for line in wrap(answer, LETTERS_A_LINE)[:room]:
        drawing.text((6, top), line, fill="black" if call.ok else MARK, font=small)
        top += LINE_HEIGHT
    return panel
