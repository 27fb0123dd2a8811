"""Why a process ended, as people and Kubernetes are told: one line."""

from pathlib import Path

import pytest

from genservice.cli import failures
from genservice.cli.failures import MESSAGE_BYTES, Failure, write_termination_log

SEVERAL_FAULTS = '[server]\nlisten = 3\nhttp_listen = 4\n[engine]\nmax_queue_s = "soon"\n'


@pytest.fixture
def termination_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "termination-log"
    file.touch()
    monkeypatch.setattr(failures, "TERMINATION_LOG", file)
    return file


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (SEVERAL_FAULTS, "The setting server.listen ({file}): Input should be a valid string; got 3."),
        ('[server]\nlisten = "a\nb"\n', "The file of settings {file} is not TOML: Illegal character"),
        ("[server\nlisten = 1\n", "The file of settings {file} is not TOML: Expected ']'"),
        ('[server]\nlisten = """a\nb"""\n', "The setting listen is HOST:PORT"),
        ('store = ["/no\\nwhere"]\n', "The setting store: /no where is not a folder."),
        ('["a\\nb"]\n', "There is no setting 'a\\nb'"),
    ],
    ids=["several fields", "TOML over two lines", "TOML of a table", "text of two lines", "folder", "name"],
)
def test_wrong_settings_are_one_line_on_the_screen_and_for_kubernetes(
    run, tmp_path: Path, termination_log: Path, settings, message
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(settings)
    done = run("serve", "--config", file)
    assert done.exit_code == 2
    for told in (done.stderr.removeprefix("Error: "), termination_log.read_text()):
        assert told.startswith(message.format(file=file))
        assert told.endswith("\n")
        assert len(told.splitlines()) == 1


def test_a_variable_of_two_lines_is_told_in_one(run, termination_log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENSERVICE_ENGINE__WORKERS", '["GPU:0",\n"CPU:0"')
    assert run("serve").exit_code == 2
    assert termination_log.read_text().startswith("The setting in GENSERVICE_ENGINE__WORKERS is JSON")
    assert len(termination_log.read_text().splitlines()) == 1


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\n\n  ", "\v", "\x85", "\u2028"])
def test_whatever_breaks_a_line_becomes_a_space(termination_log: Path, break_: str) -> None:
    write_termination_log(f"RuntimeError: a device{break_}is lost\n")
    assert termination_log.read_text() == "RuntimeError: a device is lost\n"
    assert Failure(f"a device{break_}is lost").message == "a device is lost"


def test_a_path_that_is_no_text_hides_no_reason(run, termination_log: Path) -> None:
    assert run("serve", "--store", "/models\udcff").exit_code == 2
    assert termination_log.read_text() == "The setting store: /models\\udcff is not a folder.\n"


def test_of_a_reason_that_is_too_long_kubernetes_keeps_the_beginning(termination_log: Path) -> None:
    # The kubelet reads no more than the file's last 4096 bytes.
    write_termination_log("The setting store: " + "größer " * 1000)
    kept = termination_log.read_bytes()
    assert len(kept) <= MESSAGE_BYTES == 4096
    assert kept.startswith(b"The setting store: ")
    assert kept.decode().endswith("…\n")
