import json
import signal
from pathlib import Path

import numpy as np
import pytest

from genservice_client import Client

PLAN = ("--model", "toy-gan", "--samples", 50, "--seed", 7, "--indexes", 3, "--shard-samples", 8)
NOBODY = "127.0.0.1:9"


@pytest.fixture
def draw(run, server: str, tmp_path: Path):
    """Runs an index of a job of 50 samples."""
    return lambda index, *more: run(
        "bulk", "run", *PLAN, "--index", index, "--out", tmp_path / "out", "--server", server, *more
    )


def error_of(done) -> str:
    """The one line that says why a command failed."""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")


def test_indexes_make_a_job_that_is_the_same_as_one_stream(run, draw, server: str, tmp_path: Path) -> None:
    for index in (2, 0, 1):
        done = draw(index, "-o", "label=scarf")
        assert done.exit_code == 0, done.output
    assert "index 1 is done: samples 16 to 32 of models/toy-gan/versions/1, seed 7; 17 drawn, 0 kept" in done.stdout
    files = sorted((tmp_path / "out").rglob("*.npz"))
    assert [len(list((tmp_path / "out" / f"index-0000{index}").glob("*.npz"))) for index in range(3)] == [2, 3, 3]
    with Client(server) as client:
        whole = client.sample("toy-gan", 50, seed=7, label="scarf").all()
    samples, indexes = [], []
    for path in files:
        with np.load(path) as file:
            samples.append(file["samples"])
            indexes.append(file["indexes"])
            assert str(file["content_hash"]) == whole.header.content_hash
    np.testing.assert_array_equal(np.concatenate(indexes), whole.indexes)
    np.testing.assert_allclose(np.concatenate(samples), whole.to_numpy(), atol=1e-6)
    shown = run("bulk", "verify", tmp_path / "out")
    assert shown.exit_code == 0, shown.output
    assert "50 samples of models/toy-gan/versions/1, content " in shown.stdout
    assert "each once, in 8 files of 3 indexes" in shown.stdout


def test_a_pod_gets_all_from_its_environment(run, server: str, tmp_path: Path, monkeypatch) -> None:
    environment = {
        "GENSERVICE_BULK_MODEL": "toy-gan",
        "GENSERVICE_BULK_SAMPLES": "10",
        "GENSERVICE_BULK_SEED": "7",
        "GENSERVICE_BULK_INDEXES": "2",
        "GENSERVICE_BULK_OUT": str(tmp_path / "out"),
        "GENSERVICE_BULK_OPTION": "\nlabel=1\n  noise=0\n",
        "GENSERVICE_BULK_OUTPUT": "",
        "GENSERVICE_TARGET": server,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for index in ("0", "1"):
        monkeypatch.setenv("JOB_COMPLETION_INDEX", index)
        done = run("bulk", "run")
        assert done.exit_code == 0, done.output
    done = run("bulk", "verify", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["complete"]
    assert facts["job"]["options"] == {"label": 1, "noise": 0}
    assert facts["job"]["shape"] == [8, 6, 1]


def test_bytes_take_a_quarter_of_the_room(run, draw, tmp_path: Path) -> None:
    for index in range(3):
        assert draw(index, "--output", "uint8").exit_code == 0
    with np.load(min((tmp_path / "out").rglob("*.npz"))) as file:
        assert file["samples"].dtype == np.uint8
    assert run("bulk", "verify", tmp_path / "out").exit_code == 0


def test_an_index_that_is_done_needs_no_server(draw) -> None:
    draw(0)
    done = draw(0, "--server", NOBODY, "--attempts", 1)
    assert done.exit_code == 0, done.output
    assert "0 drawn, 16 kept" in done.stdout


@pytest.mark.parametrize(
    ("more", "message", "code"),
    [
        (("--index", 3), "The index is 3; of 3 indexes the last is 2.", 2),
        (("--samples", 2), "2 samples are too few for 3 indexes: each makes at least one.", 2),
        (("-o", "label=scraf"), "`options.label`: 'scraf' is not a label of this model. Did you mean 'scarf'?", 2),
        (("-o", "label=[1]"), "options.label", 2),
        (("--model", "toy/gan"), "is no name of a model", 2),
        (("--model", "toy-gna"), "Did you mean 'toy-gan'", 1),
        (("--model", "toy-cnn"), "cannot sample", 2),
        (("--server", NOBODY, "--attempts", 1), f"{NOBODY}: ", 1),
        (("--server", "a/b,c"), "is no 'host:port'", 2),
        (("--out", "/proc/genservice"), "/proc/genservice cannot be written", 1),
    ],
)
def test_what_cannot_be_is_told_in_a_line(draw, more, message: str, code: int) -> None:
    done = draw(0, *more)
    assert message in error_of(done)
    assert done.exit_code == code
    # Nothing stands in the way of one that is right.
    done = draw(0)
    assert done.exit_code == 0, done.output


def test_a_folder_of_another_job_is_not_mixed_with_this_one(draw, tmp_path: Path) -> None:
    draw(0)
    done = draw(1, "--seed", 8)
    assert "has a job with seed 7, and seed 8 is asked for: give it a folder of its own." in error_of(done)
    assert done.exit_code == 3
    assert not (tmp_path / "out" / "index-00001").exists()


def test_another_content_is_not_mixed_with_this_one(draw, tmp_path: Path) -> None:
    draw(0)
    path = tmp_path / "out" / "job.json"
    job = json.loads(path.read_text())
    path.write_text(json.dumps(job | {"content_hash": "d1" * 32}))
    done = draw(1)
    assert "is drawn from models/toy-gan/versions/1 with the content d1d1d1d1d1d1" in error_of(done)
    assert done.exit_code == 3


def test_a_version_that_became_the_default_meanwhile_is_not_mixed_in(draw, tmp_path: Path) -> None:
    draw(0)
    path = tmp_path / "out" / "job.json"
    job = json.loads(path.read_text())
    path.write_text(json.dumps(job | {"model": "models/toy-gan/versions/2"}))
    done = draw(1)
    assert "no version 2" in error_of(done)
    assert done.exit_code == 1


def test_why_it_failed_is_told_to_kubernetes(draw, tmp_path: Path, monkeypatch) -> None:
    log = tmp_path / "termination-log"
    log.write_text("")
    monkeypatch.setattr("genservice.cli.failures.TERMINATION_LOG", log)
    draw(9)
    assert log.read_text() == "The index is 9; of 3 indexes the last is 2.\n"
    (tmp_path / "out" / "job.json").mkdir(parents=True)
    draw(1)
    assert log.read_text() == f"{tmp_path / 'out' / 'job.json'} cannot be read: Is a directory.\n"


def test_the_handler_of_sigterm_is_given_back(draw) -> None:
    before = signal.getsignal(signal.SIGTERM)
    draw(0)
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_is_missing_or_doubled_fails_in_a_line(run, draw, tmp_path: Path) -> None:
    out = tmp_path / "out"
    draw(0)
    draw(2)
    (out / "copy.npz").write_bytes((out / "index-00000" / "samples-000000000008.npz").read_bytes())
    done = run("bulk", "verify", out)
    assert done.exit_code == 1
    assert error_of(done) == (
        f"{out}: 17 of 50 samples are missing (16 to 32); 8 of 50 samples are there more than once (8 to 15); "
        f"{out}/copy.npz: it is in no manifest; to run again: 1."
    )
    done = run("bulk", "verify", out, "--json")
    assert done.exit_code == 1
    facts = json.loads(done.stdout)
    assert (facts["complete"], facts["missing"], facts["doubled"]) == (False, [[16, 33]], [[8, 16]])
    assert facts["indexes_to_run"] == [1]


def test_a_folder_without_a_job_cannot_be_verified(run, tmp_path: Path) -> None:
    done = run("bulk", "verify", tmp_path)
    assert done.exit_code == 1
    assert "has no job.json: no index of a bulk job has run there." in error_of(done)
