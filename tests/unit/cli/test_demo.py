import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from genservice.telemetry.logs import configure_logs

TOYS = ("--generator", "toy-gan", "--judge", "toy-cnn")


@pytest.fixture(autouse=True)
def store(toy_store: Path, log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("GENSERVICE_STORE", str(toy_store))
    yield
    # The demo has a process of its own, and leaves the log closed.
    configure_logs(stream=log)


def test_the_demo_calls_every_model_and_reports(run, tmp_path: Path) -> None:
    done = run("demo", "--out", tmp_path / "demo", *TOYS)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "demo" / "report.json").read_text())
    assert report["samples"] == 30
    assert report["agreement"] == 1
    assert report["samples_per_second"] > 0
    assert report["seconds"] > 0
    calls = {call["name"]: call for call in report["models"]}
    assert calls["toy-gan"]["kind"] == "generator"
    assert calls["toy-cnn"]["kind"] == "classifier"
    assert all(call["ok"] and call["family"] and call["seconds"] >= 0 for call in calls.values())
    for label in ("hat", "glove", "scarf"):
        assert label in done.stdout
    assert "toy-cnn agrees with 100%" in done.stdout
    assert not done.stderr


def test_the_picture_has_a_row_for_each_label(run, tmp_path: Path) -> None:
    run("demo", "--out", tmp_path, *TOYS)
    with Image.open(tmp_path / "samples.png") as picture:
        assert picture.size == (90 + 10 * (12 + 2) + 2, 3 * (16 + 2) + 2)


def test_a_failure_shows_the_servers_log_and_writes_nothing(run, tmp_path: Path) -> None:
    done = run("demo", "--out", tmp_path / "demo", "--generator", "toy-gna", "--judge", "toy-cnn")
    assert done.exit_code == 1
    assert "listening" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert "Did you mean 'toy-gan'" in done.stderr
    assert not (tmp_path / "demo").exists()


def test_the_contact_sheet_has_a_panel_for_each_model(run, tmp_path: Path) -> None:
    done = run("demo", "--out", tmp_path, *TOYS)
    report = json.loads((tmp_path / "report.json").read_text())
    assert all(call["answer"] for call in report["models"])
    assert "hat" in done.stdout
    with Image.open(tmp_path / "models.png") as picture:
        assert picture.size == (4 * (300 + 2) + 2, 132 + 2 + 2)
