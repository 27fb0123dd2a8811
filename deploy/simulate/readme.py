"""python -m deploy.simulate.readme: writes what follows from capacity.json.

The targets go into the manifests, and what the program then prints into README.md; its pictures are drawn.
"""

import io
import json
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path

from deploy.simulate.__main__ import CAPACITY, FORMS, HERE, main

README = HERE / "README.md"
TARGETS = {"hpa": ("hpa_average_value", "averageValue"), "keda": ("keda_threshold", "threshold")}
"""By form: what `genservice bench capacity` calls the target, and the manifest."""


def filled(text: str, parts: dict[str, str]) -> str:
    """A page with what is between `<!-- NAME -->` and `<!-- end -->` replaced.

    Args:
        text: The page.
        parts: What to put there, by name.

    Raises:
        ValueError: The page has no such place.
    """
    for name, part in parts.items():
        before, mark, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not (mark and end):
            raise ValueError(f"There is no place for {name}.")
        text = f"{before}{mark}\n{part.strip()}\n\n{end}{after}"
    return text


def with_target(manifest: str, key: str, target: str) -> str:
    """A manifest with another target; comments and all else stay.

    Args:
        manifest: Its text.
        key: What the target is called there.
        target: Rows queued and running a replica.

    Raises:
        ValueError: The manifest has no such key, or several.
    """
    changed, count = re.subn(rf'^( *{key}: )"[^"]*"$', rf'\g<1>"{target}"', manifest, flags=re.M)
    if count != 1:
        raise ValueError(f"There are {count} targets called {key}.")
    return changed


def parts() -> dict[str, str]:
    """What belongs into the page."""
    measured = json.loads(CAPACITY.read_text())
    arithmetic = "\n".join(measured["arithmetic"])
    model, numerics = measured["model"], measured["numerics"]
    found = {"target": f"`{model}`, {numerics}:\n\n```\n{arithmetic}\n```"}
    for form in FORMS:
        printed = io.StringIO()
        with redirect_stdout(printed):
            main(["--form", form, "--svg", str(drawn(form))])
        found[form] = printed.getvalue()
    return found


def drawn(form: str) -> Path:
    """Where the picture of a form is."""
    return HERE / f"{form}.svg"


if __name__ == "__main__":
    measured = json.loads(CAPACITY.read_text())["target"]
    for form, (name, key) in TARGETS.items():
        FORMS[form].write_text(with_target(FORMS[form].read_text(), key, measured[name]))
    README.write_text(filled(README.read_text(), parts()))
    sys.exit(0)
