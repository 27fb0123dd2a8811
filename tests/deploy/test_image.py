"""The image is built: what is in it, and what it says of itself."""

import json
import re
from pathlib import Path

import pytest

from tests.deploy.containers import BASE, PLUGINS, PODMAN, ULIMITS, build, run
from tests.deploy.tools import DEPLOY, ROOT, tool

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(900)]

FILES = ("Dockerfile", "plugin.Dockerfile")

PLUGIN = {
    "pyproject.toml": """
        [build-system]
        requires = ["hatchling"]
        build-backend = "hatchling.build"
        [project]
        name = "genservice-dice"
        version = "0.1.0"
        dependencies = ["genservice"]
        [project.entry-points."genservice.plugins"]
        dice = "genservice_dice"
        [tool.hatch.build.targets.wheel]
        only-include = ["genservice_dice.py"]
    """,
    "genservice_dice.py": """
        from genservice import Generator, TensorSpec, hookimpl

        class Dice(Generator):
            family = "dice"
            event = TensorSpec((), "int64")

            def load(self, directory):
                pass

            def sample(self, noise, options, conditions):
                return noise.uniform("roll")

        @hookimpl
        def genservice_register_families():
            return [Dice]
    """,
}


@pytest.mark.parametrize("name", FILES)
def test_hadolint_finds_nothing(name) -> None:
    done = run(tool("hadolint"), DEPLOY / "image" / name, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_is_an_argument_and_pinned_by_digest() -> None:
    text = (DEPLOY / "image/Dockerfile").read_text()
    assert re.search(r"^ARG BASE=\S+@sha256:[0-9a-f]{64}$", text, re.M)
    assert set(re.findall(r"^FROM (\S+)", text, re.M)) >= {"${BASE}"}


def test_both_targets_have_the_same_tensorflow_and_that_for_gpus_pins_what_it_brings() -> None:
    pins = dict(
        line.split("==")
        for file in (ROOT / "constraints.txt", DEPLOY / "image/constraints-gpu.txt")
        for line in file.read_text().splitlines()
        if "==" in line
    )
    assert pins["tensorflow"] == pins["tensorflow_cpu"]
    assert {"nvidia-cudnn-cu12", "nvidia-cublas-cu12", "nvidia-nccl-cu12"} <= set(pins)


def test_a_plugin_is_added_in_three_lines() -> None:
    lines = (DEPLOY / "image/plugin.Dockerfile").read_text().splitlines()
    assert [line.split()[0] for line in lines if not line.startswith("#")] == ["FROM", "COPY", "RUN"]


def test_the_image_says_what_it_is(image) -> None:
    about = json.loads(run("podman", "image", "inspect", image).stdout)[0]
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in about["Labels"].items()}
    assert labels["title"] == "genservice"
    assert labels["licenses"] == "Apache-2.0"
    assert labels["revision"] == "abc123"
    assert labels["base.name"] == BASE
    assert about["Config"]["User"] == "10001:10001"
    assert about["Config"]["Entrypoint"] == ["genservice", "serve"]


def test_the_image_has_the_plugins_that_were_chosen_and_no_compiler(image) -> None:
    compilers = "gcc g++ cc c++ clang ld as make rustc go"
    script = f"genservice plugins --json; for name in {compilers}; do command -v $name; done; true"
    done = run(*PODMAN, *ULIMITS, "--network", "none", "--entrypoint", "sh", image, "-c", script)
    plugins, end = json.JSONDecoder().raw_decode(done.stdout)
    assert {row["plugin"] for row in plugins if row["distribution"] != "genservice"} == set(PLUGINS.split())
    assert not [row["problem"] for row in plugins if row["problem"]]
    assert done.stdout[end:].strip() == ""


def test_a_plugin_of_ones_own_is_found_in_the_image_that_is_made_with_it(image, tmp_path: Path) -> None:
    for name, text in PLUGIN.items():
        indent = len(text) - len(text.lstrip()) - 1
        (tmp_path / name).write_text("\n".join(line[indent:] for line in text.splitlines()) + "\n")
    build(DEPLOY / "image/plugin.Dockerfile", tmp_path, "localhost/genservice:0.1.0-cpu-dice")
    plugins = ("plugins", "--json")
    done = run(
        *(*PODMAN, *ULIMITS, "--network", "none", "--read-only"),
        *("--entrypoint", "genservice", "localhost/genservice:0.1.0-cpu-dice", *plugins),
    )
    found = {row["plugin"]: row for row in json.loads(done.stdout)}
    assert found["dice"]["families"] == ["dice"]
    assert found["gan"]["problem"] is None
