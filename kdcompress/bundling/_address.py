"""Addresses of devices: ssh://[USER@]HOST[:PORT]."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kdcompress.errors import UsageError

# No part can begin with a dash, which would make it an option of ssh, nor hold what a shell or ssh itself interprets
_ADDRESS = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.+@-]{0,63})@)?"
    r"(?:(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]{0,252})|\[(?P<ip>[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9_.-]{1,32})?)\])"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)
_MAX_PORT = 65535


@dataclass(frozen=True)
class Address:
    """Address of a device that ssh reaches.

    Attributes:
        host: Host name, IP address, or alias of ssh's own configuration.
        user: User; None leaves it to ssh's configuration.
        port: Port; None leaves it to ssh's configuration.
    """

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        return f"{self.user}@{self.host}" if self.user else self.host

    @property
    def arguments(self) -> list[str]:
        """Arguments of ssh; the host is the last one, behind the end of options."""
        user = ["-l", self.user] if self.user else []
        port = ["-p", str(self.port)] if self.port else []
        return [*user, *port, "--", self.host]

    @property
    def machine(self) -> str:
        """Name of the machine: the host without its domain; of an IP address, its digits with dashes."""
        numeric = ":" in self.host or re.fullmatch(r"[0-9.]+", self.host)
        name = re.sub(r"[^0-9A-Za-z]+", "-", self.host) if numeric else self.host.partition(".")[0]
        return name.strip("-_")


def parse_address(text: str) -> Address:
    """Parse the address of a device.

    Args:
        text: ssh://[USER@]HOST[:PORT]; an IPv6 address has brackets.

    Returns:
        The address.

    Raises:
        UsageError: The text has another form.
    """
    match = _ADDRESS.fullmatch(text)
    port = int(match["port"]) if match and match["port"] else None
    if match is None or (port is not None and not 1 <= port <= _MAX_PORT):
        password = "; a password is asked for by ssh itself" if re.match(r"ssh://[^@/]*:[^@/]*@", text) else ""
        raise UsageError(
            f"--on takes ssh://[USER@]HOST[:PORT], such as ssh://pi@raspberrypi.local, got {text!r}{password}"
        )
    return Address(match["host"] or match["ip"], match["user"], port)
