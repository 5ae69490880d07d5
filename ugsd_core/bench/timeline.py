"""Models of a real size with random weights."""

from __future__ import annotations

from typing import Any

from ugsd_core.bench.registry import Say
from ugsd_core.bench.settings import BenchSettings
from ugsd_core.errors import OptionError

__all__ = ["measure"]


def measure(settings: BenchSettings, say: Say) -> dict[str, Any]:
    """Not there yet."""
    raise OptionError("it is not there yet")
