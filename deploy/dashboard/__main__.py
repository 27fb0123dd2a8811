"""python -m deploy.dashboard: writes genservice.json, or with --check says whether it is what the code gives."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.dashboard.content import ROWS, VARIABLES
from deploy.dashboard.grafana import dashboard

FILE = Path(__file__).with_name("genservice.json")


def text() -> str:
    """The dashboard as JSON."""
    return json.dumps(dashboard("genservice", "genservice", VARIABLES, ROWS), indent=2) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes or checks.

    Returns:
        The exit code: 1 where the file is not what the code gives.
    """
    parser = argparse.ArgumentParser(prog="python -m deploy.dashboard", description="Writes the Grafana dashboard.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the file is another")
    if not parser.parse_args(arguments).check:
        FILE.write_text(text())
        return 0
    if FILE.is_file() and FILE.read_text() == text():
        return 0
    sys.stderr.write(f"{FILE} is not what the code gives: python -m deploy.dashboard writes it.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
