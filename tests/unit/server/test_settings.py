"""Addresses and settings."""

import pytest
from pydantic import ValidationError

from genservice.errors import SettingsError
from genservice.server.address import Address
from genservice.server.settings import ServerSettings, TlsSettings


@pytest.mark.parametrize(
    "text", ["127.0.0.1:8500", "localhost:0", "[::1]:8500", "unix:/run/genservice.sock", "a.b-c:65535"]
)
def test_an_address_is_read_and_written(text):
    assert str(Address.parse(text, setting="listen")) == text


@pytest.mark.parametrize(
    "text", ["", "8500", ":8500", "host", "host:", "host:x", "host:65536", "::1:80", "unix:a", "a b:1"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(SettingsError, match="setting listen"):
        Address.parse(text, setting="listen")


@pytest.mark.parametrize("text", ["unix:/run/a.sock", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", ""])
def test_the_admin_service_listens_on_this_machine(text):
    assert ServerSettings(admin_listen=text).admin_listen == text


@pytest.mark.parametrize("text", ["0.0.0.0:8502", "[::]:8502", "10.0.0.1:8502", "example.org:8502", "nonsense"])
def test_the_admin_service_listens_nowhere_else(text):
    with pytest.raises(SettingsError, match="admin_listen"):
        ServerSettings(admin_listen=text)


@pytest.mark.parametrize(
    ("setting", "value"), [("listen", "nowhere"), ("http_listen", "unix:/a"), ("http_listen", "x")]
)
def test_other_addresses_are_checked(setting, value):
    with pytest.raises(SettingsError, match=setting):
        ServerSettings(**{setting: value})


def test_by_default_nothing_is_reached_from_outside():
    settings = ServerSettings()
    assert settings.listen == "127.0.0.1:8500"
    assert settings.http_listen == "127.0.0.1:8501"
    assert settings.admin_listen == ""


@pytest.mark.parametrize("model", [ServerSettings, TlsSettings])
def test_every_setting_is_described(model):
    assert all(field.description for field in model.model_fields.values())


@pytest.mark.parametrize(
    ("setting", "value"), [("max_message_bytes", 0), ("drain_limit_s", -1), ("log_level", "loud"), ("x", 1)]
)
def test_wrong_values_are_refused(setting, value):
    with pytest.raises(ValidationError):
        ServerSettings(**{setting: value})
