import json


def test_devices_names_the_processor_and_the_worker_that_would_run_on_it(run) -> None:
    found = json.loads(run("devices", "--json").stdout)
    assert found["devices"][0]["device"] == "CPU:0"
    assert found["devices"][0]["memory_bytes"] > 0
    assert set(found["workers"]) <= {device["device"] for device in found["devices"]}


def test_devices_is_a_table_for_people(run) -> None:
    assert "CPU:0" in run("devices").stdout
