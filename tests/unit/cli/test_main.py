import json
import subprocess
import sys

import pytest

from genservice.cli.main import main

COMMANDS = sorted(main.commands)


def test_there_is_a_command_for_each_thing() -> None:
    assert COMMANDS == [
        "bench", "bulk", "catalogue", "classify", "compare", "config", "copy-models", "demo", "devices", "embed",
        "evaluate", "identify", "models", "neighbours", "plugin", "plugins", "predict", "publish", "sample", "score",
        "serve", "tag", "train", "version",
    ]  # fmt: skip


@pytest.mark.parametrize("arguments", [["--help"], ["version"], *([name, "--help"] for name in COMMANDS)])
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys, genservice.cli.main as cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'grpc', 'pydantic', 'rich', 'PIL'} & sys.modules.keys()\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_python_runs_the_package() -> None:
    done = subprocess.run([sys.executable, "-m", "genservice", "version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("genservice ")


def test_version_names_plugins_and_python(run) -> None:
    lines = run("version").stdout.splitlines()
    assert "genservice-toys 1.0" in lines
    assert f"Python {sys.version.split()[0]}" in lines


@pytest.mark.parametrize("arguments", [["sampel"], ["sample"], ["sample", "m", "0"], ["sample", "m", "1", "-o", "x"]])
def test_wrong_usage_ends_with_code_2(run, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(("address", "message"), [("127.0.0.1:1", "No server answers at '127.0.0.1:1'"), ("", "empty")])
def test_an_unreachable_server_is_one_line_and_code_1(run, address: str, message: str) -> None:
    done = run("models", "--server", address)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_plugins_lists_what_was_found_and_what_was_not(run, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "genservice_broken-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: genservice-broken\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[genservice.plugins]\nbroken = genservice_broken\n")
    (tmp_path / "genservice_broken.py").write_text("raise RuntimeError('out of order')\n")
    monkeypatch.syspath_prepend(tmp_path)
    done = run("plugins", "--json")
    assert done.exit_code == 0
    plugins = {row["plugin"]: row for row in json.loads(done.stdout)}
    assert plugins["toys"]["families"] == ["toy-garments", "toy-judge"]
    assert plugins["toys"]["problem"] is None
    assert "out of order" in plugins["broken"]["problem"]
    table = run("plugins").stdout
    assert "out of order" in table
    assert "fashion-mnist" in table
