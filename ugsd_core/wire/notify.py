"""Tell systemd how we are (sd_notify(3)): ready, ending, alive. Without systemd nothing is told and nothing fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable

__all__ = ["notify", "stay_alive", "watchdog_s"]


def notify(*lines: str) -> bool:
    """Send lines such as ``READY=1`` to the service manager; False if there is none."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path or not hasattr(socket, "AF_UNIX"):
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto("\n".join(lines).encode(), address)
        return True
    return False


def watchdog_s() -> float | None:
    """How often systemd wants to hear of us, halved as it advises; None if it does not ask."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        return int(os.environ["WATCHDOG_USEC"]) / 2e6
    except (KeyError, ValueError):
        return None


async def stay_alive(well: Callable[[], bool]) -> None:
    """Tell systemd's watchdog, as long as we are well; without that it starts us anew. Ends when cancelled."""
    every_s = watchdog_s()
    while every_s is not None:
        if well():
            notify("WATCHDOG=1")
        await asyncio.sleep(every_s)
