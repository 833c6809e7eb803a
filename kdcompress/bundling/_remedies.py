"""Why ssh ended, in one line with its own last words and what helps."""

from __future__ import annotations

from collections.abc import Sequence

from kdcompress.bundling._address import Address

_FAILED, _NOT_FOUND = 255, 127  # exit codes: of ssh itself, and of a shell that does not find the command
_REMEDIES = (
    (
        "IDENTIFICATION HAS CHANGED",
        "if the device was set up anew, `ssh-keygen -R '{host}'` forgets its old key; else somebody may be in between",
    ),
    ("Host key verification failed", "connect once with `ssh {target}` and accept its key"),
    ("Could not resolve hostname", "check the name, or give its IP address"),
    ("Permission denied", "see that `ssh {target}` lets you in; `ssh-copy-id {target}` puts your key there"),
    ("Connection refused", "turn on ssh there (on a Raspberry Pi: raspi-config), or name its port: ssh://HOST:PORT"),
    ("timed out", "see whether it is on, and reachable from this network"),
    ("No route to host", "see whether it is on, and reachable from this network"),
)
_OTHER = "see what `ssh {target}` says"


def explain(address: Address, code: int | None, lines: Sequence[str], connected: bool) -> str:
    """Explain the end of ssh.

    Args:
        address: Address of the device.
        code: Exit code of ssh; None if it has not ended.
        lines: Last lines that it wrote.
        connected: Whether the device had answered before.

    Returns:
        The message.
    """
    told = [line for line in lines if line]
    last = told[-1] if told else f"exit code {code}"
    if connected:
        return f"the connection to {address} broke ({last}); give the same command again"
    if code == _NOT_FOUND:
        return f"{address} has no python3 ({last}); Python 3.9 or later is needed there (`sudo apt install python3`)"
    if code != _FAILED:
        return f"python3 does not start on {address} (exit code {code}): {last}"
    text = "\n".join(told)
    remedy = next((remedy for sign, remedy in _REMEDIES if sign in text), _OTHER)
    port = f"-p {address.port} " if address.port else ""
    host = f"[{address.host}]:{address.port}" if address.port else address.host
    return (
        f"{address} cannot be reached by ssh: {last.rstrip('.')}; {remedy.format(host=host, target=f'{port}{address}')}"
    )
