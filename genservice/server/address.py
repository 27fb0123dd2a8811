"""Where a server listens."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self

from genservice.errors import SettingsError

_FORM = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]:/\s]+)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP port of a host, or a Unix socket.

    Args:
        host: Name or IP address; empty for a Unix socket.
        port: From 0 to 65535; 0: any that is free.
        path: Absolute path of a Unix socket; empty for TCP.
    """

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str, *, setting: str) -> Self:
        """Reads an address.

        Args:
            text: `host:port`, `[address]:port` for IPv6, or `unix:/path`.
            setting: Name of the setting, for the error.

        Raises:
            SettingsError: It has none of these forms.
        """
        if text.startswith("unix:/"):
            return cls(path=text.removeprefix("unix:"))
        match = _FORM.fullmatch(text)
        if match is None or int(match["port"]) > 65535:
            raise SettingsError(
                f"The setting {setting} is HOST:PORT, such as '0.0.0.0:8500', or 'unix:/PATH'; got {text[:200]!r}."
            )
        return cls(host=match["v6"] or match["host"], port=int(match["port"]))

    @property
    def is_local(self) -> bool:
        """Whether only processes of this machine, or of this pod, can reach it."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
