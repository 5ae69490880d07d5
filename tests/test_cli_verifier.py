from __future__ import annotations

import pytest

from ugsd_core.batching import BatchLimits
from ugsd_core.cli.parser import build_parser
from ugsd_core.cli.verifier import limits_of
from ugsd_core.errors import OptionError


def test_what_is_typed_about_sharing_reaches_the_server_and_the_rest_is_the_default() -> None:
    parser = build_parser("verifier")
    assert limits_of(parser.parse_args(["verifier"])) == BatchLimits()
    typed = ["--batch-rows", "3", "--batch-tokens", "40", "--batch-window-ms", "0", "--memory-mb", "7.5"]
    args = parser.parse_args(["verifier", *typed, "--waiting", "9", "--waiting-each", "2"])
    assert limits_of(args) == BatchLimits(rows=3, tokens=40, window_ms=0.0, memory_mb=7.5, waiting=9, waiting_each=2)
    with pytest.raises(OptionError, match="rows"):
        limits_of(parser.parse_args(["verifier", "--batch-rows", "0"]))
