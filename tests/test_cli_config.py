"""Options from a file: what is typed goes first; what is wrong is said with its place and the nearest right name."""

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tools.documentation import ROOT
from ugsd_core.cli import main
from ugsd_core.cli.config import add_config, configured, written
from ugsd_core.cli.parser import build_parser
from ugsd_core.errors import OptionError


def parsed(words: list[str], parser: argparse.ArgumentParser | None = None) -> argparse.Namespace:
    parser = parser or build_parser("verifier")
    args = parser.parse_args(words)
    return configured(parser, words, args) if args.config_file else args


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(text: str) -> str:
        path = tmp_path / "verifier.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_what_is_typed_beats_the_file_and_the_file_beats_the_defaults(file: Any) -> None:
    config = file('port = 9000\nworkers = 3\n\n[sharing]\nbatch-window-ms = 4\nunbatched = true\nmemory-mb = "auto"\n')
    for words in (["--port", "9001", "--config", config], ["--config", config, "--port=9001"]):
        args = parsed(["verifier", *words])
        assert (args.port, args.workers, args.device) == (9001, 3, "cpu")
        assert args.batch_window_ms == 4.0 and args.unbatched is True and args.memory_mb == "auto"
    # What is typed wins even where it is the default.
    assert parsed(["verifier", "--config", config, "--workers", "2"]).workers == 2


def test_every_option_of_the_verifier_can_stand_in_the_file_and_what_is_printed_gives_the_same(file: Any) -> None:
    typed = ["verifier", "--port", "9", "--memory-mb", "7.5", "--host", 'a"b\\c', "--log-level", "debug"]
    args = parsed(typed)
    text = written(build_parser("verifier"), args)
    words = ([word for word in action.option_strings if word.startswith("--")] for action in subparser()._actions)
    options = {found[0] for found in words if found}  # some have a second name
    keys = {f"--{match}" for match in re.findall(r"^(?:# )?([a-z0-9-]+) =", text, re.M)}
    assert options - keys == {"--help", "--config", "--print-config"}
    again = parsed(["verifier", "--config", file(text)])
    ours = vars(args) | {"config_file": None}
    assert vars(again) | {"config_file": None} == ours
    for line in text.splitlines():
        assert len(line) <= 120


def subparser() -> argparse.ArgumentParser:
    parser = build_parser("verifier")
    action = next(entry for entry in parser._actions if isinstance(entry, argparse._SubParsersAction))
    found: argparse.ArgumentParser = action.choices["verifier"]
    return found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port = 1\nprot = 2\n", r"line 2: there is no option prot; port is near"),
        ("batch_rows = 2\n", r"line 1: batch_rows stands in \[sharing\], as batch-rows"),
        ("[sharing]\nport = 2\n", r"line 2: port stands above the first table, as port"),
        ("[shering]\nport = 2\n", r"line 1: there is no table \[shering\]; \[sharing\] is near"),
        ("xyzzy = 2\n", r"line 1: there is no option xyzzy; --print-config lists all"),
        ('port = "8765"\n', r'line 1: port is a whole number, not "8765"'),
        ("port = true\n", r"line 1: port is a whole number, not true"),
        ("\nhost = 1\n", r"line 2: host is a text in quotes, not 1"),
        ('announce = "yes"\n', r'line 1: announce is true or false, not "yes"'),
        ("allow-remote = true\n", r"line 1: allow-remote stands in \[access\], as insecure-plaintext"),
        ("[sharing]\nbatch-window-ms = []\n", r"line 2: batch-window-ms is a number, not \[\]"),
        ('[sharing]\nmemory-mb = "lots"\n', r'line 2: memory-mb cannot be "lots" \(a number of megabytes, or auto'),
        ('[operations]\nlog-format = "jsn"\n', r'line 2: log-format is one of text, json, not "jsn"; json is near'),
        ('access-token = "s3cret"\n', r"line 1: a secret does not belong into this file \(access-token\)"),
        ("port = \n", r"is no TOML: .*line 1"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_place(
    file: Any, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    assert main(["verifier", "--config", file(text)]) == 2
    error = capsys.readouterr().err
    assert re.search(said, error) and error.count("\n") == 1 and "s3cret" not in error


def test_lists_and_second_names_of_options_are_known(file: Any) -> None:
    config = file('[access]\nallow-remote = true\ntrusted-proxy = ["10.0.0.1", "10.0.0.2"]\ntoken-file = "t"\n')
    args = parsed(["verifier", "--config", config])
    assert args.insecure_plaintext and args.trusted_proxy == ["10.0.0.1", "10.0.0.2"] and args.token_file == Path("t")
    assert parsed(["verifier", "--config", config, "--trusted-proxy", "10.9.9.9"]).trusted_proxy == ["10.9.9.9"]


def test_a_file_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verifier", "--config", str(tmp_path / "none.toml")]) == 2
    assert "cannot be read (No such file" in capsys.readouterr().err


def test_the_options_in_effect_are_printed_without_loading_anything(
    file: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UGSD_ACCESS_TOKEN", "s3cret")
    config = file("workers = 5\n")
    assert main(["verifier", "--config", config, "--port", "9", "--print-config"]) == 0
    printed = capsys.readouterr().out
    values = tomllib.loads(printed)
    assert (values["workers"], values["port"]) == (5, 9) and "# threads that run the model" in printed
    assert "s3cret" not in printed


def test_options_of_every_kind_have_their_keys(file: Any) -> None:
    """Kinds that no option of the verifier has today."""
    parser = argparse.ArgumentParser(prog="x")
    parser.add_argument("--config", dest="command", default="x")
    command = parser.add_subparsers(dest="command").add_parser("x")
    add_config(command)
    group = command.add_argument_group("Who may, and when")
    group.add_argument("--origin", action="append", default=[])
    group.add_argument("--bonus", action=argparse.BooleanOptionalAction)
    group.add_argument("--speed", type=float, nargs="+")
    group.add_argument("--token-file", type=Path)
    group.add_argument("--token")
    config = file('[who-may-and-when]\norigin = ["a", "b"]\nbonus = false\nspeed = [1, 2.5]\ntoken-file = "t"\n')
    args = parsed(["x", "--config", config], parser)
    assert (args.origin, args.bonus, args.speed, args.token_file) == (["a", "b"], False, [1.0, 2.5], Path("t"))
    args.token = "s3cret"
    text = written(parser, args)
    assert "s3cret" not in text and 'origin = ["a", "b"]' in text and "speed = [1.0, 2.5]" in text
    assert vars(parsed(["x", "--config", file(text)], parser))["speed"] == [1.0, 2.5]
    with pytest.raises(OptionError, match="origin is a list"):
        parsed(["x", "--config", file('[who-may-and-when]\norigin = "a"\n')], parser)


def test_the_example_in_the_repository_is_in_order() -> None:
    path = ROOT / "containers" / "verifier.toml"
    args = parsed(["verifier", "--config", str(path)])
    assert args.log_format == "json" and args.metrics_port is not None and args.host == "127.0.0.1"
