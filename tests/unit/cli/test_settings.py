import tomllib
from pathlib import Path

import pytest

from genservice.cli.settings import Settings, read_settings
from genservice.errors import SettingsError
from genservice.server.settings import ServerSettings


def file_with(folder: Path, content: str) -> Path:
    file = folder / "settings.toml"
    file.write_text(content)
    return file


def test_without_any_source_there_are_the_defaults() -> None:
    settings = read_settings({})
    assert settings.store == ()
    assert settings.server.listen == "127.0.0.1:8500"


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = file_with(
        tmp_path, "[server]\nlisten = '0.0.0.0:1'\nadmin_listen = 'unix:/file'\ndrain_limit_s = 1\nreflection = false"
    )
    monkeypatch.setenv("GENSERVICE_SERVER__LISTEN", "0.0.0.0:2")
    monkeypatch.setenv("GENSERVICE_SERVER__DRAIN_LIMIT_S", "2")
    settings = read_settings({"server": {"listen": "0.0.0.0:3"}}, file)
    assert settings.server.listen == "0.0.0.0:3"
    assert settings.server.drain_limit_s == 2
    assert settings.server.admin_listen == "unix:/file"
    assert settings.server.reflection is False


def test_stores_in_the_environment_are_paths_with_colons_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENSERVICE_STORE", "/one:/two")
    assert read_settings({}).store == (Path("/one"), Path("/two"))


def test_a_model_may_be_served_in_its_own_way(tmp_path: Path) -> None:
    file = file_with(tmp_path, "[engine.models.fashion-gan]\nmax_batch_rows = 64")
    assert read_settings({}, file).engine.models == {"fashion-gan": {"max_batch_rows": 64}}


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().store = ()  # type: ignore[misc]


def test_what_kubernetes_puts_into_the_environment_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENSERVICE_PORT", "tcp://10.0.0.1:8500")
    monkeypatch.setenv("GENSERVICE_PORT_8500_TCP_ADDR", "10.0.0.1")
    monkeypatch.setenv("GENSERVICE_SERVICE_HOST", "10.0.0.1")
    assert read_settings({}).server == ServerSettings()


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("GENSERVICE_SEVER__LISTEN", "x", r"no setting 'sever' \(GENSERVICE_SEVER__LISTEN\). Did you mean 'server'"),
        ("GENSERVICE_SERVER__LISTN", "x", r"'server.listn' \(GENSERVICE_SERVER__LISTN\). Did you mean 'listen'"),
        ("GENSERVICE_SERVER__LISTEN", "x", r"setting listen is HOST:PORT"),
        (
            "GENSERVICE_SERVER__DRAIN_LIMIT_S",
            "-1",
            r"server.drain_limit_s \(GENSERVICE_SERVER__DRAIN_LIMIT_S\): .*greater than or equal to 0; got '-1'",
        ),
        (
            "GENSERVICE_ENGINE__REQUIRED_MODELS",
            "fashion-gan",
            r"setting in GENSERVICE_ENGINE__REQUIRED_MODELS is JSON, such as .*; got 'fashion-gan'",
        ),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=message):
        read_settings({})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[server]\nlisen = 'x'", r"no setting 'server.lisen' \(.*settings.toml\). Did you mean 'listen'"),
        ("stor = ['/x']", r"no setting 'stor' .*Did you mean 'store'"),
        ("[server.tls]\ncertificat = '/x'", r"no setting 'server.tls.certificat' .*Did you mean 'certificate'"),
        ("store = 1", r"setting store \(.*settings.toml\): .*; got 1"),
        ("[server]\nlog_level = 'loud'", r"'debug', 'info', 'warning' or 'error'; got 'loud'"),
        ("server", "settings.toml is not TOML"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_settings({}, file_with(tmp_path, content))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml cannot be read: No such file"):
        read_settings({}, tmp_path / "none.toml")


def test_a_wrong_flag_names_the_setting_alone() -> None:
    with pytest.raises(SettingsError, match=r"^The setting server.max_message_bytes: .*; got 'many'\.$"):
        read_settings({"server": {"max_message_bytes": "many"}})


def test_config_prints_a_file_that_gives_the_same_settings(tmp_path: Path, run) -> None:
    file = file_with(
        tmp_path,
        "store = ['/a', '/b']\n[server]\nlisten = '0.0.0.0:9'\n[server.tls]\ncertificate = '/c'\nprivate_key = '/k'\n"
        "[engine.models.fashion-gan]\nmax_batch_rows = 64",
    )
    printed = run("config", "--config", file)
    assert printed.exit_code == 0
    again = file_with(tmp_path, printed.stdout)
    assert read_settings({}, again).model_dump() == read_settings({}, file).model_dump()


def test_config_says_what_each_setting_means(run) -> None:
    printed = run("config").stdout
    tomllib.loads(printed)
    text = " ".join(line.removeprefix("# ") for line in printed.splitlines())
    for model in (Settings, type(Settings().server), type(Settings().engine)):
        for name, field in model.model_fields.items():
            assert name in text
            assert field.description
            assert " ".join(field.description.split()) in text


def test_config_takes_its_file_from_the_environment(tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENSERVICE_CONFIG", str(file_with(tmp_path, "store = ['/from-file']")))
    assert 'store = [\n    "/from-file",\n]' in run("config").stdout
