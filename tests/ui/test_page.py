"""The page as a whole, its settings, its looks and its recordings, without a browser."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ugsd_core.acceptance import ACCEPTANCE_RULES
from ugsd_core.gate import GATES
from ugsd_core.options import PRESETS
from ui import demo
from ui.assets import example_clips
from ui.language import LOCALES, Locale
from ui.settings import (
    Settings,
    acceptance_choices,
    changes_note,
    gate_choices,
    limits_of,
    preset_choices,
    settings_note,
)
from ui.speech import Recordings, describe
from ui.theme import DARK, LIGHT, contrast, heat_colour, page_css

ROOT = Path(__file__).resolve().parents[2]


# ── Page ──────────────────────────────────────────────────────────────────────────────────────────────────────────


BUILD = """
import json
from tests.ui.fake_engine import FakeEngine
from ui.page import build_page, launch_settings
page = build_page(FakeEngine())
settings = launch_settings(page)
blocks = {b.elem_id: getattr(b, "interactive", None) for b in page.blocks.values() if b.elem_id}
quiet = [settings["run_history"], settings["footer_links"], page.analytics_enabled]
print(json.dumps({"blocks": blocks, "quiet": quiet, "files": settings["allowed_paths"]}))
"""


def test_the_page_builds_records_nothing_and_waits_for_a_recording() -> None:
    # In a process of its own: Gradio leaves an event loop open, which is an error here.
    done = subprocess.run([sys.executable, "-c", BUILD], cwd=ROOT, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    parts = {"strip", "status", "tiles", "waterfall", "tables", "ledger", "run", "stop", "audio", "help"}
    assert parts <= set(told["blocks"])
    assert told["blocks"]["run"] is False and told["blocks"]["stop"] is False
    assert told["quiet"] == [False, [], False]
    assert [Path(folder).name for folder in told["files"]] == ["examples"]


def test_no_style_sheet_or_script_asks_for_anything_outside() -> None:
    for text in (page_css(), *(path.read_text(encoding="utf-8") for path in (ROOT / "assets/web").glob("*.js"))):
        assert "http" not in text and "@import" not in text and "url(" not in text


def test_the_example_clips_are_there_and_can_be_captioned() -> None:
    clips = example_clips()
    assert len(clips) >= 4
    assert all(describe(str(clip.path)).usable for clip in clips)
    assert all(clip.titles[locale] for clip in clips for locale in LOCALES)


def test_no_examples_without_a_list(tmp_path: Path) -> None:
    assert example_clips(tmp_path) == []


# ── Looks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("scheme", "palette"), [("light", LIGHT), ("dark", DARK)])
def test_text_is_readable_on_every_ground(scheme: str, palette: dict[str, str]) -> None:
    for ground in ("card", "paper"):
        for role in ("ink", "soft", "faint", "accent", "ok", "no", "fix", "warn"):
            assert contrast(palette[role], palette[ground]) >= 4.5, (scheme, role, ground)
    for ground in ("wash", "warn-wash"):
        assert contrast(palette["ink"], palette[ground]) >= 4.5
    assert contrast(palette["on-accent"], palette["accent"]) >= 4.5
    for heat in (0.0, 0.25, 0.5, 0.75, 1.0):
        assert contrast(palette["ink"], heat_colour(palette, scheme, heat)) >= 4.5, (scheme, heat)


@pytest.mark.parametrize(("scheme", "palette"), [("light", LIGHT), ("dark", DARK)])
def test_heat_is_one_hue_whose_lightness_is_monotonic(scheme: str, palette: dict[str, str]) -> None:
    steps = [contrast(heat_colour(palette, scheme, i / 10), palette["card"]) for i in range(11)]
    assert steps == sorted(steps) and steps[-1] > 1.5


# ── Settings ──────────────────────────────────────────────────────────────────────────────────────────────────────


def settings(name: str = "default", mode: str = "ugsd", **changes: Any) -> Settings:
    names = [field.name for field in fields(Settings) if not field.name.startswith("link")][3:]
    values = dict(zip(names, Settings.of_preset(name), strict=True)) | changes
    return Settings(language="en", mode=mode, preset=name, **values)


def noted(chosen: Settings, locale: Locale = "en") -> str:
    said = settings_note(chosen, 620, locale)
    return "" if said is None else said.text


def test_a_preset_put_into_the_controls_gives_that_preset() -> None:
    for name, options in PRESETS.items():
        assert settings(name).options() == options


def test_every_preset_gate_and_rule_can_be_chosen() -> None:
    assert {name for _, name in preset_choices()} == set(PRESETS)
    chosen = {name for _, name in gate_choices()}
    assert {options.gate for options in PRESETS.values()} <= chosen
    assert set(GATES) - chosen <= {"digits", "dates", "names"}
    assert {name for _, name in acceptance_choices()} == set(ACCEPTANCE_RULES)


def test_the_page_says_what_was_changed_since_the_preset() -> None:
    assert changes_note(settings(), "en") is None
    paper = settings("paper", tau=1.1, k=3)
    assert changes_note(paper, "en") == "Changed from the preset: τ, k."
    assert changes_note(paper, "zh") == "相对预设的改动：阈值 τ、词元数 k。"


def test_one_limit_is_in_force_and_only_one_that_the_gate_can_follow() -> None:
    def limits(**changes: Any) -> tuple[float | None, float | None, float | None]:
        chosen = settings(budget=4.0, promise=20.0, tau=0.7, **changes).options()
        return chosen.budget, chosen.promise, chosen.tau

    assert limits(gate="calibrated", limit="budget") == (0.04, None, None)
    assert limits(gate="calibrated", limit="promise") == (None, 0.2, None)
    assert limits(gate="calibrated", limit="own") == (None, None, None)
    assert limits(gate="entropy", limit="tau") == (None, None, 0.7)
    assert limits(gate="entropy", limit="promise") == (None, None, None)
    assert "can't keep a promise" in noted(settings(gate="entropy", limit="promise"))
    for gate in ("always", "random", "emotion_words"):
        assert limits(gate=gate, limit="budget") == (None, None, None)
        assert noted(settings(gate=gate, limit="budget")) == ""
        assert limits_of(gate) == []


def test_dropout_is_switched_on_with_its_gate() -> None:
    assert settings(gate="mc_dropout").options().mc_dropout_samples >= 2


def test_the_page_warns_of_a_rank_that_cannot_reject() -> None:
    assert noted(settings(acceptance="rank", rank=1)) == ""
    assert "rejects almost nothing" in noted(settings(acceptance="rank", rank=20))
    assert "除情绪外几乎什么也拒绝不了" in noted(settings(acceptance="fused", rank=20), "zh")
    assert "nothing is sent" in noted(settings(mode="edge")) and "不发送" in noted(settings(mode="edge"), "zh")


# ── Recordings ────────────────────────────────────────────────────────────────────────────────────────────────────


#: A second of noise at a good level, in which nobody speaks.
NOISE = 0.2 * np.random.default_rng(0).standard_normal(16_000)


def wav(path: Path, seconds: float, level: float = 0.3) -> Path:
    samples = level * np.random.default_rng(0).standard_normal(int(16_000 * seconds)).astype(np.float32)
    soundfile.write(path, np.clip(samples, -0.9, 0.9), 16_000)
    return path


def test_a_good_recording_is_told_with_length_and_level() -> None:
    speech = describe(str(example_clips()[0].path))
    length = f"{speech.duration_s:.1f} s"
    assert speech.usable and all(length in speech.html(locale) and "dBFS" in speech.html(locale) for locale in LOCALES)
    assert "level good" in speech.html("en") and "电平良好" in speech.html("zh")


@pytest.mark.parametrize(
    ("samples", "english", "chinese"),
    [
        (0.2 * NOISE, "No speech was heard", "没有听到语音"),
        (5.0 * NOISE, "is clipped", "削波"),
        (0.001 * NOISE, "very quiet", "录音很轻"),
        (NOISE * (np.arange(NOISE.size) < 2_000), "mostly silence", "大部分是静音"),
        (0.0 * NOISE, "is silent", "录音是静音的"),
        (NOISE[:3_000], "is only 0.19 s long", "录音太短"),
    ],
)
def test_what_is_wrong_with_a_recording_is_named_in_both_languages(
    samples: np.ndarray, english: str, chinese: str, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "a.wav", np.clip(samples, -1, 1), 16_000)
    speech = describe(str(tmp_path / "a.wav"))
    assert english in speech.html("en") and chinese in speech.html("zh")
    assert "lang=" not in speech.html("zh"), "nothing is left in English"


def test_a_long_recording_offers_its_first_30_seconds(tmp_path: Path) -> None:
    path = str(wav(tmp_path / "long.wav", 31.0))
    refused = describe(path)
    assert refused.too_long and not refused.usable and 'role="alert"' in refused.html("en")
    assert describe(path, first_30_s=True).usable


def test_a_bad_file_is_a_sentence_and_escaped(tmp_path: Path) -> None:
    path = tmp_path / "<b>x.wav"
    path.write_bytes(b"this is no sound")
    speech = describe(str(path))
    assert not speech.usable and not speech.too_long and "<b>x" not in speech.html("en")
    assert "&lt;b&gt;" in speech.html("en") and "不是音频" in speech.html("zh")


def test_no_recording_yet() -> None:
    assert not describe(None).usable


def test_recordings_go_when_the_next_comes_and_when_the_session_ends(tmp_path: Path) -> None:
    one, two, outside = tmp_path / "up/1", tmp_path / "up/2", tmp_path / "mine"
    (tmp_path / "up").mkdir()
    for path in (one, two, outside):
        path.write_bytes(b"x")
    recordings = Recordings(tmp_path / "up")
    recordings.hold("a", str(one))
    recordings.hold("b", str(one))
    recordings.hold("a", str(two))
    assert one.exists(), "another session still holds it"
    recordings.leave("b")
    assert not one.exists() and two.exists()
    recordings.hold("a", str(outside))
    assert not two.exists()
    recordings.leave("a")
    assert outside.exists(), "only uploads are deleted"
    recordings.leave("nobody")


# ── ugsd demo ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_port_in_use_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert demo.main(["--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert f"port {port}" in said and "--port" in said and "Traceback" not in said and said.count("\n") == 1


@pytest.mark.parametrize("port", ["70000", "-1"])
def test_an_impossible_port_is_one_sentence(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["--port", port]) == 2
    assert "0…65535" in capsys.readouterr().err


def test_mcp_is_asked_for_and_a_missing_package_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(demo, "serve", lambda *_, mcp, **__: asked.append(mcp) or 0)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert demo.main(["--port", "0"]) == 0
    assert demo.main(["--port", "0", "--mcp"]) == 2
    said = capsys.readouterr().err
    assert "pip install -c constraints.txt -e '.[mcp]'" in said and said.count("\n") == 1
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert demo.main(["--port", "0", "--mcp"]) == 0
    assert asked == [False, True]


LAUNCH = """
import sys
import gradio
from tests.ui.fake_engine import FakeEngine
from ui import demo
pauses = gradio.Blocks().queue()._queue.sleep_when_free, demo.QUEUE_LOOK_S
def launch(self, **settings):
    print("pauses:", *pauses, self._queue.sleep_when_free)
    print("mcp server:", settings["mcp_server"])
    sys.exit()
gradio.Blocks.launch = launch
demo.serve(FakeEngine, "127.0.0.1", 7999, mcp=len(sys.argv) > 1)
"""


@pytest.mark.parametrize("words", [[], ["--mcp"]])
def test_gradio_starts_its_mcp_server_only_if_asked_and_rests_where_there_is_nothing_to_do(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LAUNCH, *words], cwd=ROOT, capture_output=True, text=True, check=True,
        env={**os.environ, "GRADIO_MCP_SERVER": "True"},
    )  # fmt: skip
    *_, pauses, said = done.stdout.splitlines()
    assert said == f"mcp server: {bool(words)}"
    gradios, wanted, taken = map(float, pauses.removeprefix("pauses:").split())
    assert gradios < wanted == taken, "a page that nobody uses keeps the processor busy"


def test_help_needs_nothing_heavy() -> None:
    look = "from ui import demo; demo.build_parser().format_help()"
    program = f"import sys, app; {look}; print({{'torch', 'gradio'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


BARE = """
import sys
from ui.page import build_page, launch_settings
page = build_page(None)
launch_settings(page)
tabs = [block.id for block in page.blocks.values() if block.get_block_name() == "tabitem"]
parts = {block.elem_id for block in page.blocks.values() if block.elem_id}
print(tabs, sorted({"inspect-strip", "tour-start", "run", "compare-start"} & parts))
told = build_page(None, notice={"en": "<summary>Told</summary>", "zh": "<summary>说明</summary>"})
shown = {block.elem_id for block in told.blocks.values() if block.elem_id}
print("notice" in parts, "notice" in shown, told.words.translations["zh"]["notice.text"])
print(sorted({"torch", "transformers"} & set(sys.modules)))
"""


def test_a_page_without_models_has_its_tabs_and_imports_none() -> None:
    done = subprocess.run([sys.executable, "-c", BARE], cwd=ROOT, capture_output=True, text=True, check=True)
    tabs, notice, heavy = done.stdout.splitlines()[-3:]
    assert tabs == "['caption', 'inspect', 'compare', 'evaluate'] ['inspect-strip', 'tour-start']" and heavy == "[]"
    assert notice == "False True <summary>说明</summary>", "it is on the page only where there is one"
