from pathlib import Path

import pytest

from genservice.scaffold.kinds import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_is_written_and_the_next_commands_are_told(run, tmp_path: Path, kind: str) -> None:
    done = run("plugin", "new", "genservice-moons", "--kind", kind, "--into", tmp_path)
    assert done.exit_code == 0, done.output
    folder = tmp_path / "genservice-moons"
    assert (folder / "src" / "genservice_moons" / "family.py").read_text().startswith('"""The family `moons`')
    for command in (f"cd {folder}", "pytest", "genservice train moons --data moons-toy", "genservice serve"):
        assert f"  {command}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("genservice-moons",), "Missing option '--kind'"),
        (("genservice-moons", "--kind", "gan"), "'gan' is not one of"),
        (("Moons!", "--kind", "scorer"), "such as 'genservice-moons'"),
        (("numpy", "--kind", "scorer"), "'numpy' is taken"),
        # A family of the plugin that is installed for these tests.
        (("toy-judge", "--kind", "scorer"), "the family 'toy-judge' is that of genservice-toys 1.0 already"),
    ],
)
def test_what_cannot_be_a_plugin_says_why_and_nothing_is_written(
    run, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = run("plugin", "new", *arguments, "--into", tmp_path)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_not_written_into(run, tmp_path: Path) -> None:
    (tmp_path / "genservice-moons").mkdir()
    done = run("plugin", "new", "genservice-moons", "--kind", "scorer", "--into", tmp_path)
    assert done.exit_code == 1
    assert "is there already" in done.stderr
    assert done.stderr.count("\n") == 1
