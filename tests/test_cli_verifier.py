from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import Pair
from ugsd_core.batching import BatchLimits
from ugsd_core.cli import main
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


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["--vllm", "http://127.0.0.1:9"], "--vllm needs --checkpoint"),
        (
            ["--vllm", "http://gpu:9", "--checkpoint", "x/y", "--vllm-top", "some"],
            "a number or 'all', not 'some'",
        ),
        (["--vllm", "gpu:8000", "--checkpoint", "x/y"], "such as http://gpu:8000"),
    ],
)
def test_what_a_vllm_server_needs_is_asked_for_in_a_sentence(
    typed: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verifier", *typed]) == 2
    assert sentence in capsys.readouterr().err


def test_a_vllm_server_that_is_away_ends_the_command_before_anything_listens(
    pairs: Callable[[str], Pair], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(pairs("qwen3_omni_moe").verifier.folder)
    assert main(["verifier", "--vllm", "http://127.0.0.1:9", "--checkpoint", folder]) == 2
    assert "no vLLM server can be reached at http://127.0.0.1:9" in capsys.readouterr().err
