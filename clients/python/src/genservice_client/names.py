"""Names of models."""

import re

_FULL = re.compile(r"models/[^/]+(/(versions|labels)/[^/]+)?")
_SHORT = re.compile(r"(?P<model>[^/@:]+)(@(?P<version>[0-9]+)|:(?P<label>[^/@:]+))?")


def resource_name(name: str) -> str:
    """Writes a model's name out.

    Args:
        name: `fashion-gan` (the default version), `fashion-gan@3` (version 3), `fashion-gan:stable` (where the label
            points), or a full name such as `models/fashion-gan/versions/3`.

    Returns:
        The full name: `models/{model}`, `models/{model}/versions/{n}` or `models/{model}/labels/{label}`.

    Raises:
        ValueError: It is none of these.
    """
    if _FULL.fullmatch(name):
        return name
    short = _SHORT.fullmatch(name)
    if short is None:
        raise ValueError(
            f"{name!r} is no name of a model; write 'name', 'name@3' for a version, 'name:stable' for a label, "
            "or 'models/name/versions/3'"
        )
    model, version, label = short["model"], short["version"], short["label"]
    if version:
        return f"models/{model}/versions/{int(version)}"
    if label:
        return f"models/{model}/labels/{label}"
    return f"models/{model}"
