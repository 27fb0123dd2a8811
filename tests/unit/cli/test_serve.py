import asyncio
import socket
from pathlib import Path

import pytest
import structlog

from genservice.cli import failures
from genservice.cli.failures import Failure
from genservice.cli.service import Service, in_background, model_store
from genservice.cli.settings import read_settings
from genservice.errors import SettingsError, StoreError
from genservice.plugin_host import PluginHost
from genservice_client import Client


def test_without_a_store_those_of_the_plugins_are_served(toy_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_STORE", str(toy_store))
    host = PluginHost.discover(built_ins=())
    host.stores[:] = [folder for folder in host.stores if folder == toy_store]
    assert model_store(read_settings({}), host).models() == ["toy-cnn", "toy-gan"]


def test_without_any_store_the_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="No plugin that is installed ships models: give the setting store"):
        model_store(read_settings({}), PluginHost())


def test_a_store_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="none is not a folder"):
        model_store(read_settings({"store": [tmp_path / "none"]}), PluginHost())


def test_broken_plugins_and_hidden_models_are_logged_and_stop_nothing(toy_store: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    (first / "toy-gan" / "1").mkdir(parents=True)
    host = PluginHost.discover(extra_modules=["no_such_module"], entry_points=())
    settings = read_settings({"store": [first, toy_store]})
    with structlog.testing.capture_logs() as lines:
        asyncio.run(_make(settings, host))
    texts = [str(line.get("problem")) for line in lines if line["log_level"] == "warning"]
    assert any("no_such_module" in text for text in texts)
    assert any("toy-gan is hidden by" in text for text in texts)


async def _make(settings, host) -> None:
    service = Service.of(settings, host)
    await service.engine.stop()


def test_a_server_in_the_background_answers_and_ends(toy_store: Path) -> None:
    settings = read_settings({"store": [toy_store], "server": {"listen": "127.0.0.1:0", "http_listen": ""}})
    with in_background(settings, PluginHost.discover()) as address, Client(address) as client:
        assert [model.name for model in client.models()] == ["models/toy-cnn", "models/toy-gan"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])))


def test_a_server_in_the_background_that_cannot_listen_says_so(toy_store: Path, server: str) -> None:
    settings = read_settings({"store": [toy_store], "server": {"listen": server, "http_listen": ""}})
    with pytest.raises(SettingsError, match="another process listens there"), in_background(settings, PluginHost()):
        pass


async def test_a_service_that_is_told_to_stop_before_it_began_ends(toy_store: Path) -> None:
    settings = read_settings({"store": [toy_store], "server": {"listen": "127.0.0.1:0", "http_listen": ""}})
    stop, heard = asyncio.Event(), []
    stop.set()
    await Service.of(settings, PluginHost.discover()).run(stop, heard.append)
    (bound,) = heard
    assert str(bound.grpc).startswith("127.0.0.1:")


def test_the_reason_of_the_end_is_left_where_kubernetes_looks(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "termination-log"
    monkeypatch.setattr(failures, "TERMINATION_LOG", file)
    assert run("serve", "--listen", "nowhere").exit_code == 2
    assert not file.exists()
    file.touch()
    assert run("serve", "--listen", "nowhere").exit_code == 2
    assert file.read_text().startswith("The setting listen is HOST:PORT")


def test_a_reason_that_cannot_be_left_hides_no_other(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "TERMINATION_LOG", tmp_path)
    assert "The setting listen is HOST:PORT" in run("serve", "--listen", "nowhere").stderr


def test_wrong_settings_end_with_code_2_and_other_faults_with_code_1() -> None:
    assert Failure.of(SettingsError("a\nb")).exit_code == 2
    assert Failure.of(StoreError("a\nb")).exit_code == 1
    assert Failure.of(StoreError("a\n  b")).message == "a b"
