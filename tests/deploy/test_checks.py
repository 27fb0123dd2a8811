"""The semantic checks: they find nothing in what is shipped, and each finds what it is for."""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.deploy.combinations import Combination, render_all
from tests.deploy.tools import DEPLOY, ROOT, kustomize

pytestmark = pytest.mark.deploy

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))
"""Kustomizations with one mistake each: `CHECK.WHAT.yaml`. Their first line names what they are on top of."""


def check(*arguments, text=None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "deploy.checks", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, input=text)


@pytest.fixture(scope="module")
def found_in(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[str]]]:
    """What each check says of each broken fixture."""
    wanted = {}
    for path in BROKEN:
        head, _, more = path.read_text().partition("\n")
        overlay, *components = head.removeprefix("# of: ").split("+")
        wanted[path.name] = (Combination(overlay, tuple(components)), more)
    files = render_all(wanted, tmp_path_factory)
    done = check("--json", *files.values())
    assert done.returncode == 1, done.stderr
    names = {str(file): name for name, file in files.items()}
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for problem in json.loads(done.stdout):
        found[names[problem["file"]]][problem["check"]].append(problem["message"])
    return found


def test_nothing_is_wrong_with_any_combination(rendered) -> None:
    done = check(*rendered.files.values())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("folder", ["", "verify"])
def test_nothing_is_wrong_with_the_bulk_job(folder) -> None:
    path = DEPLOY / "jobs/bulk" / folder
    if not path.is_dir():
        pytest.skip(f"there is no {path}")
    done = check(text=kustomize(path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.name)
def test_a_mistake_is_found_by_its_check_and_by_no_other(path, found_in) -> None:
    assert list(found_in[path.name]) == [path.name.partition(".")[0]], found_in[path.name]


def test_a_component_without_the_namespace_of_its_overlay_is_found(rendered) -> None:
    text = rendered.files["cpu+grpc-route"].read_text()
    route = text.index("kind: GRPCRoute")
    done = check(text=text[:route] + text[route:].replace("  namespace: genservice\n", "", 1))
    assert "one-namespace: GRPCRoute/genservice: is in the namespace None" in done.stdout


def test_every_check_has_a_fixture_that_it_rejects() -> None:
    names = {line.partition(":")[0] for line in check("--list").stdout.splitlines()}
    assert names == {path.name.partition(".")[0] for path in BROKEN}


def test_a_problem_is_one_line_with_the_object(tmp_path) -> None:
    more = (Path(__file__).parent / "broken/grace-period.short.yaml").read_text().partition("\n")[2]
    done = check(text=Combination("cpu").render(tmp_path, more))
    assert done.returncode == 1
    assert done.stdout == (
        "<stdin>: grace-period: Deployment/genservice: has 60 s to end and may need 90: drain_wait_s 10, "
        "drain_limit_s 45, the longest chunk 30, its end 5\n"
    )


@pytest.mark.parametrize(("text", "reason"), [("a: [", "is not YAML"), ("", "There is nothing in")])
def test_what_is_no_manifest_is_refused(text, reason) -> None:
    done = check(text=text)
    assert done.returncode == 2
    assert reason in done.stderr
