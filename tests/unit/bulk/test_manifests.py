"""What deploy/jobs/bulk gives to pods is what the command takes; that it is valid, tests/deploy shows."""

import re
from pathlib import Path

from genservice.cli.bulk import MIXED, run
from genservice.cli.failures import WRONG_USAGE

MANIFESTS = Path(__file__).parents[3] / "deploy/jobs/bulk"


def text(name: str) -> str:
    return (MANIFESTS / name).read_text()


def test_each_variable_of_the_config_map_is_one_that_the_command_reads():
    given = {line.partition("=")[0] for line in text("shared/bulk.env").splitlines() if not line.startswith("#")}
    given |= set(re.findall(r"(GENSERVICE_\w+)=\w+\.txt", text("shared/kustomization.yaml")))
    given |= set(re.findall(r"name: (GENSERVICE_\w+)", text("tls/kustomization.yaml")))
    taken = {parameter.envvar: parameter.required for parameter in run.params}
    assert given <= set(taken)
    # Kubernetes itself gives a pod its index.
    assert {name for name, required in taken.items() if required} <= given | {"JOB_COMPLETION_INDEX"}


def test_the_job_fails_at_once_with_the_exit_codes_that_no_other_try_changes():
    (codes,) = re.findall(r"values: \[(.+)\]", text("job.yaml"))
    assert [int(code) for code in codes.split(",")] == [WRONG_USAGE, MIXED]
