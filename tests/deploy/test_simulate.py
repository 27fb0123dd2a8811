"""Replicas, queues and whole traces, against small ones worked out by hand; and what is shipped."""

import json
import re
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from deploy.simulate.autoscaler import Behavior
from deploy.simulate.fleet import Fleet, Replica, Told, percentile
from deploy.simulate.manifests import Fallback, Keda, Scaling
from deploy.simulate.plot import picture
from deploy.simulate.proposals import Readings
from deploy.simulate.readme import filled, with_target
from deploy.simulate.simulation import simulate
from deploy.simulate.traces import TRACES, Trace, read_trace, through
from tests.deploy.tools import DEPLOY, ROOT, deploy_python

pytestmark = pytest.mark.deploy

WRITES_IT = "python -m deploy.simulate.readme writes it"
REPLICA = Replica(rows_per_second=10, in_system_s=1, queue_rows=20, cold_start_s=60, pending_s=20, drain_s=15)


def test_rows_wait_for_those_before_them():
    fleet = Fleet(REPLICA, started=1)
    fleet.advance(0, 25)
    # 10 rows are served in each second: the first 10 waited 0 s, the next 1 s, the last 5 waited 2 s.
    assert (fleet.served, fleet.rows_in_system, fleet.oldest_s) == (10, 15 + 10, 0)
    fleet.advance(1, 0)
    fleet.advance(2, 0)
    assert (fleet.served, fleet.rows_in_system) == (25, 5)
    assert [fleet.wait_s(part) for part in (0.4, 0.5, 0.8, 0.81, 0.99)] == [0, 1, 1, 2, 2]


def test_rows_that_find_no_room_are_refused():
    fleet = Fleet(REPLICA, started=2)
    # Each replica takes 10 rows in the second and lets 20 wait.
    fleet.advance(0, 100)
    assert (fleet.served, fleet.refused, fleet.rows_in_system) == (20, 40, 40 + 20)


def test_rows_that_wait_too_long_are_refused():
    fleet = Fleet(replace(REPLICA, queue_s=1), started=1)
    fleet.advance(0, 28)
    fleet.advance(1, 0)
    # 10 rows are served in seconds 0 and 1 each; the other 8 would have to wait 2 s.
    fleet.advance(2, 0)
    assert (fleet.served, fleet.refused, fleet.rows_in_system) == (20, 8, 0)


def test_a_new_replica_is_pending_then_loads_then_serves_and_is_paid_for_all_the_time():
    fleet = Fleet(REPLICA, started=1)
    fleet.scale(0, 3)
    told = Told(pods=1, rows=8.0)
    assert fleet.readings(19, told) == Readings([8], missing=0, pending=2)
    assert fleet.readings(20, told) == Readings([8], missing=2, pending=0)
    assert (fleet.ready(59), fleet.ready(60)) == (1, 3)
    # Who was not there when the pods were asked has told nothing yet.
    assert fleet.readings(60, told) == Readings([8], missing=2, pending=0)
    fleet.advance(0, 0)
    assert fleet.alive_s == 3


def test_the_youngest_replica_goes_first_and_drains_while_one_that_never_served_is_gone_at_once():
    fleet = Fleet(REPLICA, started=2)
    fleet.scale(0, 3)
    fleet.scale(10, 1)
    assert (fleet.replicas, fleet.ready(10)) == (1, 1)
    # One that served drains from second 10 to second 25.
    for second in range(10, 30):
        fleet.advance(second, 0)
    assert fleet.alive_s == 20 + 15


def test_without_a_replica_all_rows_are_refused():
    fleet = Fleet(REPLICA, started=0)
    fleet.advance(0, 5)
    assert (fleet.refused, fleet.served, fleet.wait_s(0.99)) == (5, 0, 0)
    assert fleet.readings(0, Told(0, 0)) == Readings([])


def test_a_percentile_goes_by_weight():
    assert percentile([(5.0, 1), (1.0, 98), (9.0, 1)], 0.98) == 1
    assert percentile([(5.0, 1), (1.0, 98), (9.0, 1)], 0.99) == 5
    assert percentile([], 0.99) == 0


def test_a_step_in_the_load_worked_out_by_hand():
    """Target 7, one replica that makes 10 rows a second in 1 s each, and a load of 7 rows a second until second 10.

    From second 11 on 14 rows come and 10 are served: 4 rows more wait after each second.

    - Second 15: the metric is that of second 0, 7 rows: just right.
    - Second 30: it is of second 15. Seconds 11 to 14 left 16 rows in the queue, 10 run: 26 rows / 7 is 3.7, so 4
      replicas; they are allowed (1 + 4). They serve from second 90 on.
    - Second 45: it is of second 30: 16 + 15 x 4 = 76 wait, 10 run. One pod told 86, three are pending: 86 / 4 pods / 7
      is 3.07, x 4 pods is 12.3, so 13; twice 4 are allowed, and 8 is the most.
    - The queue has room for 200 rows, full after 50 seconds, in second 61: then 4 rows a second are refused, until
      second 90: 29 x 4 = 116, and none later, for 4 replicas, and 8 from second 105, serve 40 rows a second.
    """
    replica = Replica(rows_per_second=10, in_system_s=1, queue_rows=200, cold_start_s=60, pending_s=20, drain_s=0)
    trace = through("step", [(0, 0.7), (10, 0.7), (11, 1.4), (200, 1.4)])
    outcome = simulate(Scaling(1, 8, 7, Behavior()), replica, trace)
    assert [outcome.wanted[second] for second in (14, 29, 30, 44, 45, 100)] == [1, 1, 4, 4, 8, 8]
    assert [outcome.ready[second] for second in (89, 90, 104, 105)] == [1, 4, 4, 8]
    assert outcome.refused_rows == pytest.approx(116)
    assert outcome.peak_replicas == 8
    # The 200 rows that wait at most are done in 20 seconds.
    assert outcome.queue_p99_s == 20
    # 30 seconds of 1 replica, 15 of 4, 155 of 8.
    assert outcome.replica_hours == pytest.approx((30 + 15 * 4 + 155 * 8) / 3600)


def test_a_load_that_is_just_right_changes_nothing():
    outcome = simulate(Scaling(1, 8, 7, Behavior()), REPLICA, through("flat", [(0, 1.4), (600, 1.4)]))
    # 14 rows run: two replicas with 7 each.
    assert (set(outcome.wanted), outcome.changes, outcome.refused_rows, outcome.queue_p99_s) == ({2}, 0, 0, 0)


def test_where_the_metrics_are_lost_an_hpa_stays_and_keda_falls_back():
    # A load for 3 replicas; from second 60 on nothing can be read, and from second 120 on the load is four times that.
    trace = through("outage", [(0, 2.1), (120, 2.1), (121, 8.4), (600, 8.4)])
    lost = (60, 600)
    hpa = simulate(Scaling(1, 20, 7, Behavior()), REPLICA, trace, no_metrics=lost)
    assert set(hpa.wanted) == {3}
    fallback = Keda(failures=4, fallback=12, fallback_behavior=Fallback.IF_HIGHER)
    keda = simulate(Scaling(1, 20, 7, Behavior(), fallback), REPLICA, trace, no_metrics=lost)
    # Syncs at 60, 75, 90 and 105 fail and are borne; at 120 the fallback counts: twice 3, and then 12.
    assert [keda.wanted[second] for second in (119, 120, 134, 135)] == [3, 7, 7, 12]
    assert keda.refused_rows < hpa.refused_rows


def test_keda_goes_to_none_when_nothing_comes():
    keda = Keda(polling_s=30, cooldown_s=300)
    trace = through("end", [(0, 0.7), (60, 0.7), (61, 0), (900, 0)])
    outcome = simulate(Scaling(0, 4, 7, Behavior(), keda), REPLICA, trace)
    assert outcome.wanted[-1] == 0
    assert outcome.wanted[300] == 1


@pytest.mark.parametrize("trace", TRACES.values(), ids=lambda trace: trace.name)
def test_the_traces_are_loads(trace):
    loads = [trace.load(second) for second in range(0, trace.seconds, 10)]
    assert 0 < min(loads) <= 2 < max(loads) < 10


def test_a_trace_of_ones_own_goes_straight_from_point_to_point(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("seconds,load\n0,1\n10,2\n20,0\n")
    trace = read_trace(file)
    assert (trace.name, trace.seconds) == ("mine", 20)
    assert [trace.load(second) for second in (0, 5, 10, 15, 20)] == [1, 1.5, 2, 1, 0]


@pytest.mark.parametrize(
    "text", ["", "seconds,load\n0,1\n", "seconds,load\n5,1\n5,2\n", "a,b\n1,2\n", "seconds,load\n0,-1\n1,1\n"]
)
def test_a_file_that_is_no_trace_is_refused(tmp_path, text):
    file = tmp_path / "mine.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"trace|CSV|load"):
        read_trace(file)


def test_the_picture_has_a_line_for_each_behavior_and_is_whole():
    flat = Trace("a < b", 60, lambda second: 1.0)
    outcome = simulate(Scaling(1, 2, 7, Behavior()), REPLICA, flat)
    root = ET.fromstring(picture({"one": [outcome], "two": [outcome]}, "t & t"))
    # The load, and the replicas and waits of two behaviors.
    assert len(root.findall("{*}polyline")) == 1 + 2 + 2
    assert any("a < b" in (text.text or "") for text in root.findall("{*}text"))


def ran(*arguments):
    command = [deploy_python(), "-m", "deploy.simulate", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", params=["hpa", "keda"])
def shipped(request):
    """What the program says of a form that is shipped, by trace and behavior: the cells of its table."""
    done = ran("--form", request.param)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()[2:]]
    return request.param, done.stdout, {(trace, behavior): cells for trace, behavior, *cells in rows}


def refused(cells):
    return int(cells[2].split(" ")[0].replace(",", ""))


def test_the_readme_has_the_table_that_is_printed(shipped):
    form, printed, _ = shipped
    assert f"<!-- {form} -->\n\n{printed}" in (DEPLOY / "simulate" / "README.md").read_text(), WRITES_IT


def test_the_readme_has_the_target_that_was_measured():
    readme, measured = (DEPLOY / "simulate" / name for name in ("README.md", "capacity.json"))
    assert "\n".join(json.loads(measured.read_text())["arithmetic"]) in readme.read_text(), WRITES_IT


def test_a_page_is_filled_in_and_one_without_a_place_is_refused():
    assert filled("a\n<!-- x -->\nold\n<!-- end -->\nb", {"x": "new\n"}) == "a\n<!-- x -->\n\nnew\n\n<!-- end -->\nb"
    with pytest.raises(ValueError, match="no place for y"):
        filled("a\n<!-- x -->\nold\n<!-- end -->\nb", {"y": "new"})


def test_a_target_is_put_in_place_of_the_one_before_and_nothing_else_changes():
    manifest = '# threshold\n  threshold: "48"\n  pollingInterval: 15\n'
    assert with_target(manifest, "threshold", "97") == manifest.replace("48", "97")
    for other in ("", manifest * 2):
        with pytest.raises(ValueError, match="targets called threshold"):
            with_target(other, "threshold", "97")


def test_what_is_shipped_refuses_no_more_rows_than_the_default_and_a_fraction_of_what_a_bad_one_does(shipped):
    _, _, cells = shipped
    # A bounded way up costs a flash crowd a little: no more than a tenth.
    for trace in TRACES:
        assert refused(cells[trace, "shipped"]) <= 1.1 * refused(cells[trace, "Kubernetes's default"])
    for trace in ("burst", "flash-crowd"):
        assert refused(cells[trace, "shipped"]) < refused(cells[trace, "timid"]) / 4
    assert refused(cells["day", "shipped"]) == 0


def test_what_is_shipped_changes_less_often_than_the_default_and_a_hasty_one(shipped):
    _, _, cells = shipped
    assert int(cells["day", "shipped"][1]) <= int(cells["day", "Kubernetes's default"][1])
    assert int(cells["day", "shipped"][1]) < int(cells["day", "hasty"][1]) / 4


def test_both_forms_are_shipped_with_the_same_numbers_and_with_the_target_that_was_measured():
    program = (
        "import json; from dataclasses import asdict; from deploy.simulate.__main__ import FORMS; "
        "from deploy.simulate.manifests import read_scaling; "
        "print(json.dumps({form: asdict(read_scaling(file)) for form, file in FORMS.items()}))"
    )
    done = subprocess.run([deploy_python(), "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    hpa, keda = json.loads(done.stdout).values()
    measured = json.loads((DEPLOY / "simulate" / "capacity.json").read_text())
    assert keda.pop("keda") is not None
    assert hpa.pop("keda") is None
    assert hpa == keda
    assert hpa["target"] == float(measured["target"]["hpa_average_value"])
    assert hpa["target"] < measured["capacity_rows_per_second"] * measured["plan"]["queue_limit_s"]


def test_a_manifest_and_a_trace_of_ones_own_are_simulated_and_drawn(tmp_path):
    manifest, trace, drawn = tmp_path / "hpa.yaml", tmp_path / "mine.csv", tmp_path / "out.svg"
    metric = {"type": "Pods", "pods": {"target": {"type": "AverageValue", "averageValue": "50"}}}
    spec = {"minReplicas": 2, "maxReplicas": 9, "metrics": [metric]}
    manifest.write_text(json.dumps({"kind": "HorizontalPodAutoscaler", "spec": spec}))
    trace.write_text("seconds,load\n0,1\n120,2\n")
    done = ran("--manifest", manifest, "--csv", trace, "--svg", drawn, "--cold-start", 30)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\| mine \| shipped \| \d+ \|", done.stdout, re.MULTILINE)
    assert ET.parse(drawn).getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("--manifest", "kind: Deployment", "neither a HorizontalPodAutoscaler nor"),
        ("--manifest", "a: [", "no YAML"),
        ("--csv", "a,b\n1,2\n", "no CSV"),
        ("--capacity", "{}", "is not what `genservice bench capacity` prints"),
        ("--capacity", None, "No such file"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_in_a_line(tmp_path, option, text, message):
    file = tmp_path / "file"
    if text is not None:
        file.write_text(text)
    done = ran(option, file)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
