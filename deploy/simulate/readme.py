"""python -m deploy.simulate.readme: writes what the program prints into README.md, and draws its picture."""

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

from deploy.simulate.__main__ import CAPACITY, FORMS, HERE, main

README = HERE / "README.md"


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
    README.write_text(filled(README.read_text(), parts()))
    sys.exit(0)
