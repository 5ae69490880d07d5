"""The command line, with made-up event streams instead of models; real processes only where it is about them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.streams import END, StreamBuilder, every_state
from ugsd_core import __version__
from ugsd_core.audio import Utterance, utterance_from_samples
from ugsd_core.cli import main
from ugsd_core.cli.caption import options_from
from ugsd_core.cli.edge_parser import BACKEND_NAMES
from ugsd_core.cli.parser import ACCEPTANCE_NAMES, GATE_NAMES, PRESET_NAMES, PROMPT_NAMES, build_parser
from ugsd_core.errors import AudioError, CheckpointError, VerifierUnavailable
from ugsd_core.models.backends import BACKENDS
from ugsd_core.options import PRESETS, DecodingOptions, preset
from ugsd_core.result import caption_result
from ugsd_core.terminal import LiveTokens, choose_look, marked_text, paint, wrap
from ugsd_core.traces import read_trace, write_trace

ROOT = Path(__file__).resolve().parents[1]


class World:
    """What the fakes were asked for, and what they answer."""

    def __init__(self) -> None:
        self.events = every_state()
        self.options: DecodingOptions | None = None
        self.utterance: Utterance | None = None
        self.loaded: list[tuple[Any, ...]] = []
        self.verifiers: list[list[str]] = []
        self.running = 0
        self.links: list[str] = []
        self.fail: BaseException | None = None
        self.verifier_fails: Exception | None = None


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    import ugsd_core.audio
    import ugsd_core.captioner
    import ugsd_core.wire.process
    import ugsd_core.wire.reconnect

    world = World()

    def load_utterance(path: str, *, first_30_s: bool = False) -> Utterance:
        if "missing" in path:
            raise AudioError(f"{path} does not exist.", "missing")
        return utterance_from_samples(np.random.default_rng(0).standard_normal(8_000) * 0.1, 16_000)

    class FakeCaptioner:
        @classmethod
        def load(
            cls, edge: str | None = None, *, link: Any = None, device: str, dtype: str, backend: str
        ) -> FakeCaptioner:
            assert backend == "auto"
            if edge == "wrong":
                raise CheckpointError("wrong holds no config.json, so it is no checkpoint folder")
            world.loaded.append((edge, getattr(link, "address", None), device, dtype))
            return cls()

        def stream(self, utterance: Utterance, options: DecodingOptions) -> Any:
            world.options, world.utterance = options, utterance
            yield from world.events
            if world.fail:
                raise world.fail

    class FakeProcess:
        def __init__(self, args: list[str], *, wait: bool) -> None:
            assert not wait, "the edge loads while the verifier starts"
            world.verifiers.append(args)

        @property
        def address(self) -> str:
            if world.verifier_fails:
                raise world.verifier_fails
            return "ws://127.0.0.1:1"

        def __enter__(self) -> FakeProcess:
            world.running += 1
            return self

        def __exit__(self, *_: object) -> None:
            world.running -= 1

    class FakeLink:
        def __init__(self, address: str, *, access_token: str | None = None) -> None:
            self.address = address
            world.links.append(address)

        def close(self) -> None:
            world.links.append("closed")

    monkeypatch.setattr(ugsd_core.audio, "load_utterance", load_utterance)
    monkeypatch.setattr(ugsd_core.captioner, "Captioner", FakeCaptioner)
    monkeypatch.setattr(ugsd_core.wire.process, "VerifierProcess", FakeProcess)
    monkeypatch.setattr(ugsd_core.wire.reconnect, "ReconnectingLink", FakeLink)
    return world


# ── Options ───────────────────────────────────────────────────────────────────────────────────────────────────────


def typed(*words: str) -> DecodingOptions:
    return options_from(build_parser().parse_args(["caption", "clip.wav", *words]))


def test_nothing_typed_is_the_default_preset() -> None:
    assert typed() == preset("default")


def test_what_is_typed_overrides_the_preset() -> None:
    options = typed("--preset", "proposal", "--no-bonus", "--tau", "0", "--language", "zh", "--seed", "7")
    assert options == preset("proposal", bonus=False, tau=0.0, language="zh", seed=7)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--block-length", "8"), ("fixed", 8)),
        (("--block-length", "adaptive"), ("adaptive", 4)),
        (("--block-length", "adaptive", "--k", "6"), ("adaptive", 6)),
        (("--preset", "paper", "--block-length", "fixed"), ("fixed", 4)),
        (("--preset", "paper", "--block-length", "3"), ("fixed", 3)),
        (("--k", "2"), ("fixed", 2)),
    ],
)
def test_block_length_is_a_number_or_a_rule(words: tuple[str, ...], expected: tuple[str, int]) -> None:
    options = typed(*words)
    assert (options.block_length, options.k) == expected


def test_names_in_the_help_are_the_engines() -> None:
    from ugsd_core.acceptance import ACCEPTANCE_RULES
    from ugsd_core.gate import GATES
    from ugsd_core.models.prompts import prompt_names

    assert set(PRESET_NAMES) == set(PRESETS)
    assert BACKEND_NAMES == BACKENDS
    assert set(GATE_NAMES) == set(GATES.builtin)
    assert set(ACCEPTANCE_NAMES) == set(ACCEPTANCE_RULES.builtin)
    assert prompt_names() == PROMPT_NAMES


def test_every_setting_can_be_typed() -> None:
    known = vars(build_parser().parse_args(["caption", "clip.wav"]))
    assert set(preset("default").to_dict()) <= set(known)


# ── caption ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_json_is_one_object_and_the_rest_goes_to_stderr(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["caption", "clip.wav", "--json"]) == 0
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert record == json.loads(json.dumps(caption_result(world.events).to_dict()))
    committed = ("kept_local", "accepted", "corrected", "bonus", "unverified")
    assert "".join(t["text"] for t in record["tokens"] if t["state"] in committed) == record["caption"]
    assert "warning: The recording is quiet." in err


def test_a_recording_without_speech_goes_on_with_a_warning(world: World) -> None:
    assert main(["caption", "clip.wav"]) == 0
    assert world.utterance is not None and "No speech was heard" in world.utterance.warnings[-1]


def test_a_pipe_gets_marks_and_no_control_characters(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["caption", "clip.wav"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "tokens    The voice {=is low=} {*and*} [-calm-] {+tense+}[~, so~], so {?sad.?}\n" in out
    assert "caption   The voice is low and tense, so sad." in out
    assert "3 of 6 blocks sent (50 %)" in out
    assert "the waveform (64.0 kB) stayed here" in out
    for word in ("ratios", "clocks", "ledger", "states"):
        assert f"\n{word}" in out


def test_the_edges_view_of_the_emotion_is_told_when_it_was_sent() -> None:
    from dataclasses import replace

    from ugsd_core.cli.caption_lines import report

    plain = report(caption_result(every_state()), "plain")
    events = [replace(e, posterior_bytes=9) if e.kind == "frame_sent" else e for e in every_state()]
    assert "view of the emotion" not in plain
    assert "; of this the edge's view of the emotion 36 B); down" in report(caption_result(events), "plain")


def test_quiet_prints_the_caption_alone(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["caption", "clip.wav", "--quiet"]) == 0
    assert capsys.readouterr().out == "The voice is low and tense, so sad.\n"


def test_edge_mode_starts_and_reaches_no_verifier(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.events = StreamBuilder("edge").kept("a", END).finish()
    assert main(["caption", "clip.wav", "--mode", "edge"]) == 0
    assert world.verifiers == [] and world.links == [] and world.loaded == [(None, None, "cpu", "float32")]
    assert "nothing left this device" in capsys.readouterr().out


def test_a_gate_that_sent_nothing_says_so(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.events = StreamBuilder().kept("a", END).finish()
    assert main(["caption", "clip.wav"]) == 0
    assert "the gate (calibrated) found no block unsure enough" in capsys.readouterr().out


def test_cloud_mode_says_who_wrote(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.events = StreamBuilder("cloud").generated("a", END).finish()
    assert main(["caption", "clip.wav", "--mode", "cloud"]) == 0
    assert "the verifier wrote all 2 tokens alone" in capsys.readouterr().out


def test_a_verifier_is_started_and_ended(world: World) -> None:
    assert main(["caption", "clip.wav", "--verifier-checkpoint", "big", "--dtype", "bfloat16", "--quiet"]) == 0
    assert world.verifiers == [["--device", "cpu", "--dtype", "bfloat16", "--checkpoint", "big"]]
    assert world.running == 0
    assert world.links == ["ws://127.0.0.1:1", "closed"]


def test_a_named_verifier_is_used_and_none_started(world: World) -> None:
    assert main(["caption", "clip.wav", "--verifier", "ws://10.0.0.1:8765", "--quiet"]) == 0
    assert world.verifiers == []
    assert world.links == ["ws://10.0.0.1:8765", "closed"]


def test_a_trace_replays_to_the_same_object_and_the_same_lines(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = str(tmp_path / "run.jsonl")
    assert main(["caption", "clip.wav", "--trace", trace]) == 0
    live = capsys.readouterr()
    assert read_trace(trace) == world.events
    assert main(["replay", trace]) == 0
    assert capsys.readouterr() == live
    assert main(["caption", "clip.wav", "--json"]) == 0
    live = capsys.readouterr()
    assert main(["replay", trace, "--json"]) == 0
    assert capsys.readouterr() == live


def test_the_rank_warning_is_said_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    from dataclasses import replace

    world.events = [replace(world.events[0], options=preset("paper").to_dict()), *world.events[1:]]
    assert main(["caption", "clip.wav", "--preset", "paper", "--quiet"]) == 0
    assert capsys.readouterr().err.count("r = 20") == 1


def test_a_lost_verifier_is_said(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.events = StreamBuilder().lost("nobody answers").unverified("a", sent=False).finish("max_length")
    assert main(["caption", "clip.wav"]) == 0
    out, err = capsys.readouterr()
    assert "warning: nobody answers" in err
    assert "did not get it: 1 token" in out
    assert "ended at its maximum length" in out


# ── What goes wrong ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["missing.wav"], "missing.wav does not exist."),
        (["missing.wav", "--json"], "missing.wav does not exist."),
        (["c.wav", "--edge", "wrong"], "wrong holds no config.json"),
        (["c.wav", "--gate", "guess"], "there is no gate 'guess'"),
        (["c.wav", "--acceptance", "maybe"], "there is no acceptance rule 'maybe'"),
        (["c.wav", "--prompt", "rude"], "there is no prompt named 'rude'"),
        (["c.wav", "--preset", "best"], "there is no preset 'best'"),
        (["c.wav", "--tau", "-1"], "tau must be"),
        (["c.wav", "--tau", "nan"], "tau must be"),
        (["c.wav", "--block-length", "long"], "the block length is a number"),
        (["c.wav", "--block-length", "4", "--k", "5"], "contradict"),
        (["c.wav", "--mode", "edge", "--verifier", "ws://x"], "--mode edge asks no verifier"),
        (["c.wav", "--verifier", "ws://x", "--verifier-checkpoint", "y"], "has its checkpoint loaded"),
        (["c.wav", "--trace", "."], "can't be written"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(
    world: World, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["caption", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ugsd: ") and sentence in err and err.count("\n") == 1
    assert world.running == 0


def test_the_verifiers_own_sentence_is_passed_on(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.verifier_fails = VerifierUnavailable("It ended. It said:\nTraceback\nugsd: there is no checkpoint folder ./x")
    assert main(["caption", "clip.wav"]) == 2
    assert capsys.readouterr().err == "ugsd: the verifier could not start: there is no checkpoint folder ./x\n"


def test_an_error_in_the_middle_keeps_the_trace_and_ends_the_verifier(world: World, tmp_path: Path) -> None:
    world.events, world.fail = every_state()[:-3], VerifierUnavailable("gone")
    assert main(["caption", "clip.wav", "--trace", str(tmp_path / "run.jsonl")]) == 2
    assert read_trace(tmp_path / "run.jsonl") == world.events
    assert world.running == 0 and world.links[-1] == "closed"


def test_ctrl_c_is_130_and_ends_the_verifier(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.fail = KeyboardInterrupt()
    assert main(["caption", "clip.wav"]) == 130
    assert world.running == 0 and world.links[-1] == "closed"
    assert "Traceback" not in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(world: World) -> None:
    world.fail = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        main(["caption", "clip.wav"])
    assert world.running == 0


# ── replay, demo, help ────────────────────────────────────────────────────────────────────────────────────────────


def test_replay_at_a_pace_keeps_the_pace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.jsonl"
    write_trace(path, every_state())
    began = time.monotonic()
    assert main(["replay", str(path), "--speed", "2", "--quiet"]) == 0
    assert time.monotonic() - began >= every_state()[-1].t_s / 2


def test_replay_of_what_is_no_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.jsonl"
    assert main(["replay", str(path)]) == 2
    write_trace(path, every_state())
    assert main(["replay", str(path), "--speed", "0"]) == 2
    path.write_bytes(path.read_bytes()[:-10])
    assert main(["replay", str(path)]) == 2
    assert "cut off" in capsys.readouterr().err
    assert main(["replay", str(path), "--allow-cut"]) == 0
    assert "the run ended before the caption did" in capsys.readouterr().out


def test_demo_hands_its_words_to_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    page = SimpleNamespace(main=lambda argv: 7 if argv == ["--port", "7861"] else 1)
    monkeypatch.setitem(sys.modules, "ui.demo", page)
    assert main(["demo", "--port", "7861"]) == 7


def test_a_command_whose_packages_are_missing_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lacks(name: str) -> SimpleNamespace:
        return SimpleNamespace(main=lambda argv: (_ for _ in ()).throw(ModuleNotFoundError(f"No {name}", name=name)))

    for module, extra in (("gradio.themes", "page"), ("sqlalchemy", "annotations"), ("sklearn", "train")):
        monkeypatch.setitem(sys.modules, "ui.demo", lacks(module))
        assert main(["demo"]) == 2
        said = capsys.readouterr().err
        assert f"pip install -c constraints.txt -e '.[{extra}]'" in said and said.count("\n") == 1
    monkeypatch.setitem(sys.modules, "ui.demo", lacks("ugsd_core.misspelt"))
    with pytest.raises(ModuleNotFoundError):  # a bug keeps its traceback
        main(["demo"])


def test_no_command_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "caption" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--help"], ["caption", "--help"], ["verifier", "--help"], ["--version"]])
def test_help_and_version(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(words)
    assert done.value.code == 0
    assert (__version__ if words == ["--version"] else "ugsd") in capsys.readouterr().out


# ── Real processes ────────────────────────────────────────────────────────────────────────────────────────────────


def ugsd(*words: str, **how: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ugsd_core.cli", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, encoding="utf-8", **how)


def test_the_module_runs_as_a_program_and_reports_a_missing_file() -> None:
    with ugsd("caption", "no such file.wav", "--mode", "edge", "--json") as program:
        out, err = program.communicate(timeout=60)
    assert program.returncode == 2
    assert out == "" and err.startswith("ugsd: ") and err.count("\n") == 1 and "Traceback" not in err


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    write_trace(tmp_path / "run.jsonl", every_state())
    with ugsd("replay", str(tmp_path / "run.jsonl"), "--speed", "1") as program:
        assert program.stdout is not None and program.stderr is not None
        program.stdout.close()
        assert program.wait(60) == 141
        assert program.stderr.read().replace("warning: The recording is quiet.\n", "") == ""


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_ctrl_c_in_a_real_process(tmp_path: Path) -> None:
    write_trace(tmp_path / "run.jsonl", every_state())
    # A shell's background job has Ctrl-C ignored, and hands that down.
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    with ugsd("replay", str(tmp_path / "run.jsonl"), "--speed", "0.001", **heard) as program:
        time.sleep(1.0)
        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert err == "ugsd: interrupted\n"


# ── Terminal ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Screen:
    """A stream that claims to be a terminal."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, text: str) -> None:
        self.written.append(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


def test_looks() -> None:
    screen: Any = Screen()
    assert choose_look(screen, no_color=False, environ={"TERM": "xterm-256color"}) == "colour"
    assert choose_look(screen, no_color=True, environ={"TERM": "xterm"}) == "shape"
    assert choose_look(screen, no_color=False, environ={"NO_COLOR": "1"}) == "shape"
    assert choose_look(screen, no_color=False, environ={"NO_COLOR": ""}) == "colour"
    assert choose_look(screen, no_color=False, environ={"TERM": "dumb"}) == "plain"


def test_states_differ_without_colour() -> None:
    states = ("kept_local", "accepted", "rejected", "corrected", "ignored", "bonus", "unverified")
    for look in ("shape", "plain"):
        assert len({paint("x", state, 2.5, look) for state in states}) == len(states)
    assert "38;5" not in "".join(paint("x", state, 2.5, "shape") for state in states)
    assert len({paint("x", "kept_local", entropy, "colour") for entropy in (0.0, 0.2, 0.7, 1.5, 3.0)}) == 5


def test_marks_keep_words_whole_and_corrections_beside_rejections() -> None:
    stream = StreamBuilder().kept("so").judged(" sa", "d", " and", accepted=0, replacement=" an")
    tokens = caption_result(stream.kept("gry").finish("max_length")).tokens
    assert marked_text(tokens) == "so [-sa-] {+an+}[~d and~]gry"


def plain(text: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


def test_live_tokens_end_with_everything_on_the_screen() -> None:
    screen: Any = Screen()
    live = LiveTokens(screen, "colour", clock=lambda: 0.0, size=lambda: (40, 24))
    for event in every_state():
        live.feed(event)
    live.close()
    live.close()
    last = plain(screen.written[-2])
    assert " ".join(last.split()) == "The voice is low and calm tense, so, so sad."
    assert "\x1b[9" in screen.written[-2], "the rejected token is struck through"
    assert screen.written[-1] == "\n"


def test_live_tokens_coalesce_but_never_hide_a_wait() -> None:
    screen: Any = Screen()
    live = LiveTokens(screen, "shape", clock=lambda: 0.0, size=lambda: (80, 24))
    stream = StreamBuilder()
    stream._draft(("a", " b", " c"))
    for event in stream.events:
        live.feed(event)
    assert len(screen.written) == 1, "no time passed, so the three drafts are one picture"
    stream._escalate(0, 3)
    live.feed(stream.events[-2])
    assert plain(screen.written[-1]).strip() == "a b c", "before waiting for a verdict everything is drawn"


def test_wrapping_breaks_at_spaces_and_counts_wide_characters() -> None:
    def lines(text: str, columns: int) -> list[str]:
        return ["".join(char for char, _ in line) for line in wrap([(char, "") for char in text], columns)]

    assert lines("the voice is low", 10) == ["the voice", "is low"]
    assert lines("abcdefghijkl", 5) == ["abcde", "fghij", "kl"]
    assert lines("声音低沉", 4) == ["声音", "低沉"]
    assert lines("", 4) == [""]


def test_control_characters_of_a_model_do_not_reach_the_terminal() -> None:
    screen: Any = Screen()
    live = LiveTokens(screen, "shape", clock=lambda: 0.0, size=lambda: (80, 24))
    for event in StreamBuilder("edge").kept("a\x1b[2Jb\nc").finish("max_length"):
        live.feed(event)
    live.close()
    assert plain(screen.written[-2]).strip() == "a[2Jb c"
