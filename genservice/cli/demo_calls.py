"""One call of each model, with an input that suits it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from genservice.cli.connection import picture_form
from genservice_client import Client, GenserviceClientError, TensorSpec, VersionInfo

SEED = 1
SENTENCE = ("Bu", "kitap", "çok", "güzel", ".")
"""For models that tag words."""
WORD = "generate"
"""For models that read letters."""
MOST_NAMED = 3
_GLYPH_SCALE = 4
"""Glyphs are drawn larger and scaled down, which smooths their edges."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of a model.

    Args:
        name: Name of the model.
        family: Its family.
        kind: `generator`, `classifier`, or the first verb that it has.
        ok: Whether it answered.
        seconds: How long that took.
        answer: What it answered, in a line.
        text: What it answered, where that is a text.
        pictures: What it drew, or was shown.
    """

    name: str
    family: str
    kind: str
    ok: bool
    seconds: float
    answer: str = ""
    text: str = ""
    pictures: Sequence[Image.Image] = field(default=(), repr=False)

    def row(self) -> dict[str, Any]:
        """What the report says."""
        return {name: getattr(self, name) for name in ("name", "family", "kind", "ok", "seconds", "answer", "text")}


def call_once(client: Client, version: VersionInfo, samples: Mapping[str, NDArray[Any]]) -> ModelCall:
    """Calls the first verb that a version has.

    Args:
        client: Connected to its server.
        version: What answers.
        samples: Samples of generators, by model: the best inputs for a model that takes such.

    Returns:
        The call; one that failed has the reason as its answer.
    """
    kind = {"sample": "generator", "classify": "classifier", "tag": "tagger"}.get(_first(version), _first(version))
    inputs = _inputs(version, samples)
    started = perf_counter()
    ok, text = True, ""
    pictures: Sequence[Image.Image] = _pictures(inputs, version.event)
    try:
        answer, drawn = _answer(client, version, inputs)
        if isinstance(drawn, str):
            text = drawn
        elif drawn is not None:
            pictures = drawn
    except GenserviceClientError as error:
        ok, answer = False, str(error)
    name = version.name.removeprefix("models/").partition("/")[0]
    return ModelCall(name, version.family, kind, ok, perf_counter() - started, answer, text, pictures)


def _first(version: VersionInfo) -> str:
    """The verb that a version is shown by."""
    shown = ("sample", "tag", "classify", "compare", "neighbours")
    return next((verb for verb in shown if verb in version.verbs), version.verbs[0] if version.verbs else "")


def _answer(client: Client, version: VersionInfo, inputs: Any) -> tuple[str, Any]:
    """What a version answers, in a line, and what it drew."""
    name = version.name
    match _first(version):
        case "sample":
            return _draw(client, version)
        case "tag":
            (tagging,) = client.tag(name, [inputs])
            return " ".join(map("{}/{}".format, inputs, tagging.labels)) if isinstance(inputs, list) else "".join(
                tagging.labels
            ), None
        case "classify":
            (ranked,) = client.classify(name, inputs).top(1)
            (best,) = ranked
            return f"{best[0]} {best[1]:.0%}", None
        case "compare":
            (distance,) = (compared := client.compare(name, inputs, inputs[:, :, ::-1])).distances
            return f"mirrored: {distance:.2f} apart; the same below {compared.threshold:.2f}", None
        case "neighbours":
            return f"nearest: {client.neighbours(name, inputs, 1).indexes[0, 0]}", None
        case "predict":
            signature = version.signatures[version.default_signature]
            given = {key: _middle(spec) for key, spec in signature.inputs.items()}
            return ", ".join(client.predict(name, given)), None
        case "score":
            return f"{client.score(name, inputs).log_prob[0]:.1f} nats", None
        case "embed":
            return f"{client.embed(name, inputs).shape[1]} dimensions", None
        case "encode":
            return f"{client.encode(name, inputs).shape[1:]}", None
    return "it can do nothing that this release knows", None


def _draw(client: Client, version: VersionInfo) -> tuple[str, Any]:
    conditions = {name: _middle(spec) for name, spec in version.conditions.items() if not spec.optional}
    event = version.event
    assert event is not None, "what samples has one"
    count = 1 if event.dtype is None else MOST_NAMED
    form = picture_form(version)
    drawn = client.sample(version.name, count, seed=SEED, conditions=conditions, output=form).all()
    if event.dtype is None:
        (text,) = drawn.texts()
        return f"{len(text)} characters", text
    if form is not None or _is_picture(event):
        return f"{count} pictures", drawn.images()
    rows = drawn.to_numpy()
    return ", ".join(f"{number:.2f}" for number in rows[0].ravel()[:4].tolist()), None


def _inputs(version: VersionInfo, samples: Mapping[str, NDArray[Any]]) -> Any:
    """An input of a version: a sequence, or one row."""
    event = version.event
    if event is None:
        return []
    if "tag" in version.verbs:
        return list(SENTENCE) if event.dtype is None else np.stack([_glyph(letter, event) for letter in WORD])
    if event.dtype is None:
        return [""]
    alike = [rows[:1] for rows in samples.values() if rows.shape[1:] == event.shape and rows.dtype == event.dtype]
    one_letter = [label for label in version.labels if len(label) == 1]
    if one_letter and len(event.shape) == 3:
        return _glyph(one_letter[len(one_letter) // 2], event)[None]
    return alike[0] if alike and _is_picture(event) else _middle(event)


def _middle(spec: TensorSpec) -> Any:
    """A row in the middle of its range."""
    if spec.dtype is None:
        return [""]
    middle = 0.0 if spec.minimum is None or spec.maximum is None else (spec.minimum + spec.maximum) / 2
    return np.full((1, *(max(extent, 1) for extent in spec.shape)), middle, spec.dtype)


def _glyph(letter: str, event: TensorSpec) -> NDArray[Any]:
    """A letter or digit as a picture, light on dark."""
    height, width = event.shape[:2]
    large = Image.new("L", (width * _GLYPH_SCALE, height * _GLYPH_SCALE))
    font = ImageFont.load_default(_GLYPH_SCALE * height * 0.8)
    ImageDraw.Draw(large).text((large.width / 2, large.height / 2), letter, fill=255, font=font, anchor="mm")
    light = np.asarray(large.resize((width, height), Image.Resampling.BOX), np.float32) / 255
    low, high = (0.0, 1.0) if event.minimum is None or event.maximum is None else (event.minimum, event.maximum)
    pixels = (light > 1 / 2) if len(event.shape) == 2 else light
    return (pixels * (high - low) + low).reshape(event.shape).astype(event.dtype)


def _is_picture(event: TensorSpec) -> bool:
    return len(event.shape) == 3 and event.shape[-1] in (1, 3) and event.minimum is not None


def _pictures(rows: Any, event: TensorSpec | None) -> list[Image.Image]:
    """Rows as pictures, where they are such."""
    if isinstance(rows, list) or event is None or event.minimum is None or event.maximum is None:
        return []
    if not (_is_picture(event) or (len(event.shape) == 2 and min(event.shape) > 1)):
        return []
    light = (np.asarray(rows, np.float32) - event.minimum) / (event.maximum - event.minimum) * 255
    pixels = light.round().clip(0, 255).astype(np.uint8)
    return [Image.fromarray(row.squeeze(-1) if row.shape[-1] == 1 else row) for row in pixels]
